//! The leaf in which something was found last: most of what an arena frees lies in the same 64 MiB,
//! and one look is enough then.

use core::ptr::NonNull;

use super::{ENTRIES, Leaf, Owner, SegmentMap, UNIT, class_of_byte};
use crate::size_class::Class;
use crate::small::run::PAGE;

/// A leaf of a map, and what it describes.
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

    /// Whether there is no leaf.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.len == 0
    }

    /// Whose segment an address lies in, if it lies near. O(1).
    #[inline(always)]
    pub(crate) fn owner_of(&self, address: usize) -> Option<Owner> {
        self.place(address).map(|(leaf, offset)| leaf.owner(offset / UNIT))
    }

    /// If an address lies near, and in a segment of `owner`: the class of the run in which it lies,
    /// if it lies in one. O(1).
    #[inline(always)]
    pub(crate) fn class_if_owned(&self, address: usize, owner: Owner) -> Option<Option<Class>> {
        let (leaf, offset) =
            self.place(address).filter(|(leaf, offset)| leaf.owner(offset / UNIT) == owner)?;
        Some(class_of_byte(leaf.page(offset / PAGE)))
    }

    /// Whose segment an address lies in, if it lies near, and the class of the run in which it
    /// lies, if it lies in one. O(1).
    #[inline(always)]
    pub(crate) fn look(&self, address: usize) -> Option<(Owner, Option<Class>)> {
        let (leaf, offset) = self.place(address)?;
        Some((leaf.owner(offset / UNIT), class_of_byte(leaf.page(offset / PAGE))))
    }

    /// The leaf, if it describes an address, and how far behind its first one that is.
    #[inline(always)]
    fn place(&self, address: usize) -> Option<(&Leaf, usize)> {
        let offset = address.wrapping_sub(self.start);
        if offset >= self.len {
            return None;
        }
        // SAFETY: the type's invariant: there is one, for its length is not 0.
        Some((unsafe { self.leaf.as_ref() }, offset))
    }
}

impl SegmentMap {
    /// The leaf that describes an address, if there is one.
    ///
    /// # Safety
    ///
    /// The map stays as long as the answer is in use.
    pub(crate) unsafe fn near(&self, address: usize) -> Option<Near> {
        let unit = address / UNIT;
        let (leaf, index) = self.leaf_of(unit)?;
        Some(Near { start: (unit - index) * UNIT, len: ENTRIES * UNIT, leaf: NonNull::from(leaf) })
    }
}
