//! Heaps that are shared as a program's global allocator.
//!
//! A null pointer is *nothing*: there is no memory, or, given to `realloc`, no block yet (C7). What
//! the `checked` profile finds must not unwind out of here: such a panic becomes an abort.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

#[cfg(not(feature = "tiny"))]
use crate::arena::ArenaHeap;
use crate::lock::RawLock;
use crate::locked::Locked;
#[cfg(not(feature = "tiny"))]
use crate::provider::{Break, Cpu, Map};
use crate::raw_heap::RawHeap;

/// Makes a heap, of which every method takes a shared reference, a global allocator by its methods
/// of the same names.
macro_rules! global_allocator {
    (<$($generic:ident: $bound:ident),*> $heap:ty) => {
        // SAFETY: a block is valid for its layout, overlaps no other, and stays so until it is freed, as the heap promises. Nothing unwinds.
        unsafe impl<$($generic: $bound),*> GlobalAlloc for $heap {
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
                    None => Layout::from_size_align(new_size, layout.align()).ok().and_then(|new| {
                        // SAFETY: a global allocator lives for ever.
                        without_unwinding(|| unsafe { self.allocate(new) })
                    }),
                })
            }
        }
    };
}

global_allocator!(<H: RawHeap, L: RawLock> Locked<H, L>);

#[cfg(not(feature = "tiny"))]
global_allocator!(<B: Break, C: Cpu, M: Map, L: RawLock> ArenaHeap<B, C, M, L>);

fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}

/// Turns a panic that would leave the global allocator, which must not unwind, into an abort.
#[cfg(feature = "checked")]
struct NoUnwinding;

#[cfg(feature = "checked")]
impl Drop for NoUnwinding {
    fn drop(&mut self) {
        panic!("a misuse of the global allocator");
    }
}

/// Runs an operation of the global allocator, out of which nothing may unwind.
#[inline]
fn without_unwinding<R>(operation: impl FnOnce() -> R) -> R {
    #[cfg(feature = "checked")]
    let guard = NoUnwinding;
    let answer = operation();
    #[cfg(feature = "checked")]
    core::mem::forget(guard);
    answer
}
