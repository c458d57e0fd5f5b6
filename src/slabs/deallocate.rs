//! Where a block goes, and what becomes of its slab.
//!
//! ```text
//!   push ─► the slab's list ──(counter 0)──► attend ┬ no slab ──► its cell, or its mapping
//!                                                   ├ full ─────► listed again
//!                                                   └ no live ──► kept, or a free cell
//!   give_up ─► blocks at hand go back to their slabs; empty slabs, and the map of none, are freed
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::Slabs;
use super::allocate::loans_of;
use super::map::SlabMap;
use super::slab::{FreeList, Slab, State};
use crate::cell::{CELL_ALIGN, Cell, copy_down};
use crate::chunks::Tuning;
use crate::large::{Large, no_block};
use crate::layer::Layer;
use crate::provider::{Map, Source};
use crate::size_class::Class;

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Slabs<P, G, N> {
    /// Frees a block: one of a slab, a cell, or one with a mapping of its own. O(1), plus at most
    /// one call of the provider.
    ///
    /// # Safety
    ///
    /// `block` is a live block of the heap that nothing uses any more.
    #[inline(always)]
    pub(super) unsafe fn push<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
    ) {
        match self.map.word_at_hand(block.addr().get()) {
            // SAFETY: words of the map lead to valid descriptors: the clause of `SlabMap`.
            Some(at) => unsafe { self.push_to(large, at, block) },
            // SAFETY: the clauses are those of this method.
            None => unsafe { self.push_beyond(large, block) },
        }
    }

    /// Frees a block that the map's shortest look-up does not find.
    ///
    /// # Safety
    ///
    /// The clause of [`push`](Slabs::push).
    #[inline(never)]
    unsafe fn push_beyond<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
    ) {
        match self.map.word_elsewhere(block.addr().get()) {
            // SAFETY: words of the map lead to valid descriptors: the clause of `SlabMap`.
            Some(at) => unsafe { self.push_to(large, at, block) },
            // If the heap has stopped, there is no map, and nothing of the block is read.
            None if large.has_lost(block) => {}
            // SAFETY: the block lies in no slab, because the map does not reach it.
            None => unsafe { self.free_cell(large, block) },
        }
    }

    /// Frees a block to the slab in which it lies, or to the descriptor that stands for no slab.
    ///
    /// # Safety
    ///
    /// The clause of [`push`](Slabs::push); the map has `at` for the block's address.
    #[inline(always)]
    unsafe fn push_to<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        at: NonNull<Slab>,
        block: NonNull<u8>,
    ) {
        // SAFETY: words of the map lead to valid descriptors (the clause of `SlabMap`), and a
        // counter of 0 says that the block was freed.
        unsafe {
            let is_due = if G::VERIFIES && !P::CHECKED {
                Slab::verify_and_push::<P>(at, block)
            } else {
                Slab::push::<P>(at, block)
            };
            if is_due {
                self.attend_to(large, at, block);
            }
        }
    }

    /// Attends to a descriptor whose counter has come to 0, or that rejects a block.
    ///
    /// # Panics
    ///
    /// If it is a slab's and its counter is not 0, or the slab is a kept one: the block was not
    /// freed, for no live block begins there.
    ///
    /// # Safety
    ///
    /// `at` is a descriptor of this heap's map, and if its counter is 0, its first block is
    /// `block`. If it stands for no slab, the block is a cell, or the heap finds that it is none.
    #[cold]
    #[inline(never)]
    pub(crate) unsafe fn attend_to<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        mut at: NonNull<Slab>,
        block: NonNull<u8>,
    ) {
        // SAFETY: the descriptor is valid: this method's clause.
        let slab = unsafe { at.as_mut() };
        if slab.state() != State::Absent {
            // No block of a kept slab is live.
            if G::VERIFIES && !P::CHECKED && (slab.left != 0 || slab.state() == State::Kept) {
                slab.report(block);
            }
            // SAFETY: the descriptor is one of a slab, and its counter is 0.
            return unsafe { self.attend_slab(large, at) };
        }
        if G::VERIFIES && block.addr().get() % CELL_ALIGN != 0 {
            no_block(block.addr().get());
        }
        slab.left = 1;
        slab.free = FreeList::EMPTY;
        // SAFETY: the block was just freed, and lies in no slab.
        unsafe { self.free_cell(large, block) };
    }

    /// Lists a slab that was full, if nothing else is to be done. Returns whether it was.
    ///
    /// # Safety
    ///
    /// The clauses of [`attend_to`](Slabs::attend_to).
    #[inline(always)]
    pub(crate) unsafe fn relist_at_once(&mut self, mut at: NonNull<Slab>) -> bool {
        // SAFETY: descriptors of slabs are valid, and no reference to one is held across a call.
        // A full slab is in no list.
        unsafe {
            let slab = at.as_mut();
            if slab.state() != State::Full || slab.left != 0 || self.descriptors.may_be_idle() {
                return false;
            }
            let head = self.heads[slab.class.index()];
            if head.is_some_and(|head| head.as_ref().state() == State::Kept) {
                return false;
            }
            slab.relist::<P::Slabs>();
            self.insert(at);
        }
        true
    }

    /// Lists a slab that was full, or keeps or releases one without live blocks.
    ///
    /// # Safety
    ///
    /// `at` is a slab of this heap, and its counter is 0.
    #[inline(never)]
    unsafe fn attend_slab<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        mut at: NonNull<Slab>,
    ) {
        // SAFETY: the descriptor is valid: this method's clause.
        let slab = unsafe { at.as_mut() };
        if slab.state() == State::Full {
            slab.relist::<P::Slabs>();
            // SAFETY: a full slab is in no list.
            unsafe { self.relist(large, at) };
            // Not with the release of a slab: each of the two takes its time.
            self.release_table(large);
        } else {
            // SAFETY: the slab is in its list, and has no live blocks.
            unsafe { self.keep_or_release(large, at) };
        }
    }

    /// Frees a block that lies in no slab.
    ///
    /// # Safety
    ///
    /// The clause of [`push`](Slabs::push); the block lies in no slab, and the heap has not
    /// stopped.
    #[inline(never)]
    unsafe fn free_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
    ) {
        if G::VERIFIES {
            // SAFETY: the block lies in no slab, but in memory of the heap, and is aligned.
            unsafe { large.require_block(block) };
        }
        // SAFETY: the block has a header: it lies in no slab.
        if unsafe { large.deallocate_mapped(block) } {
            return;
        }
        // SAFETY: the block has no mapping, so it is a cell, and nothing uses it.
        unsafe { self.free_counted(large, block) };
    }

    /// Frees a cell.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell that nothing uses any more.
    #[inline(always)]
    pub(super) unsafe fn free_counted<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: the cell is valid, and nothing uses it: this method's clause.
        let may_be_due = unsafe {
            self.uncount(Cell::<P>::of_payload(payload).header().size());
            large.chunks.free_inline(payload)
        };
        if may_be_due {
            self.trim_if_due(large);
        }
    }

    /// Lists a slab that was full. A slab that was kept empty is released.
    ///
    /// # Safety
    ///
    /// `at` is a slab that has become listed, and is in no list.
    unsafe fn relist<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>, at: NonNull<Slab>) {
        // SAFETY: descriptors of slabs are valid, and no reference to one is held across a call.
        unsafe {
            let class = at.as_ref().class;
            let head = self.heads[class.index()];
            let empty = head.filter(|head| head.as_ref().state() == State::Kept);
            self.insert(at);
            if let Some(empty) = empty {
                self.empty -= 1;
                self.release(large, empty);
                self.trim_if_due(large);
            }
        }
    }

    /// Keeps a slab without live blocks, if it is the only one of its class with a free block and
    /// the heap has not become too small for that; else makes it a free cell.
    ///
    /// # Safety
    ///
    /// `at` is a listed slab, and none of its blocks is live or at hand.
    unsafe fn keep_or_release<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        mut at: NonNull<Slab>,
    ) {
        // SAFETY: the descriptor is valid: this method's clause.
        let slab = unsafe { at.as_mut() };
        let is_alone = slab.next.is_none() && slab.prev.is_none();
        let heap = large.chunks.space().len();
        if is_alone && slab.len::<P::Slabs>() <= loans_of::<P::Slabs>(heap) {
            slab.set_state(State::Kept);
            self.empty += 1;
            return;
        }
        // SAFETY: the slab is in its list, and has no live blocks.
        unsafe { self.release(large, at) };
        self.trim_if_due(large);
    }

    /// Gives memory back to the provider, if that is due. If the heap stops, forgets everything.
    #[inline(never)]
    fn trim_if_due<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        if large.chunks.may_be_due() {
            large.chunks.trim_if_due();
            if large.chunks.has_stopped() {
                self.forget_all();
            }
        }
    }

    /// Makes a slab a free cell.
    ///
    /// # Safety
    ///
    /// `at` is a listed slab, and none of its blocks is live or at hand.
    unsafe fn release<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>, at: NonNull<Slab>) {
        // SAFETY: the descriptor is valid (this method's clause), and no reference to it is held
        // across a call. Nothing uses the cell.
        unsafe {
            self.remove(at);
            let start = at.as_ref().start;
            self.forget(at);
            large.chunks.free(start);
        }
    }

    /// Makes a table of descriptors a free cell, if none of them is in use and another table has
    /// room.
    fn release_table<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        if let Some(table) = self.descriptors.take_idle() {
            // SAFETY: a table that was taken out is a used cell that nothing uses any more.
            unsafe { large.chunks.free(table) };
            self.trim_if_due(large);
        }
    }

    /// Makes all slabs without live blocks, and without blocks at hand, free cells. O(classes).
    pub(super) fn release_empty<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        for class in Class::all::<N>() {
            let Some(head) = self.heads[class.index()] else { continue };
            // SAFETY: the descriptor of a slab in a list is valid. One without taken blocks has
            // none at hand.
            unsafe {
                if head.as_ref().state() == State::Kept {
                    self.empty -= 1;
                    self.release(large, head);
                }
            }
        }
    }

    /// Gives up all memory in which no block is live: blocks at hand go back to their slabs, empty
    /// slabs become free cells, and the page map and the descriptors too, if there is no slab.
    /// O(classes + descriptors).
    pub(super) fn give_up<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        if large.chunks.has_stopped() {
            return;
        }
        for class in Class::all::<N>() {
            self.return_list(class);
        }
        self.release_empty(large);
        if self.slabs > 0 {
            let end = self.end();
            let mut idle =
                || self.map.take_idle_part(end).or_else(|| self.descriptors.take_idle_table());
            while let Some(memory) = idle() {
                // SAFETY: a part of the map, and a table, is a used cell that nothing uses any
                // more.
                unsafe { large.chunks.free(memory) };
            }
            return;
        }
        while let Some(memory) = self.map.take_part().or_else(|| self.descriptors.take_table()) {
            // SAFETY: a part of the map, and a table, is a used cell that nothing uses any more.
            unsafe { large.chunks.free(memory) };
        }
    }

    /// Returns the end of the highest slab. O(descriptors).
    fn end(&self) -> usize {
        // SAFETY: no table is taken out below.
        let slabs = unsafe { self.descriptors.taken() };
        // SAFETY: descriptors that were taken are valid.
        let ends =
            slabs.map(|at| unsafe { at.as_ref() }).filter(|slab| slab.state() != State::Absent);
        ends.map(|slab| slab.start.addr().get() + slab.len::<P::Slabs>()).max().unwrap_or(0)
    }

    /// Returns the blocks at hand of a class to their slab.
    pub(super) fn return_list(&mut self, class: Class) {
        let Some(mut head) = self.heads[class.index()] else { return };
        while let Some(block) = self.pop(class) {
            // SAFETY: the descriptor of a slab in a list is valid. The blocks at hand are those of
            // the first slab, which counts them as taken.
            unsafe {
                let slab = head.as_mut();
                slab.free.push::<P>(block);
                slab.left -= 1;
                if slab.left == 0 {
                    slab.set_state(State::Kept);
                    self.empty += 1;
                }
            }
        }
        // SAFETY: as before.
        let slab = unsafe { head.as_ref() };
        // An empty slab is alone in its list, or goes.
        debug_assert!(slab.state() != State::Kept || self.empty > 0);
    }

    /// Resizes a block of a slab, if it can stay, or if its new class has a block.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::reallocate`](crate::Heap::reallocate). After `None` the block is
    /// unchanged, or lies in no slab.
    #[inline(always)]
    pub(super) unsafe fn reallocate_slab_block<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let at = self.map.slab_at(block.addr().get())?;
        // SAFETY: descriptors of slabs are valid.
        let old = unsafe { at.as_ref() }.class;
        let class = Class::of::<N>(new)?;
        let is_little_smaller = class < old && new.size() > old.size() / 2;
        if class == old || is_little_smaller && old.size() % new.align() == 0 {
            return Some(block);
        }
        let moved = match self.pop(class) {
            Some(moved) => moved,
            None => self.refill_list(class)?,
        };
        // SAFETY: two blocks, which do not overlap, each at least as long as the copied bytes, in
        // whole words. The caller gives the old block up.
        unsafe {
            copy_down::<P>(block, moved, old.size().min(new.size()));
            self.push_to(large, at, block);
        }
        Some(moved)
    }
}
