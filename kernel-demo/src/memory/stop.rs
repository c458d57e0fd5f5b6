//! Why a program in ring 3 stopped for the kernel.

use super::fault::PageFault;

/// Why a program in ring 3 stopped for the kernel. Its registers are as it left them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// `syscall`: the number is in `rax`, the arguments in `rdi`, `rsi`, `rdx`, `r10`, `r8`, `r9`;
    /// `rip` points behind the instruction, and the result goes into `rax`. The instruction
    /// itself left `rip` in `rcx` and `rflags` in `r11`.
    SystemCall,
    /// The instruction at `rip` touched memory that is not mapped, or not for that access. It can
    /// run again.
    PageFault(PageFault),
    /// Another exception. `rip` points at the instruction, or behind it where the processor says so
    /// (breakpoints).
    Exception {
        /// The processor's number of the exception.
        vector: u8,
        /// Its error code, 0 where it has none.
        error: u64,
    },
    /// The timer went off. `rip` points at the next instruction.
    Timer,
}
