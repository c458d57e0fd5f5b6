//! How a block is freed: to its slab, the arena, the outbox for its owner, or the parent.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::parent::Parent;
use super::visit::{ArenaGuard, Parted, SlotGuard, Visit};
use super::{ArenaHeap, has_fast_paths, served};
use crate::lock::RawLock;
use crate::profile::{OfArena, Profile};
use crate::provider::{Map, Slots, Source};
use crate::segments::{ArenaLayer, Owner};
use crate::slabs::Slab;

impl<B: Source, M: Map, P: Profile, L: RawLock> ArenaGuard<'_, B, M, P, L> {
    /// Frees a block of the arena.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's. As for [`ArenaHeap::deallocate`]; the block is this arena's.
    #[inline(always)]
    unsafe fn deallocate(
        &mut self,
        parent: &Parent<B, M, P, L>,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) {
        // SAFETY: the clauses are those of this method.
        let heap = unsafe { self.inner().0.heap(parent) };
        match layout {
            // SAFETY: the clauses are those of this method.
            Some(layout) => unsafe { heap.deallocate(block, layout) },
            // SAFETY: the clauses are those of this method.
            None => unsafe { heap.deallocate_by_ptr(block) },
        }
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'_, B, C, M, P, L> {
    /// Frees a block where the fast path found no arena.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`]; `owner` is the block's.
    #[cold]
    unsafe fn deallocate_elsewhere(
        &self,
        owner: Owner,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) {
        if owner == Owner::NONE {
            // SAFETY: the clauses are those of this method; the block lies in no segment.
            return unsafe { self.heap.parent.free(self.slot, block, layout) };
        }
        if let Some(mut inside) = self.enter_other() {
            if inside.inner().0.owner == owner {
                // SAFETY: the clauses are those of this method.
                return unsafe { inside.deallocate(&self.heap.parent, block, layout) };
            }
            if inside.level == 0 {
                // SAFETY: the clauses are those of this method.
                return unsafe { inside.inner().0.send(owner, block, layout) };
            }
        }
        // SAFETY: the clauses are those of this method.
        if P::CHECKED && !unsafe { self.may_send(block, layout) } {
            return;
        }
        // An interrupt handler leaves no block behind in an outbox.
        let Some(mailbox) = self.shared.and_then(|shared| shared.mailbox_of(owner)) else { return };
        // SAFETY: the block is given up (this method's clause), and every block holds a word.
        unsafe { mailbox.list.push(block.cast(), block.cast()) };
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Frees a block. That always succeeds.
    ///
    /// # Time
    ///
    /// O(1). A local operation takes no lock. Blocks of another arena take one exchange with its
    /// owner every few dozen.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is not used any
    /// more.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.free_block(block, Some(served::<P>(layout))) };
    }

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

    /// Frees a block, whose layout the heap was asked for, if it is known.
    ///
    /// # Safety
    ///
    /// The clauses of [`deallocate`](ArenaHeap::deallocate), if the layout is known.
    #[inline(always)]
    pub(super) unsafe fn free_block(&self, block: NonNull<u8>, layout: Option<Layout>) {
        // SAFETY: the clauses are those of this method.
        unsafe {
            if !self.push_at_hand(block.as_ptr()) {
                self.deallocate_slowly(block, layout);
            }
        }
    }

    /// Frees a block to its slab, if that is the caller's, by the shortest path: it calls no
    /// function, unless something becomes due. `false` only means that a longer path is needed, as
    /// for null.
    ///
    /// # Safety
    ///
    /// The clauses of [`deallocate`](ArenaHeap::deallocate), unless `block` is null.
    #[inline(always)]
    pub(super) unsafe fn push_at_hand(&self, block: *mut u8) -> bool {
        if !has_fast_paths::<P>() {
            return false;
        }
        let caller = self.caller();
        let Some(mut inside) = caller.enter_at_hand() else { return false };
        let inner = inside.inner();
        let Some(slab) = inner.word_if_own(block) else { return false };
        // SAFETY: the address is not null, because it lies in a segment.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the block is this arena's, the caller gives it up, and its word leads to `slab`.
        if unsafe { Slab::verify_and_push::<OfArena<P>>(slab, block) } {
            // SAFETY: the push has just said so.
            unsafe { self.attend(block, caller, inside.part(), slab) };
        }
        true
    }

    /// Attends to a descriptor of the caller's arena, and leaves the arena and the slot.
    ///
    /// # Safety
    ///
    /// [`verify_and_push`](Slab::verify_and_push) has returned `true` for `slab` and `block`, and
    /// nothing was done since.
    #[cold]
    #[inline(never)]
    unsafe fn attend<'heap>(
        &'heap self,
        block: NonNull<u8>,
        _caller: SlotGuard<'heap, B, C, M, P, L>,
        inside: Parted<'heap, B, M, P, L>,
        slab: NonNull<Slab>,
    ) {
        let mut inside = self.at_hand_again(inside);
        let Some(slabs) = inside.inner().heap.layer().slabs() else { return };
        // SAFETY: the clauses are those of this method.
        if unsafe { slabs.relist_at_once(slab) } {
            return;
        }
        // SAFETY: the arena is one of this heap.
        let heap = unsafe { inside.inner().heap(&self.parent) }.inner();
        if let Some(slabs) = heap.layer.slabs() {
            // SAFETY: the clauses are those of this method.
            unsafe { slabs.attend_to(&mut heap.large, slab, block) };
        }
    }

    /// Frees a block that lies in another arena, or not near, or in a heap without slabs.
    ///
    /// # Safety
    ///
    /// The clauses of [`deallocate`](ArenaHeap::deallocate), if the layout is known.
    #[inline(never)]
    pub(super) unsafe fn deallocate_slowly(&self, block: NonNull<u8>, layout: Option<Layout>) {
        {
            let caller = self.caller();
            if let Some(mut inside) = caller.enter_arena() {
                let inner = inside.inner().0;
                let owner = inner.owner_of(block);
                if owner == inner.owner {
                    // SAFETY: the arena is one of this heap; the clauses are those of this method.
                    return unsafe { inside.deallocate(&self.parent, block, layout) };
                }
                if owner != Owner::NONE {
                    // SAFETY: the clauses are those of this method.
                    return unsafe { inner.send(owner, block, layout) };
                }
            }
        }
        let visit = self.visit();
        // SAFETY: the clauses are those of this method.
        unsafe { visit.deallocate_elsewhere(visit.owner_of(block), block, layout) };
    }
}
