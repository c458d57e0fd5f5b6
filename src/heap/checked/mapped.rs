//! The blocks that have mappings of their own: a provider cannot be asked whose an address is, so
//! they are listed.
//!
//! ```text
//!   newest ──► block ──► block ──► none       the link is the word in front of a block's header
//! ```
//!
//! A look-up takes as long as there are such blocks.

use core::ptr::NonNull;

use super::{Misuse, MisuseKind};
use crate::cell::WORD;
use crate::heap::Heap;
use crate::provider::{Break, Map};

/// How many of the last addresses that were unmapped are known.
const REMEMBERED: usize = 8;

/// # Invariants
///
/// the list has every block with a mapping of its own, once
#[derive(Debug)]
pub(super) struct Mapped {
    newest: Option<NonNull<u8>>,
    /// Blocks that were unmapped last, as addresses; the next one overwrites number `oldest`.
    gone: [usize; REMEMBERED],
    oldest: usize,
}

impl Mapped {
    pub(super) const fn new() -> Self {
        Self { newest: None, gone: [0; REMEMBERED], oldest: 0 }
    }

    fn blocks(&self) -> impl Iterator<Item = NonNull<u8>> {
        core::iter::successors(self.newest, |&block| {
            // SAFETY: in the list.
            unsafe { link_of(block).read() }
        })
    }

    /// Where the list leads to a block from.
    fn link_to(&mut self, block: NonNull<u8>) -> Option<NonNull<Option<NonNull<u8>>>> {
        if self.newest == Some(block) {
            return Some(NonNull::from(&mut self.newest));
        }
        // SAFETY: the block before it is in the list, and has not gone.
        self.blocks().map(link_of).find(|link| unsafe { link.read() } == Some(block))
    }
}

/// The link of a block with a mapping of its own.
fn link_of(block: NonNull<u8>) -> NonNull<Option<NonNull<u8>>> {
    // SAFETY: two words at least lie between the start of a mapping and the block.
    unsafe { block.byte_sub(2 * WORD) }.cast()
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// A block got a mapping of its own.
    pub(in crate::heap) fn note_mapped(&mut self, block: NonNull<u8>) {
        let mapped = &mut self.guard.mapped;
        // SAFETY: the word is the mapping's, and nobody uses it.
        unsafe { link_of(block).write(mapped.newest) };
        mapped.newest = Some(block);
        mapped
            .gone
            .iter_mut()
            .filter(|gone| **gone == block.addr().get())
            .for_each(|gone| *gone = 0);
    }

    /// A block's mapping is about to go.
    pub(in crate::heap) fn forget_mapped(&mut self, block: NonNull<u8>) {
        let mapped = &mut self.guard.mapped;
        let Some(link) = mapped.link_to(block) else { return };
        // SAFETY: in the list, and still there.
        let behind = unsafe { link_of(block).read() };
        // SAFETY: a link of the list.
        unsafe { link.write(behind) };
        mapped.gone[mapped.oldest % REMEMBERED] = block.addr().get();
        mapped.oldest = (mapped.oldest + 1) % REMEMBERED;
    }

    /// A block's mapping has moved, and its link with it.
    pub(in crate::heap) fn move_mapped(&mut self, old: NonNull<u8>, new: NonNull<u8>) {
        if let Some(link) = self.guard.mapped.link_to(old) {
            // SAFETY: a link of the list.
            unsafe { link.write(Some(new)) };
        }
    }

    /// How many bytes a block has, if it has a mapping of its own.
    pub(super) fn mapped_capacity_checked(&self, block: NonNull<u8>) -> Option<usize> {
        let block = self.guard.mapped.blocks().find(|&other| other == block)?;
        // SAFETY: a block of this heap.
        unsafe { self.mapped_capacity(block) }
    }

    /// What it means to free an address that is neither in the heap nor that of a mapped block.
    pub(super) fn not_mapped(&self, address: usize) -> Misuse {
        let (block, at, found) = (address, address, address);
        let was_mapped = address != 0 && self.guard.mapped.gone.contains(&address);
        let kind = if was_mapped { MisuseKind::DoubleFree } else { MisuseKind::NeverAllocated };
        Misuse { kind, block, at, found, expected: 0 }
    }
}
