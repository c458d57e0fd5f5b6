//! Invariants between the heaps: the map of segments says which arena owns a unit.
//!
//! ```text
//!   the parent's heap ─► the map's parts lie in it
//!    └► each arena's heap: it owns its segments in the map, and keeps its other rules
//!        └► the map: an owned unit is a segment of its owner's heap
//! ```
//!
//! In this order: each step reads only what the steps before have verified.

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
    /// Verifies every invariant of all heaps, and the owners in the map of segments. O(cells), and
    /// O(units · segments of an arena).
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        self.0.parent.locked(|heap| heap.check())?;
        let Some(shared) = self.0.shared() else { return Ok(()) };
        self.check_parts(shared)?;
        for arena in self.arenas(shared) {
            // SAFETY: the caller is alone with the heap.
            unsafe { Arena::enter(arena) }.0.heap.check()?;
        }
        shared
            .map
            .units()
            .try_for_each(|(at, owner, number)| self.check_unit(shared, at, owner, number))
    }

    /// Verifies that the parts of the map are memory of the parent.
    fn check_parts(&self, shared: &Shared<Arena<B, M, P, L>>) -> Result<(), Corruption> {
        self.0.parent.locked(|heap| {
            // A part may have a mapping of its own, which the heap can only find by its address.
            let is_mapped = heap.stats().mapped_blocks > 0;
            let room =
                |at| Some(room_from(heap.chunks(), at)).filter(|&room| room > 0 || !is_mapped);
            let Some((at, expected, found)) = shared.map.part_outside(room) else { return Ok(()) };
            Err(Corruption::new(at, Rule::SegmentMap, expected, found))
        })
    }

    /// Verifies that a unit with an owner is in a segment of the owner's heap, if that may be read.
    /// (The heap's own units were verified with the heap.)
    fn check_unit(
        &self,
        shared: &Shared<Arena<B, M, P, L>>,
        at: usize,
        owner: Owner,
        number: usize,
    ) -> Result<(), Corruption> {
        if owner == Owner::NONE {
            return Err(Corruption::new(at, Rule::SegmentUnit, 0, number));
        }
        let has_segment = |arena| {
            // SAFETY: the caller is alone with the heap.
            let (inner, _) = unsafe { Arena::enter(arena) };
            has_segment_at(inner.heap.chunks(), at)
        };
        if shared.slot_of(owner).is_some_and(|(slot, level)| {
            slot.state() == State::Dead || slot.arena(level).is_some_and(has_segment)
        }) {
            return Ok(());
        }
        Err(Corruption::new(at, Rule::SegmentOwner, Owner::NONE.number(), owner.number()))
    }
}

#[cfg(test)]
mod tests;
