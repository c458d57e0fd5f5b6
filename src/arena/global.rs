//! The heap as a program's global allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::NonNull;

use super::ArenaHeap;
use crate::lock::RawLock;
use crate::locked::{or_null, without_unwinding};
use crate::provider::{Break, Cpu, Map};

// SAFETY: a block is valid for its layout, overlaps no other, and stays so until it is freed, as the heaps promise that it comes from.
// Nothing here unwinds.
unsafe impl<B: Break, C: Cpu, M: Map, L: RawLock> GlobalAlloc for ArenaHeap<B, C, M, L> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives for ever.
        or_null(without_unwinding(|| unsafe { self.allocate(layout) }))
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's promise.
            without_unwinding(|| unsafe { self.deallocate(block, layout) });
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives for ever.
        or_null(without_unwinding(|| unsafe { self.allocate_zeroed(layout) }))
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        or_null(match NonNull::new(block) {
            // SAFETY: the caller's promise.
            Some(block) => without_unwinding(|| unsafe { self.reallocate(block, layout, new_size) }),
            // `realloc` of nothing is `malloc` (C7).
            None => Layout::from_size_align(new_size, layout.align()).ok().and_then(|new_layout| {
                // SAFETY: a global allocator lives for ever.
                without_unwinding(|| unsafe { self.allocate(new_layout) })
            }),
        })
    }
}
