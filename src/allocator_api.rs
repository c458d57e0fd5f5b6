//! [`Allocator`] of the crate allocator-api2, which collections on stable Rust take (feature
//! `allocator-api2`).

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::{AllocError, Allocator};

#[cfg(not(feature = "tiny"))]
use crate::arena::ArenaHeap;
use crate::lock::RawLock;
use crate::locked::Locked;
#[cfg(not(feature = "tiny"))]
use crate::provider::{Break, Cpu, Map};
use crate::raw_heap::RawHeap;

/// A heap that is used through a shared reference.
///
/// # Safety
///
/// What [`RawHeap`] promises.
unsafe trait SharedHeap {
    /// # Safety
    ///
    /// As for [`RawHeap::allocate`].
    unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    ///
    /// As for [`RawHeap::allocate_zeroed`].
    unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    ///
    /// As for [`RawHeap::deallocate`].
    unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout);

    /// # Safety
    ///
    /// As for [`RawHeap::reallocate`].
    unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>>;
}

/// Makes a type a [`SharedHeap`] by its own methods of the same names, and a reference to it an
/// allocator.
macro_rules! allocator {
    ($(#[$doc:meta])* ($($generics:tt)*) $heap:ty) => {
        // SAFETY: its methods promise the same.
        unsafe impl<$($generics)*> SharedHeap for $heap {
            unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the caller's promise.
                unsafe { <$heap>::allocate(self, layout) }
            }

            unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the caller's promise.
                unsafe { <$heap>::allocate_zeroed(self, layout) }
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { <$heap>::deallocate(self, block, layout) };
            }

            unsafe fn reallocate(&self, block: NonNull<u8>, layout: Layout, new_size: usize) -> Option<NonNull<u8>> {
                // SAFETY: the caller's promise.
                unsafe { <$heap>::reallocate(self, block, layout, new_size) }
            }
        }

        $(#[$doc])*
        // SAFETY: blocks stay valid while the heap is borrowed, which is as long as the reference or a copy of it lives; copies are the
        // same heap. Sizes and alignments are what `SharedHeap` promises.
        unsafe impl<$($generics)*> Allocator for &$heap {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the heap is borrowed as long as there is an allocator to free the block with.
                slice(unsafe { SharedHeap::allocate(*self, layout) }, layout.size())
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: as above.
                slice(unsafe { SharedHeap::allocate_zeroed(*self, layout) }, layout.size())
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: the caller's promise.
                unsafe { SharedHeap::deallocate(*self, block, layout) };
            }

            unsafe fn grow(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promise.
                unsafe { resize(*self, block, old, new) }
            }

            unsafe fn grow_zeroed(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promise.
                let grown = unsafe { resize(*self, block, old, new) }?;
                // SAFETY: the new block is at least as long as the old one.
                let behind = unsafe { grown.cast::<u8>().add(old.size()) };
                // SAFETY: the rest of the new block.
                unsafe { behind.write_bytes(0, new.size() - old.size()) };
                Ok(grown)
            }

            unsafe fn shrink(&self, block: NonNull<u8>, old: Layout, new: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the caller's promise.
                unsafe { resize(*self, block, old, new) }
            }
        }
    };
}

allocator! {
    /// A reference to a locked heap is an allocator for as long as the heap is borrowed: `Vec::new_in(&heap)`.
    ///
    /// The trait is implemented for the reference and not for the heap itself, because an allocator may be moved while its blocks are in
    /// use, and a heap that owns its memory may not.
    (H: RawHeap, L: RawLock) Locked<H, L>
}

#[cfg(not(feature = "tiny"))]
allocator! {
    /// A reference to a heap of arenas is an allocator for as long as the heap is borrowed, as with `Locked`.
    (B: Break, C: Cpu, M: Map, L: RawLock) ArenaHeap<B, C, M, L>
}

/// Resizes a block; one whose alignment becomes stricter than its place allows moves.
///
/// # Safety
///
/// The block came from this heap with layout `old`. After `Ok` only the new block may be used.
unsafe fn resize<H: SharedHeap>(
    heap: &H,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Result<NonNull<[u8]>, AllocError> {
    // A block keeps the alignment with which it was asked for, and a checked heap wants it back
    // with the same.
    let stays_aligned = if cfg!(feature = "checked") {
        new.align() == old.align()
    } else {
        new.align() <= old.align()
    };
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
