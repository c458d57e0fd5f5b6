//! What must hold between the heaps: whose is what, as the map of segments says it.
//!
//! ```text
//!   the parent's heap ─► the map's parts lie in it ─► each arena's heap: its segments are its own in the map, and all else in it is well
//!                                                     the map: what it says is anybody's is a segment of that one's heap
//! ```
//!
//! In this order, because each is read with the help of what was verified before.

use super::arena::Arena;
use super::exclusive::Exclusive;
use super::shared::Shared;
use super::slot::State;
use crate::check::{Corruption, Rule, has_segment_at, room_from};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::Owner;

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Exclusive<'_, B, C, M, P, L> {
    /// Verifies every invariant of all heaps, and that the map of segments says what is whose.
    /// O(cells), and O(units · segments of an arena).
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        self.0.parent.locked(|heap| heap.check())?;
        let Some(shared) = self.0.shared() else { return Ok(()) };
        self.check_parts(shared)?;
        for arena in self.arenas(shared) {
            // SAFETY: nobody else is in the heap.
            unsafe { Arena::enter(arena) }.0.heap.check()?;
        }
        shared
            .map
            .units()
            .try_for_each(|(at, owner, number)| self.check_unit(shared, at, owner, number))
    }

    /// The parts of the map are memory of the parent.
    fn check_parts(&self, shared: &Shared<Arena<B, M, P, L>>) -> Result<(), Corruption> {
        self.0.parent.locked(|heap| {
            // A part may have a mapping of its own, which the heap can only find by its address.
            let is_mapped = heap.stats().mapped_blocks > 0;
            let room =
                |at| Some(room_from(heap.chunks(), at)).filter(|&room| room > 0 || !is_mapped);
            let Some((at, expected, found)) = shared.map.part_outside(room) else { return Ok(()) };
            Err(Corruption { at, rule: Rule::SegmentMap, expected, found })
        })
    }

    /// A unit that the map says is somebody's is in a segment of that one's heap, if that may be
    /// looked at. (That the heap's own units are right was verified with the heap.)
    fn check_unit(
        &self,
        shared: &Shared<Arena<B, M, P, L>>,
        at: usize,
        owner: Owner,
        number: usize,
    ) -> Result<(), Corruption> {
        if owner == Owner::NOBODY {
            return Err(Corruption { at, rule: Rule::SegmentUnit, expected: 0, found: number });
        }
        let is_dead = shared.slot_of(owner).is_some_and(|(slot, _)| slot.state() == State::Dead);
        let arena = shared.slot_of(owner).and_then(|(slot, level)| slot.arena(level));
        let has_segment = |arena| {
            // SAFETY: nobody else is in the heap.
            let (inner, _) = unsafe { Arena::enter(arena) };
            has_segment_at(inner.heap.chunks(), at)
        };
        if is_dead || arena.is_some_and(has_segment) {
            return Ok(());
        }
        Err(Corruption {
            at,
            rule: Rule::SegmentOwner,
            expected: Owner::NOBODY.number(),
            found: owner.number(),
        })
    }
}

#[cfg(test)]
mod tests;
