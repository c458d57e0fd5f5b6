//! Which pages of an arena's heap belong to runs, and of what class: the map of segments says it.

use core::ptr::NonNull;

use super::segments::{Owner, SegmentMap};
use crate::size_class::Class;

/// The part of a [`SegmentMap`] that describes one heap.
///
/// # Invariants
///
/// The map outlives this, and all memory of the heap is segments of `owner` in it.
#[derive(Debug)]
pub(crate) struct PageMap {
    /// The map; `None` in a heap that has no memory yet.
    segments: Option<NonNull<SegmentMap>>,
    owner: Owner,
}

impl PageMap {
    /// The map of a heap that has no memory yet.
    pub(super) const NEW: Self = Self { segments: None, owner: Owner::NOBODY };

    /// Returns the part of a map that describes the heap of `owner`.
    ///
    /// # Safety
    ///
    /// The map outlives the answer, and all memory that the heap will ever have is segments of
    /// `owner` in it.
    pub(super) const unsafe fn of(segments: NonNull<SegmentMap>, owner: Owner) -> Self {
        Self { segments: Some(segments), owner }
    }

    /// Returns the map of segments.
    #[inline]
    pub(crate) fn segments(&self) -> Option<&SegmentMap> {
        // SAFETY: the map outlives this: the type's invariant.
        self.segments.map(|segments| unsafe { segments.as_ref() })
    }

    /// Returns the owner of the heap's segments.
    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }

    /// Returns the class of the run in which an address lies; `None` if it lies in none. O(1).
    #[inline]
    pub(crate) fn class_at(&self, address: usize) -> Option<Class> {
        self.segments()?.class_at(address)
    }

    /// Notes that the pages from `address` on, `len` bytes in one segment, belong to a run; `None`:
    /// to none.
    pub(super) fn set_class(&self, address: usize, len: usize, class: Option<Class>) {
        if let Some(segments) = self.segments() {
            segments.set_class(address, len, class);
        }
    }
}
