//! How a slot gets its arenas, and what becomes of them when its caller has gone.

use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::ArenaHeap;
use super::arena::{Arena, GrantedBy};
use super::shared::{NESTED, Shared};
use super::slot::{LEVELS, Slot, State};
use super::visit::Visit;
use crate::checks::Checks;
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, SlotWord, Slots, Source};
use crate::segments::Owner;

/// Maximum size of a heap in which arenas are tidied up before a new one is made, in bytes.
const SMALL: usize = 4 << 20;

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'_, B, C, M, P, L> {
    /// Gives the slot arenas: new ones, or its abandoned ones. Returns `false` if there is no
    /// memory, or another caller is tidying them up.
    pub(super) fn attach(&self) -> bool {
        const { assert!(C::INTERRUPTED || !C::NESTS, "a second arena is for handlers") };
        let (Some(source), Some(slot)) = (self.source(), self.slot) else { return false };
        if slot.change(State::Abandoned, State::Claimed) {
            source.shared.abandoned.fetch_sub(1, Ordering::Relaxed);
            slot.set_untidy(false);
        } else {
            self.make_place(source);
            source.shared.reach(self.caller.number);
            if !slot.change(State::New, State::Claimed) {
                return false;
            }
            if !source.furnish(slot, self.caller.number, if C::NESTS { LEVELS } else { 1 }) {
                slot.release(State::New);
                return false;
            }
        }
        // The words get their pointers when the caller goes in.
        for level in (0..LEVELS).filter(|&level| slot.arena(level).is_some()) {
            self.word(level).into_iter().for_each(SlotWord::put_back);
        }
        slot.release(State::Attached);
        true
    }

    /// Brings free memory of other arenas back to the parent of a small heap: a block that stays
    /// for ever should not lie in the middle of it.
    fn make_place(&self, source: GrantedBy<'_, B, M, P, L>) {
        let size = source.parent.with(source.place, |heap| heap.size());
        if size.is_some_and(|size| size <= SMALL) && source.shared.granted() > 0 {
            let _ = self.reclaim(None);
        }
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> GrantedBy<'_, B, M, P, L> {
    /// Makes the arenas of a new slot, as far as they do not exist yet. The second one gets memory
    /// at once: an interrupt handler may not be able to wait for it.
    fn furnish(self, slot: &Slot<Arena<B, M, P, L>>, number: usize, levels: usize) -> bool {
        for level in (0..levels).filter(|&level| slot.arena(level).is_none()) {
            let Some(owner) = Owner::from_index(number * LEVELS + level) else { return false };
            let made = self.parent.with(self.place, |heap| {
                // SAFETY: the parent lives as long as its arenas.
                let memory = unsafe { heap.allocate(Arena::<B, M, P, L>::LAYOUT) }?;
                Some((memory, heap.chunks().checks.hook()))
            });
            let Some((memory, hook)) = made.flatten() else { return false };
            // SAFETY: a new block for it; what is shared stays as long as the arenas.
            let arena = unsafe { Arena::begin(memory, owner, NonNull::from(self.shared)) };
            // SAFETY: no other caller has a pointer to it yet.
            let (inner, _) = unsafe { Arena::enter(arena) };
            // SAFETY: the slot that the arena belongs to.
            unsafe { inner.heap.provider_mut().set_slot(Some(NonNull::from(slot))) };
            inner.heap.checks_mut().set_hook(hook);
            if level == NESTED {
                // SAFETY: the parent of all arenas.
                let heap = unsafe { inner.heap(self.parent) };
                // Without memory it is there all the same, and gets some when it is needed.
                let _ = heap.reserve(1);
            }
            slot.set_arena(level, arena);
        }
        true
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Makes what all slots share, as the first operation does anyway. A kernel calls it before
    /// handlers that allocate can interrupt an operation: until it is done, a handler cannot know
    /// that it must not wait. Returns `false` if there is no memory. O(slots), and a few calls of
    /// the provider.
    pub fn prepare(&self) -> bool {
        if self.shared().is_some() {
            return true;
        }
        self.parent.locked(|heap| {
            // Another caller may have been faster.
            if self.shared().is_some() {
                return true;
            }
            let slots = self.cpu.slots().min(Shared::<Arena<B, M, P, L>>::MOST_SLOTS);
            let Some((layout, offset)) = Shared::<Arena<B, M, P, L>>::layout(slots) else {
                return false;
            };
            // SAFETY: the heap lives as long as any block of it.
            let Some(memory) = (unsafe { heap.allocate_zeroed(layout) }) else { return false };
            // SAFETY: a new block of that layout.
            let shared = unsafe { Shared::begin(memory, slots, offset) };
            // The map of the first segments lies above what all slots share, in fresh memory too:
            // only its used part is written to. Without memory it comes with the first segment.
            // SAFETY: what is shared stays as long as the heap.
            let map = unsafe { &shared.as_ref().map };
            // SAFETY: the heap lives as long as any block of it.
            let part = |layout| unsafe { heap.allocate_zeroed(layout) };
            // SAFETY: with the parent locked; the map's parts are blocks of the parent.
            unsafe { map.reach(memory.addr().get(), 1, part) };
            self.shared.store(shared.as_ptr(), Ordering::Release);
            true
        })
    }

    /// Gives up the caller's slot: its thread ends, or its CPU goes off-line. Free memory goes back
    /// to the parent; blocks that other callers still have go back after they are freed, with the
    /// first allocation of any caller that needs more memory. The slot's next user gets the arena
    /// as it is. The slot may be used again: it is then attached again.
    ///
    /// # Time
    ///
    /// O(size classes + blocks at hand + blocks that others have freed).
    ///
    /// # Safety
    ///
    /// The caller has not interrupted an operation on the slot.
    pub unsafe fn abandon(&self) {
        let visit = self.visit();
        let (Some(source), Some(slot)) = (visit.source(), visit.slot) else { return };
        let clear = || (0..LEVELS).filter_map(|level| visit.word(level)).for_each(SlotWord::clear);
        loop {
            if slot.change(State::Attached, State::Claimed) {
                break;
            }
            if slot.state() != State::Borrowed {
                return;
            }
            // Not after the borrower has got it: it could be attached again by then.
            clear();
            source.shared.abandoned.fetch_add(1, Ordering::Relaxed);
            if slot.change(State::Borrowed, State::Orphaned) {
                return;
            }
            // The borrower has just given it back.
            source.shared.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
        clear();
        // SAFETY: the slot is claimed.
        unsafe { source.tidy_up_slot(slot) };
        source.shared.abandoned.fetch_add(1, Ordering::Relaxed);
        slot.release(State::Abandoned);
    }
}
