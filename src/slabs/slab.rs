//! One slab: equal blocks in the payload of a cell, and the descriptor that counts them.
//!
//! ```text
//!   granule boundary, payload of the cell                                       granule boundary
//!   ▼                                                                           ▼
//!   ┌───────┬───────┬───────┬───────┬───────┬─ ─ ─ ─ ─ ─ ─ ─ ─┬───────────────┬────────┐
//!   │ block │ block │ block │ block │ block │  not yet carved │ less than one │ header │ next cell
//!   └───────┴─▲───┬─┴───────┴─▲───┬─┴───────┴─────────────────┴───────────────┴────────┘
//!             │   └───────────┘   │
//!             └── free        None┘                 the descriptor lies elsewhere: descriptors.rs
//! ```

use core::ptr::NonNull;

use crate::cell::{Form, WORD};
use crate::link_copy::{self, BrokenLink};
use crate::size_class::{Class, SLAB_CLASSES};

/// Unit of addresses that the page map describes, in bytes: a slab begins at a multiple of it.
pub(crate) const GRANULE: usize = 2048;

/// Maximum number of blocks that are carved at once.
const CARVED_AT_ONCE: usize = 32;

/// A slab is relisted when one block of this number is free.
const RELISTED_AT: u16 = 16;

/// Minimum number of blocks in a slab of small, and of medium, blocks.
const LEAST_SMALL: usize = 8;
const LEAST_MEDIUM: usize = 4;

/// Blocks that are aligned to their size lose a whole block to the header of the next cell. A slab
/// of them has at least this number, unless memory is short.
const LEAST_ALIGNED: usize = 31;

/// Blocks from this size on, aligned to their size, count as pages.
const PAGE: usize = 4096;

/// A slab wastes at most this share of itself behind its last block, if it can.
const WASTE_SHARE: usize = 16;

/// Maximum length of a slab that is longer than it must be, in bytes.
const MOST: usize = 32 << 10;

/// Denominator of the share of the heap that a slab may take which is longer than it must be.
const LEN_SHARE: usize = 256;

/// Link in a free block to the block that was freed before it.
#[derive(Debug)]
#[repr(transparent)]
pub(crate) struct Link(Option<NonNull<Link>>);

/// List of free blocks, from one to the one that was freed before it.
///
/// In a checked heap each link has a [copy](crate::link_copy).
#[derive(Debug, Default)]
pub(crate) struct FreeList(pub(crate) Option<NonNull<Link>>);

impl FreeList {
    pub(crate) const EMPTY: Self = Self(None);

    /// Takes the first block. O(1).
    ///
    /// # Safety
    ///
    /// The blocks of the list are in memory of the heap, and nothing uses them.
    #[inline(always)]
    pub(crate) unsafe fn pop(&mut self) -> Option<NonNull<u8>> {
        let block = self.0?;
        // SAFETY: a block in the list begins with a link that `push` wrote.
        self.0 = unsafe { block.as_ref() }.0;
        Some(block.cast())
    }

    /// Puts a block first. O(1).
    ///
    /// # Safety
    ///
    /// The block has room for a link (in a checked heap, for its copy too), and nothing uses it.
    #[inline(always)]
    pub(crate) unsafe fn push<F: Form>(&mut self, block: NonNull<u8>) {
        let link = block.cast::<Link>();
        // SAFETY: the block has room for a link, and nothing uses it: this method's clause.
        unsafe { link.write(Link(self.0)) };
        if F::CHECKED {
            // SAFETY: the block has room for the copy, too: this method's clause.
            unsafe { link_copy::write(block, addr(self.0)) };
        }
        self.0 = Some(link);
    }

    /// Compares the first block's link with its copy. If the link was overwritten, the list ends
    /// with the block: those behind it are lost.
    ///
    /// # Errors
    ///
    /// The overwritten link.
    ///
    /// # Safety
    ///
    /// The clause of [`pop`](FreeList::pop); the heap is a checked one.
    pub(crate) unsafe fn watch(&mut self) -> Result<(), BrokenLink> {
        let Some(block) = self.0 else { return Ok(()) };
        // SAFETY: the block is in the list, so `push` wrote its link and the copy. Any bits are an
        // address.
        let verdict = unsafe {
            let link = block.cast::<usize>().read();
            link_copy::verify(block.cast(), link)
        };
        if verdict.is_err() {
            // SAFETY: the block is free, and has room for both words.
            unsafe {
                block.write(Link(None));
                link_copy::write(block.cast(), 0);
            }
        }
        verdict
    }

    /// Returns the addresses of the blocks, as far as `is_block` accepts them: the first one that
    /// it rejects is the last.
    ///
    /// # Safety
    ///
    /// What `is_block` accepts is the address of a block in memory of the heap.
    pub(crate) unsafe fn addresses(
        &self,
        is_block: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = usize> {
        let mut at = self.0;
        core::iter::from_fn(move || {
            let block = at?;
            let address = block.addr().get();
            // SAFETY: a block of the heap begins there: this method's clause. Any bits are a link
            // or none.
            at = if is_block(address) { unsafe { block.read() }.0 } else { None };
            Some(address)
        })
    }
}

fn addr(link: Option<NonNull<Link>>) -> usize {
    link.map_or(0, |link| link.addr().get())
}

/// List that a slab is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum State {
    /// No slab: the descriptor of granules without one.
    Absent,
    /// In its class's list: it has, or may have, a free block.
    Listed,
    /// In no list: fewer than a sixteenth of its blocks are free.
    Full,
}

/// Descriptor of a slab.
///
/// # Invariants
///
/// * `carved ≤ total`; the blocks before number `carved` are live, in `free`, or in the list of
///   their class if the slab is the first of its class
/// * `left` is, in a listed slab, the number of carved blocks that are not in `free`; in a full one,
///   the number of blocks that must still be freed before it is relisted
/// * the descriptor of no slab has `left = 1`, between two operations
#[derive(Debug)]
pub(crate) struct Slab {
    /// Blocks that were freed.
    pub(crate) free: FreeList,
    /// Frees until the slab needs attention.
    pub(crate) left: u16,
    /// Number of blocks that were ever handed out, or are about to be.
    pub(crate) carved: u16,
    pub(crate) total: u16,
    pub(crate) class: Class,
    pub(crate) state: State,
    /// First block.
    pub(crate) start: NonNull<u8>,
    pub(crate) next: Option<NonNull<Slab>>,
    pub(crate) prev: Option<NonNull<Slab>>,
}

impl Slab {
    /// The descriptor of granules without a slab. The first free that finds it needs attention.
    pub(crate) const ABSENT: Self = Self {
        free: FreeList::EMPTY,
        left: 1,
        carved: 0,
        total: 0,
        class: Class::SMALLEST,
        state: State::Absent,
        start: NonNull::dangling(),
        next: None,
        prev: None,
    };

    /// A slab of this shape that has no block yet.
    pub(crate) const fn begin(start: NonNull<u8>, class: Class, total: usize) -> Self {
        Self { left: 0, class, state: State::Listed, total: total as u16, start, ..Self::ABSENT }
    }

    /// Returns the number of frees after which the slab is relisted, once it is full.
    pub(crate) const fn relisted_after(&self) -> u16 {
        let blocks = self.carved / RELISTED_AT;
        if blocks == 0 { 1 } else { blocks }
    }

    /// Returns the number of blocks that are not in the slab's own list, and are carved.
    pub(crate) const fn taken(&self) -> u16 {
        match self.state {
            State::Full => self.carved - (self.relisted_after() - self.left),
            State::Listed | State::Absent => self.left,
        }
    }

    /// Returns `true` if blocks were carved, and all of them are in the slab's list.
    pub(crate) const fn is_empty(&self) -> bool {
        self.left == 0 && self.carved > 0
    }

    /// Takes all free blocks, or, if there is none, some that are carved for it. An empty list: the
    /// slab is full. O(1): carves at most `CARVED_AT_ONCE` blocks.
    ///
    /// # Safety
    ///
    /// The slab is listed, and its memory is the heap's.
    pub(crate) unsafe fn take<F: Form>(&mut self) -> FreeList {
        if self.free.0.is_some() {
            self.left = self.carved;
            return core::mem::take(&mut self.free);
        }
        let (first, more) =
            (usize::from(self.carved), usize::from(self.total - self.carved).min(CARVED_AT_ONCE));
        let mut list = FreeList::EMPTY;
        for index in (first..first + more).rev() {
            // SAFETY: block number `index < total` lies in the slab, has room for a link and, in a
            // checked heap, its copy, and was never used.
            unsafe { list.push::<F>(self.start.add(index * self.class.size())) };
        }
        self.carved += more as u16;
        self.left += more as u16;
        list
    }

    /// Returns the number of the block that begins at an address, if one of the carved ones does.
    pub(crate) fn index_of(&self, address: usize) -> Option<usize> {
        let (offset, size) = (address.checked_sub(self.start.addr().get())?, self.class.size());
        let index = offset / size;
        (offset % size == 0 && index < usize::from(self.carved)).then_some(index)
    }

    /// Returns the length of the slab, in bytes: whole granules, with the header of the next cell.
    pub(crate) const fn len(&self) -> usize {
        len_of(self.class, self.total as usize)
    }
}

/// Returns the length of a slab of `total` blocks, in bytes.
pub(crate) const fn len_of(class: Class, total: usize) -> usize {
    (total * class.size() + WORD).next_multiple_of(GRANULE)
}

/// Returns the alignment of a slab, in bytes.
pub(crate) const fn alignment_of(class: Class) -> usize {
    let alignment = class.alignment();
    if alignment > GRANULE { alignment } else { GRANULE }
}

/// Returns the number of blocks of the shortest slab of each class that wastes little.
const LEAST: [u16; SLAB_CLASSES] = {
    let mut least = [0; SLAB_CLASSES];
    let mut index = 0;
    while index < SLAB_CLASSES {
        let size = crate::size_class::SIZES[index] as usize;
        let blocks = if size >= PAGE {
            LEAST_ALIGNED
        } else if index < crate::size_class::CLASSES {
            LEAST_SMALL
        } else {
            LEAST_MEDIUM
        };
        let mut len = (blocks * size + WORD).next_multiple_of(GRANULE);
        while (len - WORD) % size + WORD > len / WASTE_SHARE {
            len += GRANULE;
        }
        least[index] = ((len - WORD) / size) as u16;
        index += 1;
    }
    least
};

/// Returns the number of blocks of the next slab of a class that has `bytes` bytes of slabs, in a
/// heap of `heap` bytes: a slab that is longer than it must be is at most a quarter as long as they
/// are, and at most a `LEN_SHARE`th of the heap.
pub(crate) const fn blocks_of_next(class: Class, bytes: usize, heap: usize) -> usize {
    let mut blocks = LEAST[class.slab_index()] as usize;
    let mut len = len_of(class, blocks);
    while 2 * len <= MOST && 8 * len <= bytes && 2 * len <= heap / LEN_SHARE {
        len *= 2;
        blocks = (len - WORD) / class.size();
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_wastes_little() {
        for class in Class::all_of_slabs() {
            for bytes in [0, 1 << 15, 1 << 20] {
                let blocks = blocks_of_next(class, bytes, 16 * bytes);
                let len = len_of(class, blocks);
                assert!((len - blocks * class.size()) * WASTE_SHARE <= len, "{class:?}: {len}");
                assert_eq!(blocks, (len - WORD) / class.size(), "{class:?}");
                assert!(blocks <= usize::from(u16::MAX));
                assert!(blocks >= LEAST_MEDIUM);
            }
        }
    }
}
