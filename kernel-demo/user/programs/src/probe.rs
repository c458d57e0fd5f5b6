//! Touches any address. If the processor refuses, the kernel ends the process: only a child should
//! do this where that is to be expected.
//!
//! The instructions are written out, so that the compiler has no opinion on what the addresses
//! mean. The register is none that implies the stack segment, for that raises another exception on
//! addresses that the processor does not have.

use core::arch::asm;

/// Reads a byte.
#[must_use]
pub fn read(address: usize) -> u8 {
    let byte: u8;
    // SAFETY: it reads what this process may read, or ends it.
    unsafe {
        asm!("mov {byte}, [rdi]", byte = out(reg_byte) byte, in("rdi") address, options(nostack, readonly))
    };
    byte
}

/// Writes a byte.
///
/// # Safety
///
/// If it can be written, nobody else relies on it.
pub unsafe fn write(address: usize, byte: u8) {
    // SAFETY: the caller's promise.
    unsafe {
        asm!("mov [rdi], {byte}", byte = in(reg_byte) byte, in("rdi") address, options(nostack))
    };
}

/// Calls what is at the address.
///
/// # Safety
///
/// If it can be executed, it returns at once and changes nothing.
pub unsafe fn execute(address: usize) {
    // SAFETY: the caller's promise.
    unsafe { asm!("call rdi", in("rdi") address) };
}

/// The instruction that returns at once.
pub const RETURN: u8 = 0xC3;
