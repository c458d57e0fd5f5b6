//! The parent: one heap over the break, behind a lock. It gives segments to arenas, and blocks that are too large for those.
//!
//! ```text
//!   on a slot, not interrupting   waits for the lock: only for others, who go on
//!   interrupting somebody who     does not wait, for who would have to go on is the one that was interrupted.
//!   has the lock, or waits for it What is freed goes to a list, and to the heap with the next who locks it.
//! ```

use core::ptr::NonNull;

use super::remote::{Chain, RemoteList};
use super::shared::Place;
use super::sync::Link;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::provider::{Break, Map};

/// A heap, its lock, and what waits for it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Parent<B, M, L> {
    heap: Locked<Heap<B, M>, L>,
    waiting: RemoteList,
}

impl<B, M, L: RawLock> Parent<B, M, L> {
    pub(super) const fn new(brk: B, map: M) -> Self {
        Self { heap: Locked::<Heap<B, M>, L>::with_map(brk, map), waiting: RemoteList::new() }
    }

    /// Runs `run` with the heap locked. Only where nobody is interrupted who may have the lock.
    pub(super) fn locked<R>(&self, run: impl FnOnce(&mut Heap<B, M>) -> R) -> R {
        // SAFETY: callers in this folder leave heap and provider in place.
        unsafe { self.heap.with_mut(run) }
    }
}

impl<B: Break, M: Map, L: RawLock> Parent<B, M, L> {
    /// Runs `run` with the heap locked. `None`: who was interrupted here has the lock.
    pub(super) fn with<T, R>(&self, place: Place<'_, T>, run: impl FnOnce(&mut Heap<B, M>) -> R) -> Option<R> {
        let Some(slot) = place.slot() else { return Some(self.locked(run)) };
        if slot.has_lock() {
            return None;
        }
        slot.set_has_lock(true);
        let answer = self.locked(|heap| {
            self.free_waiting(heap);
            run(heap)
        });
        slot.set_has_lock(false);
        Some(answer)
    }

    /// Frees a block of the parent by address, now or later.
    ///
    /// # Safety
    ///
    /// The block is the parent's, and nobody uses it.
    pub(super) unsafe fn free<T>(&self, place: Place<'_, T>, block: NonNull<u8>) {
        // SAFETY: the caller's promise.
        if self.with(place, |heap| unsafe { heap.deallocate_unsized(block) }).is_none() {
            let mut chain = Chain::EMPTY;
            // SAFETY: the caller's promise; every block holds a word.
            unsafe { chain.add(block.cast()) };
            chain.send(&self.waiting);
        }
    }

    /// Frees what waits: no more than interrupt handlers have freed while the lock was held.
    fn free_waiting(&self, heap: &mut Heap<B, M>) {
        if self.waiting.is_empty() {
            return;
        }
        let mut next = self.waiting.take_all();
        while let Some(block) = next {
            // SAFETY: it was in the list, and nobody else has it.
            next = unsafe { Link::read(block) };
            // SAFETY: `free`'s promise.
            unsafe { heap.deallocate_unsized(block.cast()) };
        }
    }
}
