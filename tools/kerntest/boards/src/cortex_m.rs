//! Cortex-M3, the board lm3s6965evb.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicUsize;

/// What a case keeps on purpose.
pub static KEPT: AtomicUsize = AtomicUsize::new(0);

global_asm!(
    ".section .vectors, \"a\"",
    ".word stack_top",
    ".word start",
    ".section .text.start, \"ax\"",
    ".globl start",
    ".thumb_func",
    "start:",
    "b {main}",
    main = sym crate::main,
);

/// Writes to the serial port.
pub fn write(byte: u8) {
    // SAFETY: the data register of UART0, which is always ready under QEMU.
    unsafe { (0x4000_C000 as *mut u32).write_volatile(byte.into()) };
}

/// Waits for an interrupt.
pub fn wait() {
    // SAFETY: it touches no memory.
    unsafe { asm!("wfi", options(nomem, nostack)) };
}
