//! The leaf in which something was found last: most of what an arena frees lies in the same 64 MiB, and one look is enough then.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::{ENTRIES, Entry, Leaf, Owner, SegmentMap, UNIT};
use crate::small::class::Class;

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

    /// Whether an address lies near, and in a segment of `owner`. O(1).
    #[inline(always)]
    pub(crate) fn is_owned(&self, address: usize, owner: Owner) -> bool {
        self.entry(address).is_some_and(|entry| entry.owner() == owner)
    }

    /// If an address lies near, and in a segment of `owner`: the class of the run in which it lies, if it lies in one. O(1).
    #[inline(always)]
    pub(crate) fn class_if_owned(&self, address: usize, owner: Owner) -> Option<Option<Class>> {
        let entry = self.entry(address).filter(|entry| entry.owner() == owner)?;
        // SAFETY: the owner's segment, which stays as long as one of its blocks is in use.
        Some(unsafe { entry.class_at(address) })
    }

    #[inline(always)]
    fn entry(&self, address: usize) -> Option<Entry> {
        let offset = address.wrapping_sub(self.start);
        if offset >= self.len {
            return None;
        }
        // SAFETY: the type's invariant: there is an entry for each unit of `len`.
        let entry = unsafe { self.leaf.cast::<super::AtomicU32>().add(offset / UNIT) };
        // SAFETY: the leaf stays.
        Some(Entry(unsafe { entry.as_ref() }.load(Ordering::Relaxed)))
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
        let (leaf, index) = self.windows().find_map(|window| window.place(unit))?;
        let leaf = NonNull::new(leaf.load(Ordering::Acquire))?;
        Some(Near { start: (unit - index) * UNIT, len: ENTRIES * UNIT, leaf })
    }
}
