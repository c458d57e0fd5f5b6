//! Numbers that nobody can tell in advance.

use core::arch::x86_64::_rdtsc;

use x86_64::instructions::random::RdRand;

/// A number from the processor's generator; without one, its clock.
pub fn number() -> u64 {
    RdRand::new().and_then(RdRand::get_u64).unwrap_or_else(|| {
        // SAFETY: every 64-bit processor has a time stamp counter, and nobody forbids the kernel to
        // read it.
        unsafe { _rdtsc() }
    })
}
