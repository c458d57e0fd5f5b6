//! Single accesses to any address, made to find out whether they fault.
#![allow(unsafe_code)]

use core::arch::asm;

use x86_64::registers::control::{Cr3, Cr3Flags};

use crate::arch::catch_fault;
use crate::memory::{FaultReport, ProcessPages};

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

/// Runs the closure on the page tables of a process, to show what the processor keeps the kernel
/// from there.
///
/// # Safety
///
/// Of the kernel only its image and its stacks are mapped meanwhile: the closure touches nothing
/// else, so no heap, and returns.
pub unsafe fn on_tables_of<R>(pages: &ProcessPages, closure: impl FnOnce() -> R) -> R {
    let (own, flags) = Cr3::read();
    // SAFETY: the tables map the code and the stack of this function where they are now; the
    // closure needs no more.
    unsafe { Cr3::write(pages.root(), Cr3Flags::empty()) };
    let result = closure();
    // SAFETY: the tables of before.
    unsafe { Cr3::write(own, flags) };
    result
}
