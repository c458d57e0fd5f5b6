//! Blocks of an arena that other callers have freed, until its owner collects them: packets, and a
//! list for when no packet is empty.
//!
//! ```text
//!   sender:  an empty packet ──(none)──► the list
//! ```

use super::packets::{Batch, Packets};
use super::remote::{Chain, RemoteList};
use super::sync::Link;

/// Packets and list of an arena.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Mailbox {
    pub(super) list: RemoteList,
    pub(super) packets: Packets,
}

impl Mailbox {
    /// Returns whether there is no block, as far as the caller can know.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.list.is_empty()
    }

    /// Sends blocks to the owner. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// The blocks belong to the owner, each holds a word, and no caller uses them.
    pub(super) unsafe fn send(&self, batch: &Batch) {
        // SAFETY: the clauses are those of this method.
        if unsafe { self.packets.send(batch) } {
            return;
        }
        let mut chain = Chain::EMPTY;
        for block in batch.iter() {
            // SAFETY: the clauses are those of this method.
            unsafe { chain.add(block.cast::<Link>()) };
        }
        chain.send(&self.list);
    }
}
