//! Resizes a block: in its place if its heap has room there, or need not know; else the block moves
//! to the caller's arena.
//!
//! ```text
//!   the caller's, in a slab ─► it is little smaller: it stays ──(no)──┐
//!                                                                     ▼
//!   the caller's, or the parent's ─► its heap resizes it ──(no room, or large)─┐
//!   another's ─► it can stay, and its owner need not know ──(no)───────────────┴─► allocate, copy,
//!                                                                                  deallocate
//!                           a block that becomes smaller stays ◄──(no memory)───────────┘
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{ArenaHeap, has_fast_paths, is_large, served};
use crate::cell::{Cell, Form, WORD};
use crate::checked::{guarded_layout, relabel, size_on_record};
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::{Owner, SegmentMap};

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Changes the size of a block and keeps its contents up to the smaller of both sizes. A block
    /// of another arena moves to the caller's, unless it can stay as it is.
    ///
    /// # Errors
    ///
    /// `None` if there is no memory. The block is as it was. A smaller size never fails, except for
    /// a block of less than 1 KiB that is less aligned than blocks of its new size: it must move.
    /// (With the profile `Checked`, also for a block of the parent in an interrupt handler.)
    ///
    /// # Time
    ///
    /// That of [`allocate`](ArenaHeap::allocate), plus the copy if the block moves.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout and was not freed since. After `Some`, only
    /// the new block may be used, and its layout is `new_size` with the old alignment.
    #[must_use]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        let new = Layout::from_size_align(new_size, layout.align()).ok()?;
        let (old, new) = (served::<P>(layout), served::<P>(new));
        // SAFETY: the clauses are those of this method.
        unsafe {
            if self.stays_in_slab(block, new) {
                return Some(block);
            }
            self.resize(block, Some(old), new)
        }
    }

    /// [`reallocate`](ArenaHeap::reallocate) for callers that do not know the old layout. The new
    /// alignment need not be the old one.
    ///
    /// # Errors
    ///
    /// `None` if there is no memory. The block is as it was.
    ///
    /// # Time
    ///
    /// That of [`reallocate`](ArenaHeap::reallocate).
    ///
    /// # Safety
    ///
    /// The block came from this heap and was not freed since. After `Some`, only the new block may
    /// be used, and its layout is `new`.
    #[must_use]
    #[inline]
    pub unsafe fn reallocate_by_ptr(&self, block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
        let new = served::<P>(new);
        // SAFETY: the clauses are those of this method.
        unsafe {
            if self.stays_in_slab(block, new) {
                return Some(block);
            }
            self.resize(block, None, new)
        }
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

    /// Returns whether a block of a slab of the caller's arena can stay as it is: most blocks of a
    /// program that change their size can, such as a string that was longer than it became.
    ///
    /// # Safety
    ///
    /// The clauses of [`resize`](ArenaHeap::resize).
    #[inline(always)]
    unsafe fn stays_in_slab(&self, block: NonNull<u8>, new: Layout) -> bool {
        if !has_fast_paths::<P>() {
            return false;
        }
        let caller = self.caller();
        let Some(mut inside) = caller.enter_at_hand() else { return false };
        let Some(slab) = inside.inner().word_if_own(block.as_ptr()) else { return false };
        // SAFETY: words lead to valid descriptors, and the arena is entered.
        unsafe { slab.as_ref() }.suits(block, new)
    }

    /// Implements [`reallocate`](ArenaHeap::reallocate), and `reallocate_by_ptr` if the old layout
    /// is unknown. A known layout has the new alignment.
    ///
    /// # Safety
    ///
    /// The clauses of [`reallocate`](ArenaHeap::reallocate), as far as the old layout is known.
    #[inline(never)]
    unsafe fn resize(
        &self,
        block: NonNull<u8>,
        old: Option<Layout>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the clauses are those of this method.
        if let Some(block) = unsafe { self.resize_in_its_heap(block, old, new) } {
            return Some(block);
        }
        if P::CHECKED && !self.may_move(block, old) {
            return None;
        }
        // SAFETY: the clauses are those of this method.
        let capacity = old.map_or_else(|| unsafe { self.usable_size(block) }, |old| old.size());
        if capacity == 0 && old.is_none() {
            // A block of the parent, whose lock the interrupted code holds.
            return None;
        }
        let is_half_full = new.size() <= capacity && new.size() > capacity / 2;
        if !P::CHECKED && is_half_full && block.addr().get() % new.align() == 0 {
            return Some(block);
        }
        // SAFETY: the caller keeps the heap as long as its blocks.
        let Some(moved) = (unsafe { self.allocate(new) }) else {
            // SAFETY: the clauses are those of this method.
            return (new.size() <= capacity && unsafe { self.leave(block, new) }).then_some(block);
        };
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied.
        unsafe { moved.copy_from_nonoverlapping(block, capacity.min(new.size())) };
        // SAFETY: the caller gives the old block up; its contents are in the new one.
        unsafe { self.free_block(block, old) };
        Some(moved)
    }

    /// Leaves a block where it is, with a layout that is no longer than its own. Returns `false` if
    /// its place does not suit the new layout, with which it will be freed.
    ///
    /// # Safety
    ///
    /// As for [`resize`](ArenaHeap::resize).
    #[cold]
    unsafe fn leave(&self, block: NonNull<u8>, new: Layout) -> bool {
        let visit = self.visit();
        let at = block.addr().get();
        if at % new.align() != 0 {
            return false;
        }
        let Some(shared) = visit.shared.filter(|_| visit.owner_of(block) != Owner::NONE) else {
            // A block of the parent is freed by its address alone, except in a checked heap.
            return !P::CHECKED;
        };
        let longer = if P::CHECKED { guarded_layout(new) } else { Some(new) };
        let Some(longer) = longer else { return false };
        // SAFETY: the block is live (this method's clause), and lies in a segment.
        let capacity = unsafe { capacity_in_segment::<P>(&shared.map, block) };
        let may_stay = longer.size() <= capacity;
        if P::CHECKED && may_stay {
            // SAFETY: a live block, which was examined, and has room for that.
            unsafe { relabel::<P>(&shared.map, block, new) };
        }
        may_stay
    }

    /// Lets the heap of a block resize it, if that is the parent or the caller's arena. `None`: it
    /// is another heap, or has no room.
    ///
    /// # Safety
    ///
    /// As for [`resize`](ArenaHeap::resize).
    unsafe fn resize_in_its_heap(
        &self,
        block: NonNull<u8>,
        old: Option<Layout>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        {
            let caller = self.caller();
            if let Some(mut inside) = caller.enter_arena() {
                let (inner, _) = inside.inner();
                if inner.word_if_own(block.as_ptr()).is_some() && !is_large(new) {
                    // SAFETY: the arena is one of this heap.
                    let heap = unsafe { inner.heap(&self.parent) };
                    // SAFETY: the clauses are those of this method.
                    return unsafe { reallocate(heap, block, old, new) };
                }
            }
        }
        let visit = self.visit();
        let owner = visit.owner_of(block);
        if owner == Owner::NONE {
            // SAFETY: the clauses are those of this method; the block lies in no segment.
            return self
                .parent
                .with(visit.slot, |heap| unsafe { reallocate(heap, block, old, new) })?;
        }
        let mut inside = visit.enter_arena(0).filter(|_| !is_large(new))?;
        let (inner, _) = inside.inner();
        if inner.owner != owner {
            return None;
        }
        // SAFETY: the arena is one of this heap.
        let heap = unsafe { inner.heap(&self.parent) };
        // SAFETY: the clauses are those of this method.
        unsafe { reallocate(heap, block, old, new) }
    }
}

/// Resizes a block of this heap, by its layout, or by address alone.
///
/// # Safety
///
/// As for [`Heap::reallocate`], or [`Heap::reallocate_by_ptr`].
unsafe fn reallocate<B: Source, M: Map, P: Profile>(
    heap: &mut Heap<B, M, P>,
    block: NonNull<u8>,
    old: Option<Layout>,
    new: Layout,
) -> Option<NonNull<u8>> {
    match old {
        // SAFETY: the clauses are those of this method.
        Some(old) => unsafe { heap.reallocate(block, old, new.size()) },
        // SAFETY: the clauses are those of this method.
        None => unsafe { heap.reallocate_by_ptr(block, new) },
    }
}

/// Returns the number of bytes that an arena gave to a block, for a caller on any slot.
///
/// # Safety
///
/// `block` is a live block in a segment.
unsafe fn capacity_in_segment<F: Form>(map: &SegmentMap, block: NonNull<u8>) -> usize {
    if let Some(class) = map.class_at(block.addr().get()) {
        return class.size();
    }
    // SAFETY: the block lies in no slab, so it has a header.
    let cell = unsafe { Cell::<F>::of_payload(block) };
    // SAFETY: the block is live, so its cell stays as it is.
    unsafe { cell.header_of_foreign() }.size() - WORD
}
