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

/// Defines how a heap resizes a block whose alignment may change, by the heap's methods that take a
/// shared reference.
macro_rules! resizing {
    (<$($generic:ident: $bound:ident),*> $heap:ty, reports: $reports:expr) => {
        impl<$($generic: $bound),*> $heap {
            /// Resizes a block. If the new alignment is stricter, the block moves.
            ///
            /// # Safety
            ///
            /// The block came from this heap with layout `old`, and the heap lives until the last
            /// use of the result. After `Some` only the result is used.
            unsafe fn resize_aligned(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Option<NonNull<[u8]>> {
                // A block keeps the alignment of its request. A heap that reports misuse compares
                // the alignment when the block is freed.
                let stays_aligned =
                    if $reports { new.align() == old.align() } else { new.align() <= old.align() };
                // SAFETY: by the caller, the old block is live with the layout `old`, and no longer
                // used after `Some`. Two live blocks are disjoint, and each holds the copied bytes.
                let resized = unsafe {
                    if stays_aligned {
                        self.reallocate(block, old, new.size())
                    } else {
                        let moved = self.allocate(new)?;
                        moved.copy_from_nonoverlapping(block, old.size().min(new.size()));
                        self.deallocate(block, old);
                        Some(moved)
                    }
                };
                slice(resized, new.size())
            }
        }
    };
}

resizing!(<H: RawHeap, L: RawLock> Locked<H, L>, reports: H::REPORTS);
resizing!(
    <B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L>,
    reports: P::CHECKED
);

/// Implements the `Allocator` of one version for references to both shared heaps.
macro_rules! allocators {
    ($api:path) => {
        use $api::{AllocError, Allocator};

        use super::*;

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
        // or a copy of it lives. Copies refer to the same heap.
        unsafe impl<$($generic: $bound),*> Allocator for &$heap {
            fn allocate(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the heap is borrowed until the last use of the block.
                let block = unsafe { <$heap>::allocate(self, layout) };
                slice(block, layout.size()).ok_or(AllocError)
            }

            fn allocate_zeroed(&self, layout: Layout) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: the heap is borrowed until the last use of the block.
                let block = unsafe { <$heap>::allocate_zeroed(self, layout) };
                slice(block, layout.size()).ok_or(AllocError)
            }

            unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: by the caller, the block is live, fits the layout, and is no longer used.
                unsafe { <$heap>::deallocate(self, block, layout) };
            }

            unsafe fn grow(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: by the caller, the block is live and fits the old layout.
                unsafe { self.resize_aligned(block, old, new) }.ok_or(AllocError)
            }

            unsafe fn grow_zeroed(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: by the caller, the block is live and fits the old layout, and the new one
                // is no smaller: the zeroed range is the rest of the new block.
                unsafe {
                    let grown = self.resize_aligned(block, old, new).ok_or(AllocError)?;
                    let rest = grown.cast::<u8>().add(old.size());
                    rest.write_bytes(0, new.size() - old.size());
                    Ok(grown)
                }
            }

            unsafe fn shrink(
                &self,
                block: NonNull<u8>,
                old: Layout,
                new: Layout,
            ) -> Result<NonNull<[u8]>, AllocError> {
                // SAFETY: by the caller, the block is live and fits the old layout.
                unsafe { self.resize_aligned(block, old, new) }.ok_or(AllocError)
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

fn slice(block: Option<NonNull<u8>>, len: usize) -> Option<NonNull<[u8]>> {
    block.map(|block| NonNull::slice_from_raw_parts(block, len))
}
