//! What an entry of the kernel leaves on the stack.

use crate::memory::report::Registers;

/// The registers of interrupted code, as the common entry lays them out on the stack.
#[repr(C)]
pub struct TrapFrame {
    /// From `r15` to `rax`, the last one that is pushed first.
    general: [u64; 15],
    pub(super) vector: u64,
    pub(super) error_code: u64,
    /// Where the handler returns to.
    pub(super) rip: u64,
    pub(super) cs: u64,
    pub(super) rflags: u64,
    /// The stack that it returns to.
    pub(super) rsp: u64,
    ss: u64,
}

impl TrapFrame {
    pub(super) fn registers(&self) -> Registers {
        let Self { general, rip, rflags, rsp, .. } = *self;
        let [r15, r14, r13, r12, r11, r10, r9, r8, rbp, rdi, rsi, rdx, rcx, rbx, rax] = general;
        let low = Registers { rax, rbx, rcx, rdx, rsi, rdi, rbp, rsp, rip, ..Registers::default() };
        Registers { r8, r9, r10, r11, r12, r13, r14, r15, rflags, ..low }
    }
}
