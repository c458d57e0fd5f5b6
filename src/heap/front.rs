//! The front cache alone, for who goes further only once it is empty or full: an arena takes up what others have freed before it.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Heap;
use crate::small::Class;
use crate::small::segments::SegmentMap;

impl<B, M> Heap<B, M> {
    /// A small block that the front cache has. O(1).
    #[inline(always)]
    pub(crate) fn pop_front(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // What is guarded goes through the whole operation.
        if cfg!(feature = "checked") {
            return None;
        }
        self.small.cache.pop(Class::of(layout)?)
    }

    /// Frees a small block, if the front cache has room for it. O(1).
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate), if the answer is true.
    #[inline(always)]
    pub(crate) unsafe fn push_front(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        if cfg!(feature = "checked") {
            return false;
        }
        let Some(class) = Class::of(layout) else { return false };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        unsafe { self.small.cache.push(class, block) }
    }

    /// Leaves it to a map of segments to say which pages are runs.
    ///
    /// # Safety
    ///
    /// The heap has no memory yet, and all that it will ever have are segments of the map, which outlives it.
    pub(crate) const unsafe fn rely_on(&mut self, segments: NonNull<SegmentMap>) {
        // SAFETY: the caller's promise.
        unsafe { self.small.pages.rely_on(segments) };
    }
}
