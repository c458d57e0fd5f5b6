//! What a process did that the kernel ended it for, and the report of it.
//!
//! ```text
//! process 3 (segv): Segmentation fault: write to 0x0000000000000000: null pointer
//!   nearest: 555555554000-555555556000 r-- segv
//!   rip 0x0000555555556123  rsp 0x00007ffffffde000  flg 0x0000000000000202
//!   …
//! ```

use core::fmt;

use super::status::Signal;
use super::table::Pid;
use crate::address_space::{Cause, Vma};
use crate::memory::report::Exception;
use crate::memory::{PageFault, Registers};

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
        write!(f, "process {} ({}): {}: ", self.pid, self.name, self.signal.description())?;
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
