//! Blocks of others that were freed here, until there are enough of them for one exchange (C27).

use core::ptr::NonNull;

use super::mailbox::Mailbox;
use super::packets::Batch;
use crate::segments::Owner;

/// Owners for whom blocks are collected at the same time.
const BOXES: usize = 8;

/// Bytes with which a box is full. What waits here for one owner is less than that, and a block.
pub(super) const MOST_BYTES: usize = 16 << 10;

/// What a block counts whose size is not known.
pub(super) const UNKNOWN_SIZE: usize = MOST_BYTES / 16;

/// Blocks for one owner.
#[derive(Debug)]
#[repr(C)]
struct Box {
    blocks: Batch,
    bytes: usize,
    to: Owner,
}

/// What waits to be sent.
///
/// # Invariants
///
/// * box `b` has blocks of owners whose number is `b` modulo `BOXES`
/// * without the block that came last, it has less than `MOST_BYTES` bytes. A box that is full is
///   sent when the next block comes
#[derive(Debug)]
pub(super) struct Outbox([Box; BOXES]);

impl Outbox {
    pub(super) const fn new() -> Self {
        Self([const { Box { blocks: Batch::EMPTY, bytes: 0, to: Owner::NOBODY } }; BOXES])
    }

    /// Takes a block of `size` bytes for its owner, if nothing has to be sent before. O(1).
    ///
    /// # Safety
    ///
    /// If the answer is true: the block is the owner's, holds a word, and nobody uses or lists it.
    #[inline(always)]
    pub(super) unsafe fn put_at_once(
        &mut self,
        to: Owner,
        block: NonNull<u8>,
        size: usize,
    ) -> bool {
        let out = &mut self.0[to.number() % BOXES];
        if out.to != to || out.bytes >= MOST_BYTES || !out.blocks.add(block) {
            return false;
        }
        out.bytes += size;
        true
    }

    /// Takes a block of `size` bytes for its owner, whose mailbox `mailbox_of` knows. O(1).
    ///
    /// # Safety
    ///
    /// The block is the owner's, holds a word, and nobody uses or lists it.
    pub(super) unsafe fn put<'mail>(
        &mut self,
        to: Owner,
        block: NonNull<u8>,
        size: usize,
        mailbox_of: impl Fn(Owner) -> Option<&'mail Mailbox>,
    ) {
        // SAFETY: the caller's promise.
        if !unsafe { self.put_at_once(to, block, size) } {
            let out = &mut self.0[to.number() % BOXES];
            out.send(&mailbox_of);
            out.to = to;
            // SAFETY: the caller's promise. There is room now.
            unsafe { self.put_at_once(to, block, size) };
        }
    }

    /// Sends everything.
    pub(super) fn send_all<'mail>(&mut self, mailbox_of: impl Fn(Owner) -> Option<&'mail Mailbox>) {
        self.0.iter_mut().for_each(|out| out.send(&mailbox_of));
    }
}

impl Box {
    fn send<'mail>(&mut self, mailbox_of: &impl Fn(Owner) -> Option<&'mail Mailbox>) {
        if let Some(mailbox) = mailbox_of(self.to).filter(|_| !self.blocks.is_empty()) {
            // SAFETY: what `put` was promised of each.
            unsafe { mailbox.send(&self.blocks) };
        }
        self.blocks.clear();
        self.bytes = 0;
    }
}
