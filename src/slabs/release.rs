//! What becomes of a slab whose counter has come to 0, and of memory without live blocks.
//!
//! ```text
//!   attend_slab ─┬ full ────► listed again; an empty one of its class is released
//!                └ no live ─► kept, or a free cell
//!   give_up ─► blocks at hand go back to their slabs; empty slabs, and the map of none, are freed
//! ```

use core::ptr::NonNull;

use super::Slabs;
use super::map::SlabMap;
use super::slab::{Slab, State};
use crate::chunks::Tuning;
use crate::large::Large;
use crate::layer::Layer;
use crate::provider::{Map, Source};
use crate::size_class::Class;
use crate::slab_tuning::SlabTuning;

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Slabs<P, G, N> {
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
    pub(super) unsafe fn attend_slab<B: Source, M: Map>(
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
    /// not too long for that; else makes it a free cell. What is kept is given up before the heap
    /// grows.
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
        if is_alone && slab.len::<P::Slabs>() <= P::Slabs::LOAN_LEAST {
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
    pub(super) fn trim_if_due<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
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
        let (all, end) = (self.slabs == 0, self.end());
        loop {
            let part = if all { self.map.take_part() } else { self.map.take_idle_part(end) };
            let Some(memory) = part.or_else(|| self.descriptors.take_table(all)) else { return };
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
}
