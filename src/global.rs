//! The shared heaps as a program's global allocator.
//!
//! Null means out of memory; as an argument of `realloc` it means no block yet (C7). A panic about
//! a misuse must not unwind out of the global allocator (of a checked heap): it becomes an abort.

use core::alloc::{GlobalAlloc, Layout};
use core::mem;
use core::ptr::{self, NonNull};

use crate::arena::ArenaHeap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::raw_heap::RawHeap;

/// Implements `GlobalAlloc` for a heap by its methods of the same names, which take a shared
/// reference.
macro_rules! global_allocator {
    (<$($generic:ident: $bound:ident),*> $heap:ty, reports: $reports:expr) => {
        // SAFETY: by the heap's contract, a block is valid for its layout and overlaps no other
        // until it is freed. `without_unwinding` keeps panics in.
        unsafe impl<$($generic: $bound),*> GlobalAlloc for $heap {
            #[inline]
            unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
                // SAFETY: a global allocator lives forever, so it outlives the block.
                or_null(without_unwinding($reports, || unsafe { self.allocate(layout) }))
            }

            #[inline]
            unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
                if let Some(block) = NonNull::new(block) {
                    // SAFETY: by `GlobalAlloc::dealloc`, the block is live and has this layout.
                    without_unwinding($reports, || unsafe { self.deallocate(block, layout) });
                }
            }

            unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
                // SAFETY: a global allocator lives forever, so it outlives the block.
                or_null(without_unwinding($reports, || unsafe { self.allocate_zeroed(layout) }))
            }

            unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
                if let Some(block) = NonNull::new(block) {
                    // SAFETY: by `GlobalAlloc::realloc`, the block is live and has this layout.
                    return or_null(without_unwinding($reports, || unsafe {
                        self.reallocate(block, layout, new_size)
                    }));
                }
                Layout::from_size_align(new_size, layout.align())
                    // SAFETY: by `GlobalAlloc::realloc`, the new size is not 0.
                    .map_or(ptr::null_mut(), |new| unsafe { self.alloc(new) })
            }
        }
    };
}

global_allocator!(<H: RawHeap, L: RawLock> Locked<H, L>, reports: H::REPORTS);

global_allocator!(
    <B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L>,
    reports: P::CHECKED
);

pub(crate) fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Turns a panic that would unwind out of the global allocator into an abort.
struct NoUnwinding;

impl Drop for NoUnwinding {
    fn drop(&mut self) {
        panic!("a misuse of the global allocator");
    }
}

/// Runs an operation of the global allocator, which must not unwind: one that `reports` misuse may
/// panic.
#[inline(always)]
pub(crate) fn without_unwinding<R>(reports: bool, operation: impl FnOnce() -> R) -> R {
    if !reports {
        return operation();
    }
    let guard = NoUnwinding;
    let answer = operation();
    mem::forget(guard);
    answer
}

#[cfg(test)]
mod tests;
