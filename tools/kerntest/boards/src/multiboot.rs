//! A PC that QEMU loads the kernel into, by Multiboot: 32-bit protected mode, no paging.

use core::arch::{asm, global_asm};
use core::sync::atomic::AtomicUsize;

/// What a case keeps on purpose.
pub static KEPT: AtomicUsize = AtomicUsize::new(0);

global_asm!(
    ".section .vectors, \"a\"",
    ".balign 4",
    ".long 0x1BADB002, 0, -0x1BADB002",
    ".section .text.start, \"ax\"",
    ".globl start",
    "start:",
    "mov esp, offset stack_top",
    // The compiler uses SSE: clear CR0.EM, set CR0.MP, CR4.OSFXSR and CR4.OSXMMEXCPT.
    "mov eax, cr0",
    "and eax, ~4",
    "or eax, 2",
    "mov cr0, eax",
    "mov eax, cr4",
    "or eax, 0x600",
    "mov cr4, eax",
    "call {main}",
    main = sym crate::main,
);

/// Writes to the serial port.
pub fn write(byte: u8) {
    // SAFETY: the first serial port, which is always ready under QEMU.
    unsafe { asm!("out dx, al", in("dx") 0x3F8_u16, in("al") byte, options(nomem, nostack)) };
}

/// Waits for an interrupt; none is enabled.
pub fn wait() {
    // SAFETY: it touches no memory.
    unsafe { asm!("hlt", options(nomem, nostack)) };
}
