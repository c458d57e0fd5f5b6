//! aarch64 `virt`.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicUsize;

/// What a case keeps on purpose.
pub static KEPT: AtomicUsize = AtomicUsize::new(0);

global_asm!(
    ".section .text.start, \"ax\"",
    ".globl start",
    "start:",
    "ldr x0, =stack_top",
    "mov sp, x0",
    "b {main}",
    main = sym crate::main,
);

/// Writes to the serial port.
pub fn write(byte: u8) {
    // SAFETY: the data register of the PL011, which is always ready under QEMU.
    unsafe { (0x900_0000 as *mut u32).write_volatile(byte.into()) };
}

/// Waits for an interrupt.
pub fn wait() {
    // SAFETY: it touches no memory.
    unsafe { asm!("wfi", options(nomem, nostack)) };
}
