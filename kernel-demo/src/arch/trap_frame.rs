//! What an entry of the kernel leaves on the stack.

use crate::memory::report::Registers;

/// The registers of interrupted code, as the common entry lays them out on the stack.
#[repr(C)]
pub struct TrapFrame {
    r15: u64,
    r14: u64,
    r13: u64,
    r12: u64,
    r11: u64,
    r10: u64,
    r9: u64,
    r8: u64,
    rbp: u64,
    rdi: u64,
    rsi: u64,
    rdx: u64,
    rcx: u64,
    rbx: u64,
    rax: u64,
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

/// The registers of these names, out of something that has fields of the same names.
macro_rules! registers_of {
    ($from:expr, $($name:ident)+) => {
        Registers { $($name: $from.$name,)+ fs_base: 0 }
    };
}

impl TrapFrame {
    pub(super) const fn registers(&self) -> Registers {
        registers_of!(self, rax rbx rcx rdx rsi rdi rbp rsp r8 r9 r10 r11 r12 r13 r14 r15 rip rflags)
    }
}
