//! Where a block goes.
//!
//! ```text
//!   push ─► the slab's list ──(counter 0)──► attend_to ┬ no slab ──► its cell, or its mapping
//!                                                      └ a slab ───► attend_slab       release.rs
//! ```

use core::ptr::NonNull;

use super::map::SlabMap;
use super::slab::{Slab, State};
use super::{FreeList, Slabs};
use crate::cell::CELL_ALIGN;
use crate::chunks::Tuning;
use crate::large::{Large, no_block};
use crate::layer::Layer;
use crate::provider::{Map, Source};

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Slabs<P, G, N> {
    /// Frees a block that the map's shortest look-up does not find.
    ///
    /// # Safety
    ///
    /// The clause of [`deallocate`](Layer::deallocate).
    #[inline(never)]
    pub(super) unsafe fn push_beyond<B: Source, M: Map>(
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
    /// The clause of [`deallocate`](Layer::deallocate); the map has `at` for the block's address.
    #[inline(always)]
    pub(super) unsafe fn push_to<B: Source, M: Map>(
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

    /// Frees a block that lies in no slab.
    ///
    /// # Safety
    ///
    /// The clause of [`deallocate`](Layer::deallocate); the block lies in no slab, and the heap has
    /// not stopped.
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
        unsafe { self.deallocate_cell(large, block) };
    }
}
