//! The leaf that was used last: most blocks that an arena frees lie in the same 64 MiB, and their
//! look-up is shorter.

use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use super::{ENTRIES, Entry, Leaf, Owner, SegmentMap, UNIT};
use crate::slabs::Slab;

/// Leaf of a map, and the addresses that it describes.
///
/// # Invariants
///
/// * `len = 0`, or `len = ENTRIES · UNIT` and `leaf` describes the addresses from `start` on
/// * the leaf stays as long as this
#[derive(Debug)]
pub(crate) struct Near {
    start: usize,
    len: usize,
    leaf: NonNull<Leaf>,
}

impl Near {
    /// No leaf: nothing is near.
    pub(crate) const NOTHING: Self = Self { start: 0, len: 0, leaf: NonNull::dangling() };

    /// Returns whether there is no leaf.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.len == 0
    }

    /// Returns the owner of the segment in which an address lies, if it lies near. O(1).
    #[inline(always)]
    pub(crate) fn owner_of(&self, address: usize) -> Option<Owner> {
        self.entry_of(address).map(Entry::owner)
    }

    /// Returns the word of an address, if it lies near and in a segment of `owner`: a descriptor of
    /// its slab, or one that stands for no slab. O(1).
    #[inline(always)]
    pub(crate) fn word_of(&self, address: usize, owner: Owner) -> Option<NonNull<Slab>> {
        let entry = self.entry_of(address).filter(|entry| entry.owner() == owner)?;
        // SAFETY: the address lies in this unit, which lies in a segment: it has an owner.
        let word = unsafe { entry.word(address) }.load(Ordering::Relaxed);
        // SAFETY: the word of a granule in a segment leads to a descriptor.
        Some(unsafe { NonNull::new_unchecked(word) })
    }

    /// Returns the entry of an address, if the leaf describes it.
    #[inline(always)]
    fn entry_of(&self, address: usize) -> Option<Entry<'_>> {
        let offset = address.wrapping_sub(self.start);
        if offset >= self.len {
            return None;
        }
        // SAFETY: there is a leaf, for its length is not 0, and the address lies in the range that
        // it describes: the type's invariant.
        Some(Entry { leaf: unsafe { self.leaf.as_ref() }, index: offset / UNIT })
    }
}

impl SegmentMap {
    /// Returns the leaf that describes an address, if there is one, and if it describes all units
    /// of its range: the first window that reaches a unit does, and another window's leaf may share
    /// some with it.
    ///
    /// # Safety
    ///
    /// The map stays as long as the answer is in use.
    pub(crate) unsafe fn near(&self, address: usize) -> Option<Near> {
        let unit = address / UNIT;
        let (leaf, index) = self.leaf_of(unit)?;
        let (first, last) = (unit.checked_sub(index)?, unit - index + (ENTRIES - 1));
        let is_leafs = |unit| self.leaf_of(unit).is_some_and(|(other, _)| ptr::eq(other, leaf));
        let is_whole = last <= usize::MAX / UNIT && is_leafs(first) && is_leafs(last);
        let (start, leaf) = (first * UNIT, NonNull::from(leaf));
        is_whole.then_some(Near { start, len: ENTRIES * UNIT, leaf })
    }
}
