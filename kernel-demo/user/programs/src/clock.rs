//! The processor's time-stamp counter. Under QEMU with `-icount shift=0` it counts instructions,
//! the kernel's included, and each run counts the same.

use core::arch::x86_64::_rdtsc;

/// The time now, in ticks.
#[must_use]
pub fn now() -> u64 {
    // SAFETY: every x86_64 processor has the counter, and the kernel leaves it open.
    unsafe { _rdtsc() }
}
