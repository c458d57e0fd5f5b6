//! What the processor tells about an access to memory, and why a program in ring 3 stopped.

use core::fmt;

/// What an instruction did with an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Loaded from it.
    Read,
    /// Stored to it.
    Write,
    /// Was fetched from it.
    Execute,
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Execute => "execute",
        })
    }
}

impl Access {
    /// The words that a report puts before the address.
    pub const fn of(self) -> &'static str {
        match self {
            Self::Read => "read of",
            Self::Write => "write to",
            Self::Execute => "fetch from",
        }
    }
}

/// A page fault, as the processor tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The address (register CR2).
    pub address: u64,
    /// What was done with it.
    pub access: Access,
}

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
