//! Blocks of other arenas that were freed here, until there are enough for one exchange (C27).

use core::ptr::NonNull;

use super::mailbox::Mailbox;
use super::packets::Batch;
use crate::segments::Owner;

/// Number of owners for which blocks are gathered at the same time.
const BOXES: usize = 8;

/// Size of a full box, in bytes. A box has less than that, and one block.
pub(super) const MOST_BYTES: usize = 16 << 10;

/// Size as which a block of unknown size counts, in bytes.
pub(super) const UNKNOWN_SIZE: usize = MOST_BYTES / 16;

/// Blocks for one owner.
#[derive(Debug)]
#[repr(C)]
struct Box {
    blocks: Batch,
    bytes: usize,
    to: Owner,
}

/// Blocks that wait to be sent.
///
/// # Invariants
///
/// * box `b` has blocks of owners whose number is `b` modulo `BOXES`
/// * without the last block, a box has less than `MOST_BYTES` bytes. A full box is sent when the
///   next block comes
#[derive(Debug)]
pub(super) struct Outbox([Box; BOXES]);

impl Outbox {
    pub(super) const fn new() -> Self {
        Self([const { Box { blocks: Batch::EMPTY, bytes: 0, to: Owner::NONE } }; BOXES])
    }

    /// Takes a block of `size` bytes for its owner, if no box must be sent before. O(1).
    ///
    /// # Safety
    ///
    /// If the answer is true: the block belongs to the owner, holds a word, and no caller uses it.
    #[inline(always)]
    unsafe fn put_at_once(&mut self, to: Owner, block: NonNull<u8>, size: usize) -> bool {
        let out = &mut self.0[to.number() % BOXES];
        if out.to != to || out.bytes >= MOST_BYTES || !out.blocks.add(block) {
            return false;
        }
        out.bytes += size;
        true
    }

    /// Takes a block of `size` bytes for its owner, to whose mailbox `mailbox_of` leads. O(1).
    ///
    /// # Safety
    ///
    /// The block belongs to the owner, holds a word, and no caller uses it.
    pub(super) unsafe fn put<'mail>(
        &mut self,
        to: Owner,
        block: NonNull<u8>,
        size: usize,
        mailbox_of: impl Fn(Owner) -> Option<&'mail Mailbox>,
    ) {
        // SAFETY: the clauses are those of this method.
        if !unsafe { self.put_at_once(to, block, size) } {
            let out = &mut self.0[to.number() % BOXES];
            out.send(&mailbox_of);
            out.to = to;
            // SAFETY: as before. There is room now.
            unsafe { self.put_at_once(to, block, size) };
        }
    }

    /// Sends all blocks.
    pub(super) fn send_all<'mail>(&mut self, mailbox_of: impl Fn(Owner) -> Option<&'mail Mailbox>) {
        self.0.iter_mut().for_each(|out| out.send(&mailbox_of));
    }
}

impl Box {
    fn send<'mail>(&mut self, mailbox_of: &impl Fn(Owner) -> Option<&'mail Mailbox>) {
        if let Some(mailbox) = mailbox_of(self.to).filter(|_| !self.blocks.is_empty()) {
            // SAFETY: `put`'s clauses hold for each block.
            unsafe { mailbox.send(&self.blocks) };
        }
        self.blocks.clear();
        self.bytes = 0;
    }
}
