//! Blocks by address alone, for callers that do not know the layout: C's `free`. (`realloc`:
//! resize.rs.)

use core::ptr::NonNull;

use super::ArenaHeap;
use crate::cell::{Cell, Form, WORD};
use crate::checked::size_on_record;
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::{Owner, SegmentMap};

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// [`deallocate`](ArenaHeap::deallocate) for callers that do not know the layout. O(1).
    ///
    /// # Safety
    ///
    /// The block came from this heap, was not freed since, and is not used any more.
    #[inline(always)]
    pub unsafe fn deallocate_by_ptr(&self, block: NonNull<u8>) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.free_block(block, None) };
    }

    /// Returns the usable size of a block of any arena, in bytes: at least the requested size. 0 if
    /// the caller has interrupted code that holds the parent's lock, and the block is the parent's.
    /// O(1); for a block of the parent it waits for the parent's lock.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap.
    #[must_use]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        let visit = self.visit();
        let Some(shared) = visit.shared.filter(|_| visit.owner_of(block) != Owner::NONE) else {
            // SAFETY: the block is live: this method's clause. It lies in no segment.
            return self
                .parent
                .with(visit.slot, |heap| unsafe { heap.usable_size(block) })
                .unwrap_or(0);
        };
        // SAFETY: the block is live (this method's clause), and lies in a segment.
        let capacity = unsafe { capacity_in_segment::<P>(&shared.map, block) };
        if P::CHECKED {
            // SAFETY: the heap gave that much to the block.
            return unsafe { size_on_record(block, capacity) };
        }
        capacity
    }
}

/// Returns the number of bytes that an arena gave to a block, for a caller on any slot.
///
/// # Safety
///
/// `block` is a live block in a segment.
pub(super) unsafe fn capacity_in_segment<F: Form>(map: &SegmentMap, block: NonNull<u8>) -> usize {
    if let Some(class) = map.class_at(block.addr().get()) {
        return class.size();
    }
    // SAFETY: the block lies in no slab, so it has a header.
    let cell = unsafe { Cell::<F>::of_payload(block) };
    // SAFETY: the block is live, so its cell stays as it is.
    unsafe { cell.header_of_foreign() }.size() - WORD
}
