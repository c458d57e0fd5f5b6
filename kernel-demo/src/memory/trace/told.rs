//! What a story tells of the trace.

use super::Event;
use crate::story::{self, Kind};

impl Event {
    /// Tells it, in a story. Of what is mapped, page tables tell themselves.
    #[cold]
    pub(super) fn tell(&self) {
        match *self {
            Self::Break { region, old, new } => story::record(Kind::Break, &[old, new], region),
            Self::Fault { region, access, address } => {
                story::record(Kind::Fault, &[address, access as u64], region);
            }
            Self::FrameTaken { frame, purpose } => {
                story::record(Kind::FrameTaken, &[frame, purpose as u64], "");
            }
            Self::FrameReturned { frame, purpose } => {
                story::record(Kind::FrameReturned, &[frame, purpose as u64], "");
            }
            Self::Map { .. } | Self::Unmap { .. } => {}
        }
    }
}
