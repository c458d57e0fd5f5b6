//! The calls that led to where the kernel failed, found by frame pointers.
//!
//! ```text
//!   rbp ─► caller's rbp │ return address        one such pair for each call, up to a zero
//!
//!     back-trace:
//!       #0 0xffffffff80012345                   the harness puts the function's name behind it
//!       #1 0xffffffff80023456
//! ```
//!
//! An address is that of the instruction that failed, or lies inside the call. A kernel that is
//! optimised for use has no frame pointers, and so no back-trace worth reading.

#![allow(unsafe_code, reason = "a back-trace reads the stack by its addresses")]

use core::arch::asm;

use crate::arch::catch_fault;
use crate::println;
use crate::words::layout::IMAGE;

/// Maximum number of calls that are printed.
pub const MOST_CALLS: usize = 32;

/// Bytes from a saved frame pointer to the return address beside it.
const WORD: u64 = 8;

/// The frame pointer of the caller.
#[inline(always)]
pub fn frame() -> u64 {
    let frame: u64;
    // SAFETY: a look at a register.
    unsafe { asm!("mov {}, rbp", out(reg) frame, options(nomem, nostack, preserves_flags)) };
    frame
}

/// Prints the instruction that failed, if it is given, and the calls up to the function with this
/// frame pointer. No frame pointer does harm: what cannot be read ends the list.
pub fn print(failed: Option<u64>, frame: u64) {
    println!("  back-trace:");
    failed.into_iter().chain(calls(frame)).enumerate().for_each(|(number, address)| {
        println!("    #{number} {address:#018x}");
    });
}

/// The addresses of calls, the innermost first, up to a frame that cannot be read or that returns
/// to no code of the kernel, and [`MOST_CALLS`] at most.
pub fn calls(mut frame: u64) -> impl Iterator<Item = u64> {
    let calls = core::iter::from_fn(move || {
        let returns_to = word(frame.wrapping_add(WORD)).filter(|address| *address >= IMAGE)?;
        frame = word(frame)?;
        // A call that never returns may be the last instruction of its function.
        Some(returns_to - 1)
    });
    calls.take(MOST_CALLS)
}

/// Reads a word, if it can be read.
fn word(address: u64) -> Option<u64> {
    let load = || {
        let value: u64;
        // SAFETY: a load changes nothing, whatever lies there; one that faults is caught.
        unsafe {
            asm!("mov {}, [{}]", out(reg) value, in(reg) address, options(nostack, readonly, preserves_flags))
        };
        value
    };
    // SAFETY: the closure owns nothing and locks nothing.
    unsafe { catch_fault(load) }.ok()
}
