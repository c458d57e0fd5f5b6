//! Invariants of the page map of one heap.

use core::ptr::NonNull;

use super::corruption::{Corruption, Rule, verify};
use super::slabs::MapRules;
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::slabs::{PageMap, Slab, SlabMap, State};

impl<P: Tuning> MapRules<P> for PageMap<P::Slabs> {
    fn cells(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        self.parts()
    }

    fn check_map<B: Source>(
        &self,
        _: &Chunks<B, P>,
        is_descriptor: impl Fn(NonNull<Slab>) -> bool,
    ) -> Result<(), Corruption> {
        let Some(absent) = self.absent() else { return Ok(()) };
        let at = absent.addr().get();
        if !is_descriptor(absent) {
            return Err(Corruption { at, rule: Rule::PageMap, expected: 0, found: 0 });
        }
        // SAFETY: `is_descriptor` verified that it is one.
        let absent = unsafe { absent.as_ref() };
        let is_sound =
            absent.state() == State::Absent && absent.left == 1 && absent.free.0.is_none();
        verify(at, Rule::PageMap, 1, usize::from(is_sound))
    }

    fn is_absent(&self, slab: NonNull<Slab>) -> bool {
        self.absent() == Some(slab)
    }

    fn check_granule(&self, granule: usize, slab: NonNull<Slab>) -> Result<(), Corruption> {
        let word = self.word_at_hand(granule).or_else(|| self.word_elsewhere(granule));
        verify(granule, Rule::PageMap, slab.addr().get(), word.map_or(0, |word| word.addr().get()))
    }

    fn granules_of_slabs<B: Source>(&self, _: &Chunks<B, P>) -> usize {
        self.granules().filter(|&granule| self.slab_at(granule).is_some()).count()
    }
}
