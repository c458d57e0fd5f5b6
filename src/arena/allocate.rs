//! How a block is allocated: from the front cache, else the arena (the second one for an
//! interrupter), else the parent.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::parent::Parent;
use super::slot::Slot;
use super::visit::{Inside, Visit};
use super::{ArenaHeap, is_large, served};
use crate::lock::RawLock;
use crate::provider::{Break, Cpu, Map};
use crate::small::Front;

impl<B: Break, M: Map, L: RawLock> Inside<'_, B, M, L> {
    /// Allocates a block that is not large from the arena. If others have freed something, some of
    /// that is taken up first.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's.
    #[inline(always)]
    unsafe fn allocate(&mut self, parent: &Parent<B, M, L>, layout: Layout) -> Option<NonNull<u8>> {
        if is_large(layout) {
            return None;
        }
        let (inner, mailbox) = self.inner();
        inner.adjust_cache();
        if inner.has_mail(mailbox) {
            inner.take_up_some(parent, mailbox);
        }
        // SAFETY: the caller's promise.
        let heap = unsafe { inner.heap(parent) };
        // SAFETY: callers of the heap keep it, and with it the parent, which has the arena's
        // memory, as long as its blocks.
        unsafe { heap.allocate(Front::in_full(layout)) }
    }
}

impl<'heap, B: Break, C: Cpu, M: Map, L: RawLock> Visit<'heap, B, C, M, L> {
    /// Allocates from an arena whose front cache has nothing, or from the parent.
    fn allocate_missed(
        &self,
        mut inside: Inside<'heap, B, M, L>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: it was given to this heap's slot.
        if let Some(block) = unsafe { inside.allocate(&self.heap.parent, layout) } {
            return Some(block);
        }
        let level = inside.level;
        drop(inside);
        // A caller that has the parent's lock has left the arena, but not the slot.
        if level == 0
            && self.slot.is_some_and(Slot::has_lock)
            && let Some(second) = self.go_in(1)
        {
            return self.allocate_missed(second, layout);
        }
        self.allocate_from_parent(layout)
    }

    /// Allocates where the fast path found no arena.
    #[cold]
    fn allocate_elsewhere(&self, layout: Layout) -> Option<NonNull<u8>> {
        match self.go_in_elsewhere() {
            Some(inside) => self.allocate_missed(inside, layout),
            None => self.allocate_from_parent(layout),
        }
    }

    /// Allocates from the parent. If that has nothing, what can be had back from slots that are
    /// retired is, and it looks again; and then in their arenas.
    fn allocate_from_parent(&self, layout: Layout) -> Option<NonNull<u8>> {
        let allocate = || {
            // SAFETY: the caller keeps the heap as long as its blocks.
            self.heap.parent.with(self.place(), |heap| unsafe { heap.allocate(layout) })
        };
        let answer = allocate()?;
        if answer.is_some()
            || self.source().is_none_or(|source| source.shared.retired.load(Ordering::Relaxed) == 0)
        {
            return answer;
        }
        self.adopt_all();
        allocate()?.or_else(|| self.allocate_from_retired(layout))
    }
}

impl<B: Break, C: Cpu, M: Map, L: RawLock> ArenaHeap<B, C, M, L> {
    /// Allocates a block: from the caller's arena, else from the parent.
    ///
    /// # Errors
    ///
    /// `None` if there is no memory; or if the caller has interrupted somebody who has the parent's
    /// lock, and its second arena has none.
    ///
    /// # Time
    ///
    /// O(1), plus at most a few calls of the provider. Locally it takes no lock; every few dozen
    /// blocks others may have freed are taken up, `TAKEN_UP_AT_ONCE` at most; for more memory
    /// it waits for the parent's lock.
    ///
    /// # Safety
    ///
    /// The heap lives, and stays where it is, until the last use of the block.
    #[must_use]
    #[inline]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served(layout);
        // SAFETY: the caller's promise.
        match unsafe { self.allocate_at_once(layout) } {
            Some(block) => Some(block),
            None => self.allocate_slowly(layout),
        }
    }

    /// [`allocate`](ArenaHeap::allocate) as far as its shortest way goes, which calls nobody:
    /// `None` only says that there is more to do.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    #[inline(always)]
    pub unsafe fn allocate_at_once(&self, layout: Layout) -> Option<NonNull<u8>> {
        Front::of(layout)?;
        let caller = self.caller();
        caller.go_in()?.inner().0.heap.pop_front(layout)
    }

    /// Allocates what is not in the front cache.
    #[inline(never)]
    fn allocate_slowly(&self, layout: Layout) -> Option<NonNull<u8>> {
        if is_large(layout) {
            return self.allocate_large(layout);
        }
        {
            let caller = self.caller();
            if let Some(mut inside) = caller.go_in() {
                // SAFETY: the arena is one of this heap.
                if let Some(block) = unsafe { inside.allocate(&self.parent, layout) } {
                    drop(inside);
                    drop(caller);
                    self.cpu.missed();
                    return Some(block);
                }
            }
        }
        self.allocate_elsewhere(layout)
    }

    /// Allocates what comes from the parent.
    fn allocate_large(&self, layout: Layout) -> Option<NonNull<u8>> {
        if self.shared().is_none() {
            // The first operation of all.
            self.prepare();
        }
        self.visit().allocate_from_parent(layout)
    }

    /// Allocates what the caller's arena does not have.
    #[cold]
    #[inline(never)]
    fn allocate_elsewhere(&self, layout: Layout) -> Option<NonNull<u8>> {
        if self.shared().is_none() {
            // The first operation of all.
            self.prepare();
        }
        let visit = self.visit();
        match visit.go_in(0) {
            Some(inside) => visit.allocate_missed(inside, layout),
            None => visit.allocate_elsewhere(layout),
        }
    }

    /// Allocates a block of zeros. See [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    pub unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served(layout);
        if is_large(layout) {
            // What is fresh from the provider need not be written to.
            let visit = self.visit();
            // SAFETY: the caller's promise.
            let answer =
                self.parent.with(visit.place(), |heap| unsafe { heap.allocate_zeroed(layout) });
            if let Some(Some(block)) = answer {
                return Some(block);
            }
        }
        // SAFETY: the caller's promise.
        let block = unsafe { self.allocate(layout) }?;
        // SAFETY: a new block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// [`allocate`](ArenaHeap::allocate) that never calls the provider. It may wait for the
    /// parent's lock.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    pub unsafe fn try_allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served(layout);
        let visit = self.visit();
        if let Some(mut inside) =
            visit.go_in(0).or_else(|| visit.go_in(1)).filter(|_| !is_large(layout))
        {
            // SAFETY: the caller's promise.
            let block = unsafe { inside.inner().0.heap.try_allocate(Front::in_full(layout)) };
            if block.is_some() {
                return block;
            }
        }
        // SAFETY: the caller's promise.
        self.parent.with(visit.place(), |heap| unsafe { heap.try_allocate(layout) })?
    }
}
