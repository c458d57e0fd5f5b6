//! The layer of an arena's heap, as the arena sees it.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::segments::{Owner, SegmentMap};
use crate::chunks::Tuning;
use crate::layer::{Layer, NoLayer};
use crate::size_class::Class;

/// A [`Layer`] of an arena's heap. Local operations of the arena use it without the heap as long as
/// it has a block at hand, or room for one. The default is a layer that is not there.
pub trait ArenaLayer<P: Tuning>: Layer<P> {
    /// Returns a block at hand for this layout. O(1).
    #[inline(always)]
    fn pop_direct(&mut self, _: Layout) -> Option<NonNull<u8>> {
        None
    }

    /// Keeps a block at hand, if there is room. O(1).
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`](crate::Heap::deallocate), if the answer is true.
    #[inline(always)]
    unsafe fn push_direct(&mut self, _: NonNull<u8>, _: Layout) -> bool {
        false
    }

    /// The same by address; `run` is the class of the run in which the block lies, if in one.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate_by_ptr`](crate::Heap::deallocate_by_ptr), if the answer is true.
    #[inline(always)]
    unsafe fn push_direct_by_ptr(&mut self, _: NonNull<u8>, _: Option<Class>) -> bool {
        false
    }

    /// Resizes a block of a run, if it can stay, or there is a block at hand. O(1), and the copy.
    ///
    /// # Safety
    ///
    /// As for [`Heap::reallocate_by_ptr`](crate::Heap::reallocate_by_ptr); the block lies in a run
    /// of this class. After `None` it is as it was.
    #[inline(always)]
    unsafe fn resize_direct(&mut self, _: NonNull<u8>, _: Class, _: Layout) -> Option<NonNull<u8>> {
        None
    }

    /// Allows so many bytes of medium blocks to be kept, if that is more than before.
    #[inline(always)]
    fn raise_medium_limit(&mut self, _: usize) {}

    /// Leaves it to a map of segments to say which pages are runs.
    ///
    /// # Safety
    ///
    /// The heap has no memory yet, and all memory that it will ever have are segments of `owner` in
    /// the map, which outlives it.
    unsafe fn rely_on(&mut self, _: NonNull<SegmentMap>, _: Owner) {}
}

impl<P: Tuning> ArenaLayer<P> for NoLayer {}
