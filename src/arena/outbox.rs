//! Blocks of others that were freed here, until there are enough of them for one exchange (C27).

use core::ptr::NonNull;

use super::remote::{Chain, RemoteList};
use super::sync::Link;
use crate::small::segments::Owner;

/// Owners for whom blocks are collected at the same time.
const BOXES: usize = 8;

/// So many blocks are sent together, at most.
pub(super) const MOST_BLOCKS: usize = 32;

/// So many bytes wait here for one owner, at most.
pub(super) const MOST_BYTES: usize = 16 << 10;

/// What a block counts whose size is not known.
pub(super) const UNKNOWN_SIZE: usize = MOST_BYTES / 16;

/// Blocks for one owner.
#[derive(Debug)]
struct Box {
    to: Owner,
    bytes: usize,
    blocks: Chain,
}

/// What waits to be sent.
///
/// # Invariants
///
/// * box `b` has blocks of owners whose number is `b` modulo `BOXES`
/// * it has less than `MOST_BLOCKS` blocks, and less than `MOST_BYTES` bytes
#[derive(Debug)]
pub(super) struct Outbox([Box; BOXES]);

impl Outbox {
    pub(super) const fn new() -> Self {
        Self([const { Box { to: Owner::NOBODY, bytes: 0, blocks: Chain::EMPTY } }; BOXES])
    }

    /// Takes a block of `size` bytes for its owner, whose list `list_of` knows. O(1).
    ///
    /// # Safety
    ///
    /// The block is the owner's, holds a word, and nobody uses or lists it.
    #[inline]
    pub(super) unsafe fn put<'list>(
        &mut self,
        to: Owner,
        block: NonNull<u8>,
        size: usize,
        list_of: impl Fn(Owner) -> Option<&'list RemoteList>,
    ) {
        let out = &mut self.0[to.number() % BOXES];
        if out.to != to {
            out.send(&list_of);
            out.to = to;
        }
        // SAFETY: the caller's promise.
        unsafe { out.blocks.add(block.cast::<Link>()) };
        out.bytes += size;
        if out.blocks.len() >= MOST_BLOCKS || out.bytes >= MOST_BYTES {
            out.send(&list_of);
        }
    }

    /// Sends everything.
    pub(super) fn send_all<'list>(&mut self, list_of: impl Fn(Owner) -> Option<&'list RemoteList>) {
        self.0.iter_mut().for_each(|out| out.send(&list_of));
    }
}

impl Box {
    fn send<'list>(&mut self, list_of: &impl Fn(Owner) -> Option<&'list RemoteList>) {
        self.bytes = 0;
        if self.blocks.len() > 0
            && let Some(list) = list_of(self.to)
        {
            self.blocks.send(list);
        }
    }
}
