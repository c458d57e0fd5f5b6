//! When free memory is given back: what is free at the break, and the pages of what is free below
//! it; now and then, as long as the program allocates.
//!
//! There is no thread that would wake up for it. The clock is looked at by who asks for a block
//! that does not come from an arena, and by each thread after some dozen misses of its front cache.
//! A program that has stopped allocating keeps what it has; `malloc_trim` does it at once.

use core::sync::atomic::{AtomicU64, Ordering};

/// As long as memory decays, a `free` gives back what is free at the break only from so many bytes
/// on: what is less waits for its turn, for a program that frees much often wants it again at once.
pub(crate) const TRIM_THRESHOLD: usize = 64 << 20;

/// So much of what is free at the break stays when memory decays, in bytes.
pub(crate) const KEPT: usize = 256 << 10;

/// Free memory inside the heap of so many bytes together is worth a call when memory decays.
pub(crate) const LEAST_UNUSED: usize = 64 << 10;

/// Never: no clock comes so far.
const NEVER: u64 = u64::MAX;

/// The time between two turns, in milliseconds.
static PERIOD: AtomicU64 = AtomicU64::new(NEVER);

/// When it is time, in milliseconds of the clock.
static NEXT: AtomicU64 = AtomicU64::new(NEVER);

/// Sets the time between two turns; `None`: never.
pub(crate) fn start(period: Option<u64>) {
    if let Some(period) = period {
        PERIOD.store(period, Ordering::Relaxed);
        NEXT.store(now().saturating_add(period), Ordering::Relaxed);
    }
}

/// Whether it is time. Only one of those who ask at the same time is told so.
pub(crate) fn is_due() -> bool {
    let next = NEXT.load(Ordering::Relaxed);
    if next == NEVER {
        return false;
    }
    let now = now();
    let then = now.saturating_add(PERIOD.load(Ordering::Relaxed));
    now >= next && NEXT.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// Milliseconds of a clock that is read without a call of the kernel.
fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place to write to. There is such a clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    (time.tv_sec as u64).wrapping_mul(1000).wrapping_add(time.tv_nsec as u64 / 1_000_000)
}
