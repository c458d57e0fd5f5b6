//! When the pages of free memory are given back: now and then, as long as the program asks for large blocks.
//!
//! There is no thread that would wake up for it. So between two looks at the clock lies a call for a block that does not come from an arena,
//! and a program that has stopped allocating keeps what it has; `malloc_trim` does it at once.

use core::sync::atomic::{AtomicU64, Ordering};

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
