//! A page fault, as the processor tells it.

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

/// A page fault, as the processor tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageFault {
    /// The address (register CR2).
    pub address: u64,
    /// What was done with it.
    pub access: Access,
    /// The page is mapped, and its permissions forbid the access.
    pub present: bool,
}
