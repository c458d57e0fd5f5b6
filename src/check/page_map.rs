//! Invariants of the page map of one heap.

use core::ptr::NonNull;

use super::corruption::{Corruption, Rule, verify};
use super::slabs::{MapRules, check_absent};
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::slabs::{PageMap, Slab, SlabMap};

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
        if !is_descriptor(absent) {
            return Err(Corruption::new(absent.addr().get(), Rule::PageMap, 0, 0));
        }
        // SAFETY: `is_descriptor` verified that it is one.
        unsafe { check_absent(absent) }
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
