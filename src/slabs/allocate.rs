//! Where a block comes from when none is at hand.
//!
//! ```text
//!   refill_list ──► the first slab of the class: its freed blocks, else some are carved
//!   allocate_more ─► a new slab, if the class may have one and there is a place for it
//!                    ─► a cell of the block's own size
//!                    ─► the break moves up for a slab, or for a cell
//!                    ─► (refused) all idle memory is given up; sparse slabs become cells; a block
//!                                 of a larger class
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::dissolve::has_much_free;
use super::map::{SlabMap, take_internal};
use super::shape;
use super::slab::{Slab, State};
use super::{Descriptors, Slabs, alignment_of};
use crate::cell::{CELL_ALIGN, WORD};
use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::layer::Layer;
use crate::provider::{Map, Source};
use crate::request::Request;
use crate::size_class::{Class, SMALL_MAX};
use crate::slab_tuning::SlabTuning;

/// A slab pays, too, if cells in its stead, and in that of all slabs of the class, would waste its
/// length divided by this; by the second one if the layout is over-aligned: a cell then leaves free
/// cells beside it that are too short for another one.
const WASTE_PAYS: usize = 2;
const WASTE_OF_ALIGNED_PAYS: usize = 8;

/// Maximum number of steps towards a slab that one request takes for an over-aligned layout.
const STEPS_OF_ALIGNED: usize = 4;

/// Denominator of the share of what the provider may still grant that slabs on loan may take.
const LOAN_OF_AHEAD: usize = 64;

/// A slab of medium blocks begins while the provider may still grant so many times what it has
/// granted.
const AHEAD_OF_MEDIUM: usize = 2;

/// Outcome of an attempt to begin a slab.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Begun {
    Yes,
    /// Some of the work is done: the next attempt may succeed.
    Soon,
    No,
}

/// Slab that a class may have next.
#[derive(Clone, Copy)]
struct Next {
    blocks: usize,
    is_on_loan: bool,
}

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> Slabs<P, G, N> {
    /// Makes blocks of the first slab of a class the ones at hand, and takes one. `None`: no slab
    /// of the class has a free block. O(1). No block of the class is at hand.
    #[inline(never)]
    pub(super) fn refill_list(&mut self, class: Class) -> Option<NonNull<u8>> {
        self.refill_inline::<true>(class)
    }

    /// [`refill_list`](Slabs::refill_list) as a part of its caller. `COUNTED`: the heap may be a
    /// sampled one.
    #[inline(always)]
    pub(crate) fn refill_inline<const COUNTED: bool>(
        &mut self,
        class: Class,
    ) -> Option<NonNull<u8>> {
        let index = class.index();
        // SAFETY: callers pass the first `N` classes only.
        unsafe { core::hint::assert_unchecked(index < N) };
        loop {
            let mut head = self.heads[index]?;
            // SAFETY: the descriptor of a slab in a list is valid: the type's invariant.
            let slab = unsafe { head.as_mut() };
            if slab.state() == State::Kept {
                slab.set_state(State::Listed);
                self.empty -= 1;
            }
            let blocks = slab.carved - slab.left;
            let list = slab.take_freed();
            if list.0.is_some() {
                if G::HAS_QUOTA && COUNTED {
                    let most = self.quota.most();
                    if blocks > most {
                        // SAFETY: the list has `blocks` blocks, and was just taken.
                        unsafe { slab.put_back_behind::<P>(&list, blocks, most) };
                    }
                    self.quota.spend(blocks.min(most));
                }
                if G::VERIFIES {
                    // SAFETY: the blocks of the list are free, and of this slab.
                    unsafe { slab.require_link::<P>(&list) };
                }
                *self.list(class) = list;
                return self.pop(class);
            }
            if slab.has_more() {
                // A call in tail position: what comes before saves no register.
                // SAFETY: the slab is the first of its class's list, and has more blocks.
                return unsafe { self.carve(class, head) };
            }
            slab.set_state(State::Full);
            slab.left = slab.relisted_after::<P::Slabs>();
            // SAFETY: the slab is the first of the list.
            unsafe { self.remove(head) };
        }
    }

    /// Carves blocks of the first slab of a class, and takes one. O(1).
    ///
    /// # Safety
    ///
    /// `head` is that slab, and has more blocks.
    #[inline(never)]
    unsafe fn carve(&mut self, class: Class, mut head: NonNull<Slab>) -> Option<NonNull<u8>> {
        // SAFETY: the descriptor of a slab in a list is valid, and the slab is listed.
        unsafe {
            let slab = head.as_mut();
            let before = slab.carved;
            let most = if G::HAS_QUOTA { self.quota.most() } else { u16::MAX };
            *self.list(class) = slab.carve::<P>(most);
            if G::HAS_QUOTA {
                self.quota.spend(slab.carved - before);
            }
        }
        self.pop(class)
    }

    /// Allocates a block of a class none of whose slabs has a free one.
    #[inline(never)]
    pub(super) fn allocate_more<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        let wait = &mut self.waits[class.index()];
        if *wait > 1 {
            *wait -= 1;
        } else if !self.is_reserved && self.begin_if_due(large, class, layout, growth) {
            return self.refill_list(class);
        }
        // After a `reserve`, the next block does not move the break, not for a slab either.
        self.is_reserved = false;
        match self.allocate_cell(large, Request::new(layout), growth) {
            Some(block) => Some(block),
            None => self.allocate_short(large, class, layout, growth),
        }
    }

    /// Allocates a block where memory is short.
    #[cold]
    #[inline(never)]
    fn allocate_short<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if large.chunks.has_stopped() {
            return None;
        }
        self.give_up(large);
        let request = Request::new(layout);
        if let Some(block) = self.take_cell(large, request) {
            return Some(block);
        }
        self.list_full_slabs();
        if let Some(block) = self.refill_list(class) {
            return Some(block);
        }
        if self.dissolve_sparse(large, 1) {
            self.give_up(large);
            if let Some(block) = self.take_cell(large, request) {
                return Some(block);
            }
        }
        self.borrow(class, layout).or_else(|| large.allocate_last(layout, request, growth))
    }

    /// Takes a cell from the bins or the top, and counts it.
    fn take_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
    ) -> Option<NonNull<u8>> {
        let block = large.chunks.take(request)?;
        self.count_cell(block);
        Some(block)
    }

    /// Lists every slab that counts as full although a few blocks of it are free. O(slabs).
    fn list_full_slabs(&mut self) {
        // SAFETY: no table is taken out below.
        for mut at in unsafe { self.descriptors.taken() } {
            // SAFETY: descriptors are valid, and no reference to one is held across a call. A full
            // slab is in no list.
            unsafe {
                let slab = at.as_mut();
                if slab.state() == State::Full && slab.free.0.is_some() {
                    slab.left = slab.taken::<P::Slabs>();
                    slab.set_state(State::Listed);
                    self.insert(at);
                }
            }
        }
    }

    /// Takes a block of a larger class that has a slab with a free one.
    fn borrow(&mut self, class: Class, layout: Layout) -> Option<NonNull<u8>> {
        let serves = |larger: &Class| *larger > class && larger.size() % layout.align() == 0;
        Class::all::<N>().filter(serves).find_map(|larger| self.refill_list(larger))
    }

    /// Begins a slab of a class, if the class may have one now. Returns whether it does.
    #[inline(never)]
    fn begin_if_due<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> bool {
        let wait = &mut self.waits[class.index()];
        if *wait == 0 {
            *wait = 1 + (P::Slabs::CELLS_FIRST / class.size()) as u8;
            return false;
        }
        let (is_aligned, mut outcome) = (layout.align() > CELL_ALIGN, Begun::No);
        // If there is much free memory, a slab must find its place there, too. A cell of an
        // over-aligned block makes more of it.
        let stays = !is_aligned && has_much_free(large);
        let growth = if stays { Growth::Forbidden } else { growth };
        if let Some(next) = self.next_slab(large, class, layout) {
            let steps = if is_aligned { STEPS_OF_ALIGNED } else { 1 };
            for _ in 0..steps {
                outcome = self.begin(large, class, next, growth);
                if outcome != Begun::Soon {
                    break;
                }
                if !self.prepare(large, growth) {
                    outcome = Begun::No;
                    break;
                }
            }
        }
        self.waits[class.index()] = match outcome {
            Begun::Yes | Begun::Soon => 1,
            Begun::No => {
                1 + if is_aligned { P::Slabs::ALIGNED_BETWEEN } else { P::Slabs::CELLS_BETWEEN }
            }
        };
        outcome == Begun::Yes
    }

    /// Returns the next slab of a class, if the class may have one now for a block of this layout.
    fn next_slab<B: Source, M: Map>(
        &mut self,
        large: &Large<B, M, P>,
        class: Class,
        layout: Layout,
    ) -> Option<Next> {
        let (size, space) = (class.size(), large.chunks.space());
        let (heap, ahead) = (space.len(), space.source.ahead());
        let in_slabs = self.granules[class.index()] as usize * P::Slabs::GRANULE;
        let (blocks, len) = shape::next_slab::<P::Slabs>(class, in_slabs, heap);
        let bytes = in_slabs + self.counted(class) * size;
        let early = P::Slabs::EARLY_AHEAD;
        let is_early = early > 0 && ahead / early >= heap;
        // Cells of medium blocks are tighter, which counts where memory is short.
        let least = match size <= SMALL_MAX {
            true if is_early => len,
            true => P::Slabs::PAYS_SMALL * len,
            false if ahead / AHEAD_OF_MEDIUM >= heap => P::Slabs::PAYS_MEDIUM * len,
            false => usize::MAX,
        };
        if bytes >= least {
            return Some(Next { blocks, is_on_loan: false });
        }
        let request = Request::new(layout);
        let waste = bytes / size * request.usual_size().saturating_sub(size);
        let share = if request.is_over_aligned() { WASTE_OF_ALIGNED_PAYS } else { WASTE_PAYS };
        if waste >= len / share {
            return Some(Next { blocks, is_on_loan: false });
        }
        // Of a class that is on loan already, its slabs count twice.
        let mut loans = self.loan * P::Slabs::GRANULE + in_slabs + len;
        if len > P::Slabs::GRANULE {
            loans *= P::Slabs::LOAN_LONGER;
        }
        let least = P::Slabs::LOAN_LEAST.min(ahead / LOAN_OF_AHEAD);
        let is_on_loan = loans <= least.max(heap / P::Slabs::LOAN_SHARE);
        is_on_loan.then_some(Next { blocks, is_on_loan })
    }

    /// Begins a slab of a class. [`Begun::Soon`]: something must be [prepared](Slabs::prepare).
    #[inline(never)]
    fn begin<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        next: Next,
        growth: Growth,
    ) -> Begun {
        let Some(mut slab) = self.descriptors.take() else { return Begun::Soon };
        let Some((payload, blocks)) = self.take_place(large, class, next, growth) else {
            if !large.chunks.has_stopped() {
                // SAFETY: the descriptor was just taken.
                unsafe { self.descriptors.put(slab) };
            }
            return Begun::No;
        };
        let (start, len) = (payload.addr().get(), shape::len_of::<P::Slabs>(class, blocks));
        if !self.map.reaches(start, start + len) {
            self.wanted = (start, start + len);
            // SAFETY: the descriptor and the cell were just taken.
            unsafe {
                self.descriptors.put(slab);
                large.chunks.free(payload);
            }
            return Begun::Soon;
        }
        // SAFETY: the descriptor was just taken, and the map reaches as far as the slab.
        unsafe {
            slab.as_mut().begin(payload, class, blocks);
            self.map.set(start, len, Some(slab));
            self.insert(slab);
        }
        self.slabs += 1;
        self.loan -= self.loan_of(class);
        self.granules[class.index()] += (len / P::Slabs::GRANULE) as u32;
        self.on_loan[class.index()] = next.is_on_loan;
        self.loan += self.loan_of(class);
        Begun::Yes
    }

    /// Takes a cell for the next slab of a class; if there is none for a slab that pays, and the
    /// break cannot move, one for a shorter slab. Returns the cell's payload with the number of
    /// blocks.
    fn take_place<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        next: Next,
        growth: Growth,
    ) -> Option<(NonNull<u8>, usize)> {
        let request = |blocks| {
            let len = shape::len_of::<P::Slabs>(class, blocks) - WORD;
            Layout::from_size_align(len, alignment_of::<P::Slabs>(class)).ok().map(Request::new)
        };
        // A slab of one block would be empty when it is relisted.
        const { assert!(P::Slabs::SHORTEST >= 2) };
        let Next { mut blocks, is_on_loan } = next;
        let mut place = large.chunks.take(request(blocks)?);
        // A slab on loan must find a place in free memory.
        if place.is_none() && !is_on_loan {
            if growth == Growth::Allowed && self.dissolve_if_due(large) {
                // What is free between live blocks serves this class, too.
                return None;
            }
            place = large.chunks.take_new(request(blocks)?, growth);
            while place.is_none() && blocks / 2 >= P::Slabs::SHORTEST {
                blocks /= 2;
                place = large.chunks.take(request(blocks)?);
            }
        }
        Some((place?, blocks))
    }

    /// Prepares what the slab lacked that did not begin: a table of descriptors, or words of the
    /// page map, some at a time. Returns `false` if that is not possible.
    #[inline(never)]
    fn prepare<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>, growth: Growth) -> bool {
        if self.descriptors.is_out() {
            let len = Descriptors::next_len::<P::Slabs>(self.slabs);
            let Some(memory) = take_internal(large, len, growth) else { return false };
            // SAFETY: the cell is new, and holds `len` bytes. There was no descriptor.
            unsafe { self.descriptors.provide(memory, len) };
            return true;
        }
        self.map.reach_further(large, &mut self.descriptors, self.wanted, growth)
    }
}
