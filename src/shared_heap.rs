//! What a wrapper of a shared heap needs of it, beside the operations of every global allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

/// A heap that callers share, and that [`Sampled`](crate::Sampled) can sample:
/// [`Locked`](crate::Locked), [`ArenaHeap`](crate::ArenaHeap), or another global allocator.
///
/// The default methods suit any heap. One that has blocks *at hand*, which it allocates without
/// looking further, implements the others as well: allocations of such blocks are not counted one
/// by one.
///
/// # Safety
///
/// Blocks that one of these methods allocates are blocks as `GlobalAlloc` returns them, and each of
/// them, and of `GlobalAlloc`, frees such blocks.
pub unsafe trait SharedHeap: GlobalAlloc {
    /// Allocates a block that is at hand. `None` only means that
    /// [`allocate_missed`](SharedHeap::allocate_missed) has more to do.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[inline(always)]
    unsafe fn allocate_at_hand(&self, _: Layout) -> Option<NonNull<u8>> {
        None
    }

    /// Allocates a block where [`allocate_at_hand`](SharedHeap::allocate_at_hand) did not.
    ///
    /// # Safety
    ///
    /// As for that method; the size is not 0.
    #[inline]
    unsafe fn allocate_missed(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        NonNull::new(unsafe { self.alloc(layout) })
    }

    /// Frees a block if that takes the shortest path. `false` only means that
    /// [`deallocate_missed`](SharedHeap::deallocate_missed) has more to do, or that the address is
    /// not a block of this heap.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap that is no longer used, or not an address of its
    /// memory.
    #[inline(always)]
    unsafe fn deallocate_at_hand(&self, _block: NonNull<u8>) -> bool {
        false
    }

    /// Frees a block where [`deallocate_at_hand`](SharedHeap::deallocate_at_hand) did not.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is no longer used.
    #[inline]
    unsafe fn deallocate_missed(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.dealloc(block.as_ptr(), layout) };
    }

    /// Counts an allocation for which no block was at hand. Returns whether it is the one that is
    /// sampled: `next` then tells how many allocations come before the one after it. The heap puts
    /// no more blocks at hand than that. `None`: the caller counts.
    #[doc(hidden)]
    #[inline]
    fn count_missed(&self, _next: &mut dyn FnMut() -> u32) -> Option<bool> {
        None
    }
}
