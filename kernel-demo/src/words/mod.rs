//! The words that all rooms share: addresses and pages, accesses and permissions, Linux's numbers
//! of errors and signals, and the error of who asked for frames.

pub mod access;
pub mod layout;
pub mod linux;
pub mod permissions;
pub mod screen;
pub mod text;

use core::fmt;

pub use access::{Access, PageFault, Stop};
pub use linux::{Errno, Signal, Status};
pub use permissions::Permissions;
pub use text::Text;

/// A request for frames that was not met. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames {
    /// Frames asked for.
    pub asked: usize,
    /// Frames that were free and not promised to others.
    pub available: usize,
    /// Whether the failure was made to happen by fault injection.
    pub injected: bool,
}

impl fmt::Display for OutOfFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = if self.asked == 1 { "" } else { "s" };
        write!(f, "asked for {} frame{end}, {} available", self.asked, self.available)?;
        if self.injected { f.write_str(" (failure injected)") } else { Ok(()) }
    }
}
