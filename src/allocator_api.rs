//! `Allocator`, which collections take: of the crate allocator-api2 on stable Rust (a feature for
//! each version), and of `core` with `--cfg brkalloc_nightly`.

use crate::arena::ArenaHeap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::raw_heap::RawHeap;
use core::alloc::Layout;
use core::ptr::NonNull;

/// A heap that is used through a shared reference.
///
/// # Safety
///
/// As for [`RawHeap`].
unsafe trait SharedHeap {
    /// `true` if the heap compares layouts with those of its records.
    const REPORTS: bool;

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

/// Implements [`SharedHeap`] by the heap's own methods of the same names.
macro_rules! shared_heap {
    (<$($generic:ident: $bound:ident),*> $heap:ty, reports: $reports:expr) => {
        // SAFETY: the heap's methods keep the contract of `RawHeap`, under the heap's lock or in
        // the caller's arena.
        unsafe impl<$($generic: $bound),*> SharedHeap for $heap {
            const REPORTS: bool = $reports;

            unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the caller keeps the heap alive until the last use of the block.
                unsafe { <$heap>::allocate(self, layout) }
            }

            unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the caller keeps the heap alive until the last use of the block.
                unsafe { <$heap>::allocate_zeroed(self, layout) }
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: by the caller, the block is live, has this layout, and is no longer used.
                unsafe { <$heap>::deallocate(self, block, layout) };
            }

            unsafe fn reallocate(
                &self,
                block: NonNull<u8>,
                layout: Layout,
                new_size: usize,
            ) -> Option<NonNull<u8>> {
                // SAFETY: by the caller, the block is live and has this layout; after `Some` it is
                // no longer used.
                unsafe { <$heap>::reallocate(self, block, layout, new_size) }
            }
        }
    };
}

shared_heap!(<H: RawHeap, L: RawLock> Locked<H, L>, reports: H::REPORTS);
shared_heap!(
    <B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L>,
    reports: P::CHECKED
);

/// Implements the `Allocator` of one version for references to both shared heaps.
macro_rules! allocators {
    ($api:path) => {
        use core::alloc::Layout;
        use core::ptr::NonNull;

        use $api::{AllocError, Allocator};

        use super::{SharedHeap, resize, resize_zeroed, slice};
        use crate::arena::ArenaHeap;
        use crate::lock::RawLock;
        use crate::locked::Locked;
        use crate::profile::Profile;
        use crate::provider::{Map, Slots, Source};
        use crate::raw_heap::RawHeap;

        allocators! {
            /// A reference to a locked heap is an allocator as long as the heap is borrowed:
            /// `Vec::new_in(&heap)`.
            ///
            /// The reference implements the trait, and the heap does not: an allocator may be moved
            /// while its blocks are in use, and a heap that owns its memory may not.
            <H: RawHeap, L: RawLock> Locked<H, L>
        }
        allocators! {
            /// A reference to a heap of arenas is an allocator as long as the heap is borrowed, as
            /// with `Locked`.
            <B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L>
        }
    };

    ($(#[$doc:meta])* <$($generic:ident: $bound:ident),*> $heap:ty) => {
        $(#[$doc])*
        // SAFETY: blocks stay valid while the heap is borrowed, which is as long as the reference
        // or a copy of it lives. Copies refer to the same heap. `SharedHeap` guarantees sizes and
        // alignments.
        unsafe impl<$($generic: $bound),*> Allocator for &$heap {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the heap is borrowed until the last use of the block.
                let block = unsafe { SharedHeap::allocate(*self, layout) };
                slice(block, layout.size()).ok_or(AllocError)
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the heap is borrowed until the last use of the block.
                let block = unsafe { SharedHeap::allocate_zeroed(*self, layout) };
                slice(block, layout.size()).ok_or(AllocError)
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: by the caller, the block is live, fits the layout, and is no longer used.
                unsafe { SharedHeap::deallocate(*self, block, layout) };
            }

            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: by the caller, the block is live and fits the old layout.
                unsafe { resize(*self, block, old, new) }.ok_or(AllocError)
            }

            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: by the caller, the block is live and fits the old layout, and the new one
                // is no smaller.
                unsafe { resize_zeroed(*self, block, old, new) }.ok_or(AllocError)
            }

            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: by the caller, the block is live and fits the old layout.
                unsafe { resize(*self, block, old, new) }.ok_or(AllocError)
            }
        }
    };
}

#[cfg(feature = "allocator-api2")]
mod version_02 {
    allocators!(allocator_api2::alloc);
}

#[cfg(feature = "allocator-api2-03")]
mod version_03 {
    allocators!(allocator_api2_03::alloc);
}

#[cfg(feature = "allocator-api2-04")]
mod version_04 {
    allocators!(allocator_api2_04::alloc);
}

#[cfg(brkalloc_nightly)]
mod nightly {
    allocators!(core::alloc);
}

/// Resizes a block. If the new alignment is stricter, the block moves.
///
/// # Safety
///
/// The block came from this heap with layout `old`, and the heap lives until the last use of the
/// result. After `Some` only the result is used.
unsafe fn resize<H: SharedHeap>(
    heap: &H,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<[u8]>> {
    // A block keeps the alignment of its request. A checked heap compares the alignment when the
    // block is freed.
    let stays_aligned =
        if H::REPORTS { new.align() == old.align() } else { new.align() <= old.align() };
    if stays_aligned {
        // SAFETY: by the caller, the block is live and has the layout `old`.
        return slice(unsafe { heap.reallocate(block, old, new.size()) }, new.size());
    }
    // SAFETY: by the caller, the heap lives until the last use of the result.
    let moved = slice(unsafe { heap.allocate(new) }, new.size())?;
    // SAFETY: the two blocks are live and disjoint, and each holds the copied bytes.
    unsafe { moved.cast::<u8>().copy_from_nonoverlapping(block, old.size().min(new.size())) };
    // SAFETY: by the caller, the old block is live, has the layout `old`, and is no longer used.
    unsafe { heap.deallocate(block, old) };
    Some(moved)
}

/// Resizes a block, and zeroes the bytes that it gains.
///
/// # Safety
///
/// As for [`resize`], and `new` is no smaller than `old`.
unsafe fn resize_zeroed<H: SharedHeap>(
    heap: &H,
    block: NonNull<u8>,
    old: Layout,
    new: Layout,
) -> Option<NonNull<[u8]>> {
    // SAFETY: the caller upholds the clauses of `resize`.
    let grown = unsafe { resize(heap, block, old, new) }?;
    // SAFETY: `old.size() ≤ new.size()`, so the range is the rest of the new block.
    unsafe { grown.cast::<u8>().add(old.size()).write_bytes(0, new.size() - old.size()) };
    Some(grown)
}

fn slice(block: Option<NonNull<u8>>, len: usize) -> Option<NonNull<[u8]>> {
    block.map(|block| NonNull::slice_from_raw_parts(block, len))
}
