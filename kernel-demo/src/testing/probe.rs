//! Single accesses to any address, made to find out whether they fault.
#![allow(unsafe_code)]

use core::arch::asm;

use crate::arch::catch_fault;
use crate::memory::FaultReport;

/// Reads the byte at the address. This may make a first touch.
///
/// # Errors
///
/// The fault that the access ended in.
pub fn read(address: u64) -> Result<u8, FaultReport> {
    let load = || {
        let value: u8;
        // SAFETY: a load changes nothing, whatever lies there; one that faults is caught.
        unsafe {
            asm!("mov {}, [{}]", out(reg_byte) value, in(reg) address, options(nostack, readonly, preserves_flags))
        };
        value
    };
    // SAFETY: the closure owns nothing and locks nothing.
    unsafe { catch_fault(load) }
}

/// Writes a byte to the address. This may make a first touch.
///
/// # Errors
///
/// The fault that the access ended in.
///
/// # Safety
///
/// If the address can be written to, the byte there is the caller's.
pub unsafe fn write(address: u64, value: u8) -> Result<(), FaultReport> {
    let store = || {
        // SAFETY: the byte is the caller's, or the store faults and is caught.
        unsafe {
            asm!("mov [{}], {}", in(reg) address, in(reg_byte) value, options(nostack, preserves_flags))
        };
    };
    // SAFETY: the closure owns nothing and locks nothing.
    unsafe { catch_fault(store) }
}

/// Calls the code at the address.
///
/// # Errors
///
/// The fault that the call ended in.
///
/// # Safety
///
/// If the address can be executed, what lies there is a function without arguments that owns
/// nothing.
pub unsafe fn execute(address: u64) -> Result<(), FaultReport> {
    let call = || {
        // SAFETY: a function lies there, or the call faults and is caught.
        unsafe { asm!("call {}", in(reg) address, clobber_abi("C")) };
    };
    // SAFETY: neither the closure nor the function owns anything.
    unsafe { catch_fault(call) }
}
