//! [`Allocator`] of the crate allocator-api2, which collections on stable Rust take (feature `allocator-api2`).

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};

use crate::lock::RawLock;
use crate::locked::Locked;
use crate::raw_heap::RawHeap;

/// A reference to a locked heap is an allocator for as long as the heap is borrowed: `Vec::new_in(&heap)`.
///
/// The trait is implemented for the reference and not for the heap itself, because an allocator may be moved while its blocks are in
/// use, and a heap that owns its memory may not.
// SAFETY: blocks stay valid while the heap is borrowed, which is as long as the reference or a copy of it lives; copies are the same
// heap. Sizes and alignments are what `RawHeap` promises.
unsafe impl<H: RawHeap, L: RawLock> Allocator for &Locked<H, L> {
    fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the heap is borrowed as long as there is an allocator to free the block with.
        slice(unsafe { Locked::allocate(self, layout) }, layout.size())
    }

    fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: as above.
        slice(unsafe { Locked::allocate_zeroed(self, layout) }, layout.size())
    }

    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { Locked::deallocate(self, block, layout) };
    }

    unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { resize(self, block, old, new) }
    }

    unsafe fn grow_zeroed(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        let grown = unsafe { resize(self, block, old, new) }?;
        // SAFETY: the new block is at least as long as the old one.
        let behind = unsafe { grown.cast::<u8>().add(old.size()) };
        // SAFETY: the rest of the new block.
        unsafe { behind.write_bytes(0, new.size() - old.size()) };
        Ok(grown)
    }

    unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
        // SAFETY: the caller's promise.
        unsafe { resize(self, block, old, new) }
    }
}

/// Resizes a block; one whose alignment becomes stricter than its place allows moves.
///
/// # Safety
///
/// The block came from this heap with layout `old`. After `Ok` only the new block may be used.
unsafe fn resize<H: RawHeap, L: RawLock>(
    heap: &Locked<H, L>,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    // A block keeps the alignment with which it was asked for, and a checked heap wants it back with the same.
    let stays_aligned = if cfg!(feature = "checked") { new.align() == old.align() } else { new.align() <= old.align() };
    if stays_aligned {
        // SAFETY: the caller's promise.
        return slice(unsafe { heap.reallocate(block, old, new.size()) }, new.size());
    }
    // SAFETY: the heap is borrowed as long as there is an allocator to free the block with.
    let moved = slice(unsafe { heap.allocate(new) }, new.size())?;
    // SAFETY: two blocks, which do not overlap, each at least as long as what is copied.
    unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, old.size().min(new.size())) };
    // SAFETY: the caller gave the old block up; its contents are in the new one.
    unsafe { heap.deallocate(block, old) };
    Ok(moved)
}

fn slice(block: Option<NonNull<u8>>, len: usize) -> Result<NonNull<[u8]>, AllocError> {
    block.map(|block| NonNull::slice_from_raw_parts(block, len)).ok_or(AllocError)
}
