//! An arena heap whose allocations are sampled: blocks at hand are not counted one by one.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{ArenaHeap, served};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::ArenaLayer;
use crate::shared_heap::SharedHeap;

// SAFETY: blocks at hand are those that `allocate` would return, and `deallocate` would free.
unsafe impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> SharedHeap
    for ArenaHeap<B, C, M, P, L>
{
    #[inline(always)]
    unsafe fn allocate_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.pop_at_hand(layout)
    }

    unsafe fn allocate_missed(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocate_slowly(served::<P>(layout))
    }

    #[inline(always)]
    unsafe fn deallocate_at_hand(&self, block: NonNull<u8>) -> bool {
        // SAFETY: the clauses are those of this method. An address that is not of this heap has no
        // word.
        unsafe { self.push_at_hand(block.as_ptr()) }
    }

    unsafe fn deallocate_missed(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.deallocate_slowly(block, Some(served::<P>(layout))) };
    }

    fn count_missed(&self, next: &mut dyn FnMut() -> u32) -> Option<bool> {
        if P::CHECKED {
            return None;
        }
        let caller = self.caller();
        let mut inside = caller.enter_at_hand()?;
        let slabs = inside.inner().heap.layer().slabs()?;
        Some(slabs.quota.count(next))
    }
}
