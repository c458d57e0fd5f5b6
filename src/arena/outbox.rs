//! Blocks of others that were freed here, until there are enough of them for one exchange (C27).

use core::ptr::NonNull;

use super::mailbox::Mailbox;
use super::packets::Batch;
use crate::small::segments::Owner;

/// Owners for whom blocks are collected at the same time.
const BOXES: usize = 8;

/// So many bytes wait here for one owner, at most.
pub(super) const MOST_BYTES: usize = 16 << 10;

/// What a block counts whose size is not known.
pub(super) const UNKNOWN_SIZE: usize = MOST_BYTES / 16;

/// Blocks for one owner.
#[derive(Debug)]
struct Box {
    to: Owner,
    bytes: usize,
    blocks: Batch,
}

/// What waits to be sent.
///
/// # Invariants
///
/// * box `b` has blocks of owners whose number is `b` modulo `BOXES`
/// * its batch is not full, and has less than `MOST_BYTES` bytes
#[derive(Debug)]
pub(super) struct Outbox([Box; BOXES]);

impl Outbox {
    pub(super) const fn new() -> Self {
        Self([const { Box { to: Owner::NOBODY, bytes: 0, blocks: Batch::EMPTY } }; BOXES])
    }

    /// Takes a block of `size` bytes, of which `note` is known, for its owner, whose mailbox `mailbox_of` knows. O(1).
    ///
    /// # Safety
    ///
    /// The block is the owner's, holds a word, and nobody uses or lists it.
    #[inline]
    pub(super) unsafe fn put<'mail>(
        &mut self,
        to: Owner,
        (block, note): (NonNull<u8>, u8),
        size: usize,
        mailbox_of: impl Fn(Owner) -> Option<&'mail Mailbox>,
    ) {
        let out = &mut self.0[to.number() % BOXES];
        if out.to != to {
            out.send(&mailbox_of);
            out.to = to;
        }
        out.blocks.add(block, note);
        out.bytes += size;
        if out.blocks.is_full() || out.bytes >= MOST_BYTES {
            out.send(&mailbox_of);
        }
    }

    /// Sends everything.
    pub(super) fn send_all<'mail>(&mut self, mailbox_of: impl Fn(Owner) -> Option<&'mail Mailbox>) {
        self.0.iter_mut().for_each(|out| out.send(&mailbox_of));
    }
}

impl Box {
    fn send<'mail>(&mut self, mailbox_of: &impl Fn(Owner) -> Option<&'mail Mailbox>) {
        self.bytes = 0;
        if !self.blocks.is_empty()
            && let Some(mailbox) = mailbox_of(self.to)
        {
            // SAFETY: what `put` was promised of each.
            unsafe { mailbox.send(&self.blocks) };
            self.blocks.clear();
        }
    }
}
