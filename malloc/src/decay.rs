//! When free memory goes back to the system: the top of the break, and free pages below it, at
//! intervals while the program allocates.
//!
//! No thread wakes up for it. The clock is read by a request that no arena serves, and by each
//! thread after some dozen allocations without a block at hand. A program that stops allocating
//! keeps its memory; `malloc_trim` gives it back at once.

use core::sync::atomic::{AtomicU64, Ordering};

use crate::clock::milliseconds;

/// Free bytes at the break from which a `free` gives them back while decay is on. Smaller amounts
/// wait for the decay: a program that frees much often needs it again at once.
pub(crate) const TRIM_THRESHOLD: usize = 64 << 20;

/// Free bytes at the break that a decay keeps.
pub(crate) const KEPT: usize = 256 << 10;

/// Minimum size of free pieces inside the heap whose pages a decay discards, in bytes.
pub(crate) const LEAST_UNUSED: usize = 64 << 10;

/// A time that no clock reaches.
const NEVER: u64 = u64::MAX;

/// Decay period, in milliseconds.
static PERIOD: AtomicU64 = AtomicU64::new(NEVER);

/// Time of the next decay, in milliseconds of the clock.
static NEXT: AtomicU64 = AtomicU64::new(NEVER);

/// Sets the decay period, in milliseconds. `None` means never.
pub(crate) fn start(period: Option<u64>) {
    if let Some(period) = period {
        PERIOD.store(period, Ordering::Relaxed);
        NEXT.store(milliseconds().saturating_add(period), Ordering::Relaxed);
    }
}

/// Returns whether the period is over. Of concurrent callers one gets `true`.
pub(crate) fn is_due() -> bool {
    let next = NEXT.load(Ordering::Relaxed);
    if next == NEVER {
        return false;
    }
    let now = milliseconds();
    let then = now.saturating_add(PERIOD.load(Ordering::Relaxed));
    now >= next && NEXT.compare_exchange(next, then, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}
