//! How a block is allocated: the one at hand, else from the arena (the second one for an interrupt
//! handler), else from the parent.

use core::alloc::Layout;
use core::mem;
use core::ptr::NonNull;

use super::parent::Parent;
use super::slot::Slot;
use super::visit::{ArenaGuard, Parted, Visit};
use super::{ArenaHeap, has_fast_paths, is_large, served};
use crate::cell::CELL_ALIGN;
use crate::layer::Layer;
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::ArenaLayer;
use crate::size_class::{ARENA_CLASSES, Class};

impl<B: Source, M: Map, P: Profile, L: RawLock> ArenaGuard<'_, B, M, P, L> {
    /// Allocates a block that is not large from the arena. Collects blocks that other callers have
    /// freed first.
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
            inner.collect_for(layout, parent, mailbox);
        }
        // SAFETY: the parent is the arena's: this method's clause.
        let heap = unsafe { inner.heap(parent) };
        // SAFETY: callers keep the heap, and with it the parent, which has the arena's memory, as
        // long as its blocks.
        unsafe { heap.allocate(layout) }
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'heap, B, C, M, P, L> {
    /// Allocates from an arena that has no block at hand, or from the parent.
    fn allocate_missed(
        &self,
        mut inside: ArenaGuard<'heap, B, M, P, L>,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the arena is one of this heap.
        if let Some(block) = unsafe { inside.allocate(&self.heap.parent, layout) } {
            return Some(block);
        }
        let level = inside.level;
        drop(inside);
        // A caller that has the parent's lock has left the arena, but not the slot.
        if level == 0 && self.slot.is_some_and(Slot::has_lock) {
            if let Some(second) = self.enter_arena(1) {
                return self.allocate_missed(second, layout);
            }
        }
        self.allocate_from_parent(layout)
    }

    /// Allocates from the parent. If that has no room, free memory of all arenas goes back to it
    /// first.
    fn allocate_from_parent(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.ask_parent(layout)?.or_else(|| self.reclaim(Some(layout)))
    }

    /// Allocates from the parent. `None`: the caller has interrupted code that holds the parent's
    /// lock.
    fn ask_parent(&self, layout: Layout) -> Option<Option<NonNull<u8>>> {
        // SAFETY: the caller keeps the heap as long as its blocks.
        self.heap.parent.with(self.slot, |heap| unsafe { heap.allocate(layout) })
    }

    /// Allocates after free memory has gone back to the parent.
    pub(super) fn allocate_reclaimed(&self, layout: Layout) -> Option<NonNull<u8>> {
        if let Some(mut inside) = self.enter_arena(0) {
            // SAFETY: the arena is one of this heap.
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
    /// `None` if there is no memory; or if the caller has interrupted code that holds the parent's
    /// lock, and its second arena has no room.
    ///
    /// # Time
    ///
    /// O(1), plus at most a few calls of the provider. A local operation takes no lock. Before a
    /// slab begins, it collects up to 4096 blocks that other callers have freed. For more memory it
    /// waits for the parent's lock.
    ///
    /// # Safety
    ///
    /// The heap lives, and stays where it is, until the last use of the block.
    #[must_use]
    #[inline]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served::<P>(layout);
        match Self::class_of(layout) {
            Some(class) => self.pop_of_or(class, layout, Self::allocate_slowly),
            None => self.allocate_slowly(layout),
        }
    }

    /// Returns the class of a layout, if it is not over-aligned.
    #[inline(always)]
    fn class_of(layout: Layout) -> Option<Class> {
        let is_usual = has_fast_paths::<P>() && layout.align() <= CELL_ALIGN;
        if is_usual {
            Class::of_usual::<ARENA_CLASSES>(layout.size(), layout.align())
        } else {
            None
        }
    }

    /// Returns the class of a size of at most 4 KiB, if it is not over-aligned.
    #[inline(always)]
    fn class_of_short(size: usize, align: usize) -> Option<Class> {
        let is_usual = has_fast_paths::<P>() && align <= CELL_ALIGN;
        if is_usual { Class::of_short(size, align) } else { None }
    }

    /// Allocates a block of at most 4 KiB that the caller's arena has at hand. `None` only means
    /// that a longer path may find one.
    #[inline(always)]
    pub(super) fn pop_at_hand(&self, layout: Layout) -> Option<NonNull<u8>> {
        let class = Self::class_of_short(layout.size(), layout.align())?;
        let caller = self.caller();
        caller.enter_at_hand()?.inner().heap.layer().pop(class)
    }

    /// [`pop_of_or`](Self::pop_of_or) for a size that may have no class; then what `otherwise`
    /// returns. `align` is a power of two.
    #[inline(always)]
    pub(super) fn pop_or(
        &self,
        size: usize,
        align: usize,
        otherwise: impl FnOnce(usize) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        let Some(class) = Self::class_of_short(size, align) else {
            return self.pop_long_or(size, align, otherwise);
        };
        match Layout::from_size_align(size, align) {
            Ok(layout) => self.pop_of_or(class, layout, |_, layout| otherwise(layout.size())),
            Err(_) => None,
        }
    }

    /// [`pop_or`](Self::pop_or) for a size above 4 KiB: its class takes longer to find.
    #[inline(never)]
    fn pop_long_or(
        &self,
        size: usize,
        align: usize,
        otherwise: impl FnOnce(usize) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        let Ok(layout) = Layout::from_size_align(size, align) else { return otherwise(size) };
        match Self::class_of(layout) {
            Some(class) => self.pop_of_or(class, layout, |_, layout| otherwise(layout.size())),
            None => otherwise(size),
        }
    }

    /// Allocates a block of the caller's arena: the one at hand, else a free one of a slab, else a
    /// cell, if that takes one step, else what `otherwise` returns. The rest is called in tail
    /// position: the shortest path saves no register for it.
    #[inline(always)]
    fn pop_of_or(
        &self,
        class: Class,
        layout: Layout,
        otherwise: impl FnOnce(&Self, Layout) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        let caller = self.caller();
        let Some(mut inside) = caller.enter_at_hand() else {
            drop(caller);
            return otherwise(self, layout);
        };
        match inside.inner().heap.layer().pop(class) {
            Some(block) => Some(block),
            None => {
                mem::forget(caller);
                self.refill_or(layout, inside.part(), class, otherwise)
            }
        }
    }

    /// Puts free blocks of a slab at hand, and takes one; else a cell.
    #[inline(never)]
    fn refill_or<'heap>(
        &'heap self,
        layout: Layout,
        parted: Parted<'heap, B, M, P, L>,
        class: Class,
        otherwise: impl FnOnce(&Self, Layout) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        let caller = self.caller_again();
        let mut inside = self.at_hand_again(parted);
        // Of a sampled heap each allocation without a block at hand is counted.
        let slabs = inside.inner().heap.layer().slabs().filter(|slabs| slabs.quota.is_none());
        let Some(slabs) = slabs else {
            drop(inside);
            drop(caller);
            return otherwise(self, layout);
        };
        match slabs.refill_inline::<false>(class) {
            Some(block) => Some(block),
            None => {
                mem::forget(caller);
                self.take_cell_or(layout, inside.part(), class, otherwise)
            }
        }
    }

    /// Takes a cell if that takes one step, and leaves the arena and the slot; if it does not,
    /// leaves them first.
    #[inline(never)]
    fn take_cell_or<'heap>(
        &'heap self,
        layout: Layout,
        parted: Parted<'heap, B, M, P, L>,
        class: Class,
        otherwise: impl FnOnce(&Self, Layout) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        let block = {
            let _caller = self.caller_again();
            self.at_hand_again(parted).inner().heap.inner().allocate_at_once(class, layout)
        };
        block.or_else(|| otherwise(self, layout))
    }

    /// Allocates a block that is neither at hand nor found in one step; or for a caller whose arena
    /// cannot be entered, or does not exist yet.
    #[inline(never)]
    pub(super) fn allocate_slowly(&self, layout: Layout) -> Option<NonNull<u8>> {
        if !is_large(layout) {
            let caller = self.caller();
            if let Some(mut inside) = caller.enter_arena() {
                // SAFETY: the arena is one of this heap.
                if let Some(block) = unsafe { inside.allocate(&self.parent, layout) } {
                    drop(inside);
                    drop(caller);
                    self.cpu.missed();
                    self.reclaim_if_due();
                    return Some(block);
                }
            }
        }
        self.allocate_elsewhere(layout)
    }

    /// Allocates a block that the caller's arena does not have, because it is large or for other
    /// reasons.
    #[cold]
    #[inline(never)]
    fn allocate_elsewhere(&self, layout: Layout) -> Option<NonNull<u8>> {
        if self.shared().is_none() {
            // The first operation of all.
            self.prepare();
        }
        let visit = self.visit();
        if !is_large(layout) {
            if let Some(inside) = visit.enter_arena(0).or_else(|| visit.enter_other()) {
                return visit.allocate_missed(inside, layout);
            }
        }
        visit.allocate_from_parent(layout)
    }

    /// Allocates a block of zeros. See [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
    ///
    /// # Errors
    ///
    /// `None` where [`allocate`](ArenaHeap::allocate) returns it.
    ///
    /// # Time
    ///
    /// That of [`allocate`](ArenaHeap::allocate), plus O(bytes that are not known to be zero).
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
            // SAFETY: the caller keeps the heap as long as its blocks: this method's clause.
            let answer =
                self.parent.with(visit.slot, |heap| unsafe { heap.allocate_zeroed(layout) });
            if let Some(Some(block)) = answer {
                return Some(block);
            }
        }
        // SAFETY: the caller keeps the heap as long as its blocks: this method's clause.
        let block = unsafe { self.allocate(layout) }?;
        // SAFETY: a new block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// [`allocate`](ArenaHeap::allocate) that never calls the provider. It may wait for the
    /// parent's lock.
    ///
    /// # Errors
    ///
    /// `None` if neither the caller's arena nor the parent has room.
    ///
    /// # Time
    ///
    /// That of [`allocate`](ArenaHeap::allocate), without calls of the provider.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    pub unsafe fn try_allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served::<P>(layout);
        let visit = self.visit();
        if let Some(mut inside) =
            visit.enter_as_is(0).or_else(|| visit.enter_as_is(1)).filter(|_| !is_large(layout))
        {
            // SAFETY: the caller keeps the heap as long as its blocks: this method's clause.
            let block = unsafe { inside.inner().0.heap.try_allocate(layout) };
            if block.is_some() {
                return block;
            }
        }
        // SAFETY: the caller keeps the heap as long as its blocks: this method's clause.
        self.parent.with_as_is(visit.slot, |heap| unsafe { heap.try_allocate(layout) })?
    }
}
