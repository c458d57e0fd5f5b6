//! What others have freed of an arena, until its owner takes it up: packets, and what comes when none is empty.

use core::ptr::NonNull;

use super::packets::{Batch, Packets};
use super::remote::{Chain, RemoteList};
use super::sync::Link;

/// Where an arena's blocks come back that others have freed.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Mailbox {
    pub(super) list: RemoteList,
    pub(super) packets: Packets,
}

impl Mailbox {
    /// Whether nothing is there, as far as the caller can know.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty() && self.list.is_empty()
    }

    /// Sends blocks to the owner. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// The blocks are the owner's, each holds a word, and nobody uses or lists them.
    pub(super) unsafe fn send(&self, batch: &Batch) {
        // SAFETY: the caller's promise.
        if unsafe { self.packets.send(batch) } {
            return;
        }
        let mut chain = Chain::EMPTY;
        for (block, _) in batch.iter() {
            // SAFETY: the caller's promise.
            unsafe { chain.add(block.cast::<Link>()) };
        }
        chain.send(&self.list);
    }

    /// Sends one block, by who has nobody to collect it with. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// As for [`send`](Mailbox::send).
    pub(super) unsafe fn send_one(&self, block: NonNull<u8>) {
        let mut chain = Chain::EMPTY;
        // SAFETY: the caller's promise.
        unsafe { chain.add(block.cast::<Link>()) };
        chain.send(&self.list);
    }
}
