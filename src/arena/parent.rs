//! The parent: one heap over the break, behind a lock. It gives segments to arenas, and blocks that
//! are too large for those.
//!
//! ```text
//!   on a slot, not interrupting   waits for the lock: only for others, who go on
//!   interrupting somebody who     does not wait, for who would have to go on is the one that was interrupted.
//!   has the lock, or waits for it What is freed goes to a list, and to the heap with the next who locks it.
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::remote::{Chain, RemoteList};
use super::shared::Place;
use super::slot::Slot;
use super::sync::Link;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::profile::Profile;
use crate::provider::{Map, Source};

/// A heap, its lock, and what waits for it.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Parent<B, M, P: Profile, L> {
    heap: Locked<Heap<B, M, P>, L>,
    waiting: RemoteList,
}

/// It stands at the slot that who is there has the lock. (Also while a misuse that was found
/// unwinds.)
struct Noted<'slot, T>(&'slot Slot<T>);

impl<'slot, T> Noted<'slot, T> {
    fn new(slot: &'slot Slot<T>) -> Self {
        slot.set_has_lock(true);
        Self(slot)
    }
}

impl<T> Drop for Noted<'_, T> {
    fn drop(&mut self) {
        self.0.set_has_lock(false);
    }
}

impl<B, M, P: Profile, L: RawLock> Parent<B, M, P, L> {
    pub(super) const fn new(brk: B, map: M) -> Self {
        Self { heap: Locked::from_heap(Heap::with_profile(brk, map)), waiting: RemoteList::new() }
    }

    /// Runs `run` with the heap locked. Only where nobody is interrupted who may have the lock.
    pub(super) fn locked<R>(&self, run: impl FnOnce(&mut Heap<B, M, P>) -> R) -> R {
        // SAFETY: callers in this folder leave heap and provider in place.
        unsafe { self.heap.with(run) }
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Parent<B, M, P, L> {
    /// Runs `run` with the heap locked. `None`: who was interrupted here has the lock.
    pub(super) fn with<T, R>(
        &self,
        place: Place<'_, T>,
        run: impl FnOnce(&mut Heap<B, M, P>) -> R,
    ) -> Option<R> {
        let Some(slot) = place.slot() else { return Some(self.locked(run)) };
        if slot.has_lock() {
            return None;
        }
        let _noted = Noted::new(slot);
        Some(self.locked(|heap| {
            self.free_waiting(heap);
            run(heap)
        }))
    }

    /// Runs `run`, which may take the parent's lock without its heap. `None`: who was interrupted
    /// here has the lock.
    pub(super) fn noted<T, R>(&self, place: Place<'_, T>, run: impl FnOnce() -> R) -> Option<R> {
        let Some(slot) = place.slot() else { return Some(run()) };
        if slot.has_lock() {
            return None;
        }
        let _noted = Noted::new(slot);
        Some(run())
    }

    /// Frees a block of the parent, now or later: by address alone, for that is enough, unless the
    /// layout is looked at as well.
    ///
    /// # Safety
    ///
    /// The block is the parent's, with this layout, and nobody uses it.
    pub(super) unsafe fn free<T>(
        &self,
        place: Place<'_, T>,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) {
        let freed = self.with(place, |heap| match layout.filter(|_| P::CHECKED) {
            // SAFETY: the caller's promise.
            Some(layout) => unsafe { heap.deallocate(block, layout) },
            None => {
                if !P::CHECKED && !heap.inner().has_stopped() {
                    // SAFETY: a block of the parent has a header, and the words of others are
                    // readable.
                    unsafe { heap.require_owned(block) };
                }
                // SAFETY: the caller's promise.
                unsafe { heap.deallocate_by_ptr(block) };
            }
        });
        if freed.is_none() {
            let mut chain = Chain::EMPTY;
            // SAFETY: the caller's promise; every block holds a word.
            unsafe { chain.add(block.cast()) };
            chain.send(&self.waiting);
        }
    }

    /// Frees what waits: no more than interrupt handlers have freed while the lock was held.
    fn free_waiting(&self, heap: &mut Heap<B, M, P>) {
        if self.waiting.is_empty() {
            return;
        }
        let mut next = self.waiting.take_all();
        while let Some(block) = next {
            // SAFETY: it was in the list, and nobody else has it.
            next = unsafe { Link::read(block) };
            // SAFETY: `free`'s promise.
            unsafe { heap.deallocate_by_ptr(block.cast()) };
        }
    }
}
