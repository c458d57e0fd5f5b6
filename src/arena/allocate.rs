//! How a block is allocated: the one at hand, else from the arena (the second one for an interrupt
//! handler), else from the parent.

use core::alloc::Layout;
use core::mem;
use core::ptr::NonNull;

use super::parent::Parent;
use super::slot::Slot;
use super::visit::{Inside, Parted, Visit};
use super::{ArenaHeap, has_layer, is_large, served};
use crate::cell::CELL_ALIGN;
use crate::chunks::Growth;
use crate::layer::Layer;
use crate::lock::RawLock;
use crate::profile::{OfArena, Profile};
use crate::provider::{Map, Slots, Source};
use crate::segments::ArenaLayer;
use crate::size_class::Class;

impl<B: Source, M: Map, P: Profile, L: RawLock> Inside<'_, B, M, P, L> {
    /// Allocates a block that is not large from the arena. If others have freed something, some of
    /// that is taken up first.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's.
    #[inline(always)]
    unsafe fn allocate(
        &mut self,
        parent: &Parent<B, M, P, L>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if is_large(layout) {
            return None;
        }
        let (inner, mailbox) = self.inner();
        if inner.has_mail(mailbox) {
            inner.take_up_some(parent, mailbox);
        }
        // SAFETY: the caller's promise.
        let heap = unsafe { inner.heap(parent) };
        // SAFETY: callers of the heap keep it, and with it the parent, which has the arena's
        // memory, as long as its blocks.
        unsafe { heap.allocate(layout) }
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'heap, B, C, M, P, L> {
    /// Allocates from an arena that has no block at hand, or from the parent.
    fn allocate_missed(
        &self,
        mut inside: Inside<'heap, B, M, P, L>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: it was given to this heap's slot.
        if let Some(block) = unsafe { inside.allocate(&self.heap.parent, layout) } {
            return Some(block);
        }
        let level = inside.level;
        drop(inside);
        // A caller that has the parent's lock has left the arena, but not the slot.
        if level == 0 && self.slot.is_some_and(Slot::has_lock) {
            if let Some(second) = self.go_in(1) {
                return self.allocate_missed(second, layout);
            }
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

    /// Allocates from the parent. If that has nothing, what is free in all arenas goes back to it
    /// before.
    fn allocate_from_parent(&self, layout: Layout) -> Option<NonNull<u8>> {
        match self.ask_parent(layout)? {
            Some(block) => Some(block),
            None => self.reclaim(Some(layout)),
        }
    }

    /// `None`: the caller has interrupted somebody who has the parent's lock.
    fn ask_parent(&self, layout: Layout) -> Option<Option<NonNull<u8>>> {
        // SAFETY: the caller keeps the heap as long as its blocks.
        self.heap.parent.with(self.place(), |heap| unsafe { heap.allocate(layout) })
    }

    /// Allocates after what is free has gone back to the parent.
    pub(super) fn allocate_reclaimed(&self, layout: Layout) -> Option<NonNull<u8>> {
        if let Some(mut inside) = self.go_in(0) {
            // SAFETY: it was given to this heap's slot.
            if let Some(block) = unsafe { inside.allocate(&self.heap.parent, layout) } {
                return Some(block);
            }
        }
        self.ask_parent(layout)?
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
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
        let layout = served::<P>(layout);
        match self.allocate_in_class(layout) {
            Some(block) => Some(block),
            None => self.allocate_without_class(layout),
        }
    }

    /// Allocates a block of at most 4 KiB of the caller's arena, by the shortest path: it calls no
    /// function. `None` only says that there is more to do.
    #[inline(always)]
    pub(super) fn pop_at_hand(&self, size: usize, align: usize) -> Option<NonNull<u8>> {
        let class = Self::class_at_hand(size, align)?;
        let caller = self.caller();
        caller.go_in_at_hand()?.inner().heap.layer().pop(class)
    }

    /// [`pop_at_hand`](Self::pop_at_hand), else a block that was freed of a slab, else a cell, else
    /// what `otherwise` returns for the size. All calls are in tail position: the shortest path saves no
    /// register for them.
    #[inline(always)]
    pub(super) fn pop_or(
        &self,
        size: usize,
        align: usize,
        otherwise: impl FnOnce(usize) -> *mut u8,
    ) -> *mut u8 {
        let Some(class) = Self::class_at_hand(size, align) else { return otherwise(size) };
        let caller = self.caller();
        let Some(mut inside) = caller.go_in_at_hand() else { return otherwise(size) };
        match inside.inner().heap.layer().pop(class) {
            Some(block) => block.as_ptr(),
            None => {
                mem::forget(caller);
                self.refill_or(size, inside.part(), class, otherwise)
            }
        }
    }

    /// Puts what was freed of a slab at hand, and takes a block of it; else a cell.
    #[inline(never)]
    fn refill_or<'heap>(
        &'heap self,
        size: usize,
        parted: Parted<'heap, B, M, P, L>,
        class: Class,
        otherwise: impl FnOnce(usize) -> *mut u8,
    ) -> *mut u8 {
        let caller = self.caller_again();
        let mut inside = self.at_hand_again(parted);
        let layer = inside.inner().heap.layer();
        if layer.is_sampled() {
            drop(inside);
            drop(caller);
            return otherwise(size);
        }
        match layer.refill_at_hand(class) {
            Some(block) => block.as_ptr(),
            None => {
                mem::forget(caller);
                self.take_cell_or(size, inside.part(), class, otherwise)
            }
        }
    }

    /// Takes a cell if that takes one step, and leaves the arena and the slot; if it does not,
    /// leaves them first and calls `otherwise`.
    #[inline(never)]
    fn take_cell_or<'heap>(
        &'heap self,
        size: usize,
        parted: Parted<'heap, B, M, P, L>,
        class: Class,
        otherwise: impl FnOnce(usize) -> *mut u8,
    ) -> *mut u8 {
        let block = {
            let _caller = self.caller_again();
            let mut inside = self.at_hand_again(parted);
            let layout = Layout::from_size_align(size, CELL_ALIGN);
            layout
                .ok()
                .and_then(|layout| inside.inner().heap.inner().allocate_at_once(class, layout))
        };
        match block {
            Some(block) => block.as_ptr(),
            None => otherwise(size),
        }
    }

    /// Returns the class of a block that may be at hand.
    #[inline(always)]
    fn class_at_hand(size: usize, align: usize) -> Option<Class> {
        if P::CHECKED || !has_layer::<P>() || align > CELL_ALIGN {
            return None;
        }
        P::ArenaLayerOf::<OfArena<P>>::class_of_short(size, align)
    }

    /// Allocates a block of a class of the caller's arena.
    #[inline(always)]
    fn allocate_in_class(&self, layout: Layout) -> Option<NonNull<u8>> {
        let (size, align) = (layout.size(), layout.align());
        if P::CHECKED || !has_layer::<P>() || align > CELL_ALIGN {
            return None;
        }
        let class = P::ArenaLayerOf::<OfArena<P>>::class_of_usual(size, align)?;
        let caller = self.caller();
        let mut inside = caller.go_in_at_hand()?;
        match inside.inner().heap.layer().pop(class) {
            Some(block) => Some(block),
            None => {
                let parted = inside.part();
                mem::forget(caller);
                self.allocate_of(parted, class, size, align)
            }
        }
    }

    /// Allocates a block of a class that has none at hand, and leaves the arena and the slot.
    #[cold]
    #[inline(never)]
    fn allocate_of<'heap>(
        &'heap self,
        parted: Parted<'heap, B, M, P, L>,
        class: Class,
        size: usize,
        align: usize,
    ) -> Option<NonNull<u8>> {
        let (caller, mut inside) = (self.caller_again(), self.at_hand_again(parted));
        let (inner, mailbox) = inside.inner_and_mailbox();
        if let Some(block) = inner.heap.layer().refill(class) {
            return Some(block);
        }
        let layout = Layout::from_size_align(size, align).ok()?;
        if let Some(block) = inner.heap.inner().allocate_at_once(class, layout) {
            return Some(block);
        }
        // Every now and then, and before the arena grows.
        if inner.has_mail(mailbox) {
            inner.take_up_some(&self.parent, mailbox);
        }
        // SAFETY: the arena is one of this heap.
        let heap = unsafe { inner.heap(&self.parent) }.inner();
        let block = heap.allocate_small(class, layout, Growth::Allowed)?;
        drop(inside);
        drop(caller);
        self.after_miss();
        Some(block)
    }

    /// What is done now and then, after a block was not at hand. The caller is on no slot.
    fn after_miss(&self) {
        self.cpu.missed();
        self.reclaim_if_due();
    }

    /// Allocates a block that is not at hand.
    #[inline(never)]
    pub(super) fn allocate_slowly(&self, layout: Layout) -> Option<NonNull<u8>> {
        match self.allocate_in_class(layout) {
            Some(block) => Some(block),
            None => self.allocate_without_class(layout),
        }
    }

    /// Allocates a block of no class, or where the caller's arena cannot be entered, or has none.
    #[inline(never)]
    fn allocate_without_class(&self, layout: Layout) -> Option<NonNull<u8>> {
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
                    self.after_miss();
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
        let layout = served::<P>(layout);
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
        let layout = served::<P>(layout);
        let visit = self.visit();
        if let Some(mut inside) =
            visit.go_in(0).or_else(|| visit.go_in(1)).filter(|_| !is_large(layout))
        {
            // SAFETY: the caller's promise.
            let block = unsafe { inside.inner().0.heap.try_allocate(layout) };
            if block.is_some() {
                return block;
            }
        }
        // SAFETY: the caller's promise.
        self.parent.with(visit.place(), |heap| unsafe { heap.try_allocate(layout) })?
    }
}
