//! The parent: one heap over the break, behind a lock. It gives segments to arenas, and blocks that
//! are too large for them.
//!
//! ```text
//!   a caller that interrupts no holder      waits for the lock: its holder goes on meanwhile
//!   a handler that has interrupted code     does not wait, because that code cannot go on. A block
//!   that holds the lock or waits for it     that it frees goes to a list: the next caller that
//!                                           locks the heap frees it
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::remote::RemoteList;
use super::shared::Place;
use super::slot::Slot;
use super::sync::Link;
use crate::checked::Checker;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::locked::Locked;
use crate::profile::Profile;
use crate::provider::{Map, Source};

/// A heap, its lock, and blocks to be freed.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Parent<B, M, P: Profile, L> {
    pub(super) heap: Locked<Heap<B, M, P>, L>,
    waiting: RemoteList,
}

/// RAII marker: this slot's caller holds the parent's lock, or waits for it. (It is removed also
/// while a misuse unwinds.)
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

    /// Runs `run` with the heap locked. Only for a caller that has not interrupted code that may
    /// hold the lock.
    pub(super) fn locked<R>(&self, run: impl FnOnce(&mut Heap<B, M, P>) -> R) -> R {
        // SAFETY: callers in this folder leave heap and provider in place.
        unsafe { self.heap.with(run) }
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Parent<B, M, P, L> {
    /// Runs `run` with the heap locked. `None`: the interrupted code holds the lock.
    pub(super) fn with<T, R>(
        &self,
        place: Place<'_, T>,
        run: impl FnOnce(&mut Heap<B, M, P>) -> R,
    ) -> Option<R> {
        self.with_as_is(place, |heap| {
            self.free_waiting(heap);
            run(heap)
        })
    }

    /// [`with`](Parent::with) without freeing the blocks that wait, which may call the provider.
    pub(super) fn with_as_is<T, R>(
        &self,
        place: Place<'_, T>,
        run: impl FnOnce(&mut Heap<B, M, P>) -> R,
    ) -> Option<R> {
        self.noted(place, || self.locked(run))
    }

    /// Runs `run`, which may take the parent's lock without its heap. `None`: the interrupted code
    /// holds the lock.
    pub(super) fn noted<T, R>(&self, place: Place<'_, T>, run: impl FnOnce() -> R) -> Option<R> {
        let Some(slot) = place else { return Some(run()) };
        if slot.has_lock() {
            return None;
        }
        let _noted = Noted::new(slot);
        Some(run())
    }

    /// Frees a block of the parent, now or later: by its address alone, except in a checked heap.
    ///
    /// # Safety
    ///
    /// The block is the parent's, with this layout, and no caller uses it.
    pub(super) unsafe fn free<T>(
        &self,
        place: Place<'_, T>,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) {
        let freed = self.with(place, |heap| match layout.filter(|_| P::CHECKED) {
            // SAFETY: the clauses are those of this method.
            Some(layout) => unsafe { heap.deallocate(block, layout) },
            None => {
                if !P::CHECKED && !heap.inner().has_stopped() {
                    // SAFETY: a block of the parent has a header; the word in front of a block of
                    // an arena is readable, too.
                    unsafe { heap.require_owned(block) };
                }
                // SAFETY: the clauses are those of this method.
                unsafe { heap.deallocate_by_ptr(block) };
            }
        });
        if freed.is_none() {
            // SAFETY: the block is given up (this method's clause), and holds a word.
            unsafe { self.waiting.push(block.cast(), block.cast()) };
        }
    }

    /// Frees the blocks that wait: those that interrupt handlers have freed while the lock was
    /// held. A checked heap loses those behind a block that was freed twice, or written to since.
    fn free_waiting(&self, heap: &mut Heap<B, M, P>) {
        if self.waiting.is_empty() {
            return;
        }
        let (mut last, mut next) = (None, self.waiting.take_all());
        while let Some(block) = next {
            if P::CHECKED && !Checker(heap.inner()).verify_listed(block.cast(), last) {
                return;
            }
            // SAFETY: the block was in the list, and is used by no caller.
            (last, next) = (Some(block.cast()), unsafe { Link::read(block) });
            // SAFETY: `free`'s clauses hold for the block.
            unsafe { heap.deallocate_by_ptr(block.cast()) };
        }
    }
}
