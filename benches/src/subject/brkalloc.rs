//! This project's heaps, over a break that moves inside the region.

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::{CheckedHeap, FixedBreak, NoMap, PlainHeap, RawHeap, SmallHeap};

use super::{Subject, pointer};
use crate::watched::WatchedBreak;

/// The heap of the default profile.
pub type Heap = Over<brkalloc::Heap<FixedBreak>>;

/// The heap of the default profile over a [`WatchedBreak`].
pub type Watched = Over<brkalloc::Heap<WatchedBreak>>;

/// The heap of the profile `Plain`: every block is a cell.
pub type Plain = Over<PlainHeap<FixedBreak>>;

/// The heap of the profile `Small`, for small targets.
pub type Small = Over<SmallHeap<FixedBreak>>;

/// The heap of the profile `Checked<Usual>`.
pub type Checked = Over<CheckedHeap<FixedBreak>>;

/// The heap to read.
pub type SimpleHeap = Over<brkalloc::SimpleHeap<FixedBreak>>;

/// A heap of the crate.
pub struct Over<H>(H);

/// Makes a heap.
pub trait Make: RawHeap {
    /// Makes a heap over `brk`.
    fn make(brk: FixedBreak) -> Self;
}

impl Make for brkalloc::Heap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::new(brk)
    }
}

impl Make for brkalloc::Heap<WatchedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::new(WatchedBreak(brk))
    }
}

impl Make for PlainHeap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::with_profile(brk, NoMap)
    }
}

impl Make for SmallHeap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::with_profile(brk, NoMap)
    }
}

impl Make for CheckedHeap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::with_profile(brk, NoMap)
    }
}

impl Make for brkalloc::SimpleHeap<FixedBreak> {
    fn make(brk: FixedBreak) -> Self {
        Self::new(brk)
    }
}

// SAFETY: what `RawHeap` guarantees.
unsafe impl<H: Make> Subject for Over<H> {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: the region is the subject's alone, as this function's own contract says.
        Self(H::make(unsafe { FixedBreak::from_raw(region.cast().as_ptr(), region.len()) }))
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the subject outlives the block.
        pointer(unsafe { self.0.allocate(layout) })
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the subject outlives the block.
        pointer(unsafe { self.0.allocate_zeroed(layout) })
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: blocks are not null; this one is live, and has this layout.
        unsafe { self.0.deallocate(NonNull::new_unchecked(block), layout) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: blocks are not null; this one is live, and has this layout.
        pointer(unsafe { self.0.reallocate(NonNull::new_unchecked(block), layout, new_size) })
    }
}
