//! The timer that takes a CPU away from a program: each CPU's own, in its local APIC.
//!
//! Interrupts are enabled in ring 3, and in the kernel for moments ([`let_in`]). A tick that comes
//! while the kernel runs waits, and stops the next program at once or is taken at such a moment.
//! The clock is QEMU's: with `-icount` it counts instructions, and each run sees its ticks at the
//! same ones.

use core::arch::asm;

use x86_64::instructions::interrupts;

use crate::cpu::apic;

/// The interrupt of a tick.
pub const VECTOR: u64 = 32;

/// Ticks come on this CPU as long as this lives. It is dropped there.
#[derive(Debug)]
#[must_use]
pub struct Ticking(());

impl Ticking {
    /// Starts this CPU's timer: a tick each so many microseconds.
    ///
    /// # Panics
    ///
    /// When the interval is zero or too long.
    pub fn every(microseconds: u32) -> Self {
        apic::start_timer(VECTOR as u8, microseconds);
        Self(())
    }
}

impl Drop for Ticking {
    /// Stops the ticks. One that came while the kernel ran is taken now: it does not stop the next
    /// program.
    fn drop(&mut self) {
        apic::stop_timer();
        let_in();
    }
}

/// Takes the interrupts that have waited while the kernel ran.
pub fn let_in() {
    interrupts::enable();
    // The instruction behind the one that enables interrupts still runs without them.
    // SAFETY: it does nothing.
    unsafe { asm!("nop", options(nomem, nostack)) };
    interrupts::disable();
}
