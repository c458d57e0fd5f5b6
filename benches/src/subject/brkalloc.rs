//! This project's heaps, over a break that moves inside the region.

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::{FixedBreak, RawHeap};

use super::{Subject, pointer};

/// The heap to use.
pub type Heap = Over<brkalloc::Heap<FixedBreak>>;

/// The heap to use, where the time of each operation counts: its front cache is off.
pub type Uncached = Over<WithoutCache>;

/// The heap to read.
pub type SimpleHeap = Over<brkalloc::SimpleHeap<FixedBreak>>;

/// A heap of the crate.
pub struct Over<H>(H);

/// How a heap is made.
pub trait Make: RawHeap {
    /// A heap over `brk`.
    fn make(brk: FixedBreak) -> Self;
}

impl Make for brkalloc::Heap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::new(brk)
    }
}

impl Make for brkalloc::SimpleHeap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::new(brk)
    }
}

/// A heap that keeps no freed blocks.
pub struct WithoutCache(brkalloc::Heap<FixedBreak>);

impl Make for WithoutCache {
    fn make(brk: FixedBreak) -> Self {
        let mut heap = brkalloc::Heap::new(brk);
        heap.set_cache_limit(0);
        Self(heap)
    }
}

// SAFETY: what `Heap` guarantees.
unsafe impl RawHeap for WithoutCache {
    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.0.allocate(layout) }
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(block, layout) };
    }

    #[inline]
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.0.reallocate(block, layout, new_size) }
    }
}

// SAFETY: what `RawHeap` guarantees.
unsafe impl<H: Make> Subject for Over<H> {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: the caller's promise.
        Self(H::make(unsafe { FixedBreak::from_raw(region.cast().as_ptr(), region.len()) }))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        pointer(unsafe { self.0.allocate(layout) })
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        pointer(unsafe { self.0.allocate_zeroed(layout) })
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(block, layout) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise.
        pointer(unsafe { self.0.reallocate(block, layout, new_size) })
    }
}
