//! What a process did that the kernel ended it for, and the report of it.
//!
//! ```text
//! process 3 (segv): Segmentation fault: write to 0x0000000000000000: null pointer
//!   nearest: 555555554000-555555556000 r-- segv
//!   rip 0x0000555555556123  rsp 0x00007ffffffde000  flg 0x0000000000000202
//!   …
//! ```

use core::fmt;

use super::table::Pid;
use crate::address_space::{Cause, Vma};
use crate::memory::report::Exception;
use crate::memory::{PageFault, Registers};
use crate::words::Signal;

/// Why a process cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It touched what is not its own, or not for that; or there is no frame for it.
    Access(PageFault, Cause),
    /// The processor raised another exception.
    Exception {
        /// Its number.
        vector: u8,
        /// Its error code.
        error: u64,
    },
    /// It waits for a word, and so do all who could wake it.
    Deadlock,
}

impl Reason {
    /// The signal that Linux sends for it.
    pub const fn signal(self) -> Signal {
        let vector = match self {
            Self::Access(_, Cause::OutOfFrames(_)) | Self::Deadlock => return Signal::SIGKILL,
            Self::Access(..) => return Signal::SIGSEGV,
            Self::Exception { vector, .. } => vector,
        };
        match vector {
            0 | 16 | 19 => Signal::SIGFPE,
            1 | 3 => Signal::SIGTRAP,
            6 | 7 => Signal::SIGILL,
            11 | 12 | 17 => Signal::SIGBUS,
            _ => Signal::SIGSEGV,
        }
    }
}

/// What a process did that ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// Its number.
    pub pid: Pid,
    /// Its name.
    pub name: &'static str,
    /// The signal that ended it.
    pub signal: Signal,
    /// Why.
    pub reason: Reason,
    /// The area that holds the address, or lies nearest to it.
    pub nearest: Option<Vma>,
    /// Where it was.
    pub registers: Registers,
}

impl Crash {
    /// The address that it touched, if that is what ended it.
    pub const fn address(&self) -> Option<u64> {
        match self.reason {
            Reason::Access(fault, _) => Some(fault.address),
            Reason::Exception { .. } | Reason::Deadlock => None,
        }
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} ({}): {}: ", self.pid, self.name, self.signal.text())?;
        match self.reason {
            Reason::Access(PageFault { address, access, .. }, cause) => {
                write!(f, "{} {address:#018x}: {cause}", access.of())?
            }
            Reason::Exception { vector, error } => {
                write!(f, "{}, error code {error:#x}", Exception(vector))?
            }
            Reason::Deadlock => f.write_str("deadlock: none is left that could wake it")?,
        }
        if let Some(nearest) = self.nearest {
            let relation = match self.address() {
                Some(address) if nearest.contains(address) => "there",
                _ => "nearest",
            };
            let Vma { start, end, permissions, .. } = nearest;
            write!(f, "\n  {relation}: {start:x}-{end:x} {permissions} {}", nearest.label())?;
        }
        write!(f, "{}", self.registers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_become_linuxs_signals() {
        let of = |vector| Reason::Exception { vector, error: 0 }.signal().to_string();
        let names = ["SIGFPE", "SIGTRAP", "SIGTRAP", "SIGILL", "SIGILL", "SIGSEGV", "SIGBUS"];
        assert_eq!([0, 1, 3, 6, 7, 13, 17].map(of), names);
    }
}
