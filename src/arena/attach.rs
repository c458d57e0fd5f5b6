//! How a slot gets its arenas, and what becomes of them when nobody is there any more.

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
    /// Gives the slot arenas: new ones, or those that were abandoned. False: there is no memory, or
    /// somebody tidies them up just now.
    pub(super) fn attach(&self) -> bool {
        const { assert!(C::INTERRUPTED || !C::NESTS, "who is never interrupted needs no second arena") };
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
            if !furnish(source, slot, self.caller.number, if C::NESTS { LEVELS } else { 1 }) {
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
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'_, B, C, M, P, L> {
    /// In a small heap, brings what is free in other arenas back to the parent: what stays for ever
    /// should not lie in the middle of it.
    fn make_place(&self, source: GrantedBy<'_, B, M, P, L>) {
        let size = source.parent.with(source.place, |heap| heap.size());
        if size.is_some_and(|size| size <= SMALL) && source.shared.granted() > 0 {
            let _ = self.reclaim(None);
        }
    }
}

/// Makes the arenas of a new slot, as far as they are not there yet. The second one gets memory at
/// once: its caller may not be able to wait for it.
fn furnish<B: Source, M: Map, P: Profile, L: RawLock>(
    source: GrantedBy<'_, B, M, P, L>,
    slot: &Slot<Arena<B, M, P, L>>,
    number: usize,
    levels: usize,
) -> bool {
    for level in (0..levels).filter(|&level| slot.arena(level).is_none()) {
        let Some(owner) = Owner::from_index(number * LEVELS + level) else { return false };
        // SAFETY: the parent lives as long as its arenas.
        let memory = source
            .parent
            .with(source.place, |heap| unsafe { heap.allocate(Arena::<B, M, P, L>::LAYOUT) });
        let Some(memory) = memory.flatten() else { return false };
        let hook = source.parent.with(source.place, |heap| heap.chunks().checks().hook());
        let Some(hook) = hook else { return false };
        // SAFETY: a new block for it; what is shared stays as long as the arenas.
        let arena = unsafe { Arena::begin(memory, owner, NonNull::from(source.shared)) };
        // SAFETY: nobody else knows of it yet.
        let (inner, _) = unsafe { Arena::enter(arena) };
        // SAFETY: the slot that the arena belongs to.
        unsafe { inner.heap.provider_mut().set_slot(Some(NonNull::from(slot))) };
        inner.heap.inner().large.chunks.checks_mut().set_hook(hook);
        if level == NESTED {
            // SAFETY: the parent of all arenas.
            let heap = unsafe { inner.heap(source.parent) };
            // Without memory it is there all the same, and gets some when it is needed.
            let _ = heap.reserve(1);
        }
        slot.set_arena(level, arena);
    }
    true
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Makes what all slots share, as the first operation does anyway. Whoever may be interrupted
    /// by a handler that allocates calls it before: until it is done, there is nothing that
    /// tells the handler not to wait. False: there is no memory.
    pub fn prepare(&self) -> bool {
        if self.shared().is_some() {
            return true;
        }
        self.parent.locked(|heap| {
            // Somebody else may have been faster.
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
            // What describes the first segments lies above what all share, and is fresh, as that
            // is: only what is used of it is written to. Without memory it comes with the
            // first segment.
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

    /// Gives up the caller's slot: its thread ends, or its CPU goes. What is free goes back to the
    /// parent; what others still have goes back with the first allocation, by anybody, that
    /// needs more memory after they have freed it; and the slot's next user, who gets the arena as
    /// it is, goes on with what is left. To use the slot again is not wrong: it is attached again
    /// then.
    ///
    /// # Time
    ///
    /// O(size classes + blocks at hand + blocks that others have freed).
    ///
    /// # Safety
    ///
    /// The caller has not interrupted somebody on the slot.
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
            if slot.orphan() {
                return;
            }
            // The borrower has just given it back.
            source.shared.abandoned.fetch_sub(1, Ordering::Relaxed);
        }
        clear();
        for arena in (0..LEVELS).filter_map(|level| slot.arena(level)) {
            // SAFETY: the slot is claimed.
            let (inner, mailbox) = unsafe { Arena::enter(arena) };
            inner.tidy_up(source, mailbox);
        }
        source.shared.abandoned.fetch_add(1, Ordering::Relaxed);
        slot.release(State::Abandoned);
    }
}
