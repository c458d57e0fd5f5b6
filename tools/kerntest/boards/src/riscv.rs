//! RISC-V `virt`, in machine mode.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicUsize;

/// What a case keeps on purpose.
pub static KEPT: AtomicUsize = AtomicUsize::new(0);

global_asm!(
    ".section .text.start, \"ax\"",
    ".globl start",
    "start:",
    "la sp, stack_top",
    "j {main}",
    main = sym crate::main,
);

/// Writes to the serial port.
pub fn write(byte: u8) {
    // SAFETY: the transmit register of the UART, which is always ready under QEMU.
    unsafe { (0x1000_0000 as *mut u8).write_volatile(byte) };
}

/// Waits for an interrupt.
pub fn wait() {
    // SAFETY: it touches no memory.
    unsafe { asm!("wfi", options(nomem, nostack)) };
}
