//! Invariants of a heap whose memory is segments: what the map that it shares with others says of
//! them.
//!
//! ```text
//!   map       … │ owner, 0 │ owner, 1 │ owner, 2 │ …      check_map: an entry for each unit; then
//!                    └► words, classes                    both can be read
//!   segment     ┌──────────────────────────┬───────┐
//!               │        └ slab ┘          │ words │      check_granule: those of each slab
//!               └──────────────────────────┴───────┘      granules_of_slabs: there are no others
//! ```
//!
//! Whether nothing else is said to be the heap's, the arenas verify.

use core::ptr::NonNull;

use super::corruption::{Corruption, Rule, verify};
use super::slabs::{MapRules, check_absent};
use crate::cell::Region;
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::segments::{GRANULE, SegmentWords, UNIT, capacity, units_for};
use crate::slabs::Slab;

impl<P: Tuning> MapRules<P> for SegmentWords {
    fn cells(&self) -> impl Iterator<Item = (NonNull<u8>, usize)> {
        core::iter::empty()
    }

    fn check_map<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        _: impl Fn(NonNull<Slab>) -> bool,
    ) -> Result<(), Corruption> {
        let Some(map) = self.segments() else { return Ok(()) };
        for region in chunks.space().regions() {
            let start = segment_of(&region);
            let units = units_for(region.end - start);
            let words =
                (start + capacity(units)).wrapping_sub(start / GRANULE * size_of::<usize>());
            for number in 0..units {
                let at = start + number * UNIT;
                let [found_owner, found_number, found_units, found_words] = map.unit_at(at);
                verify(at, Rule::SegmentOwner, self.owner().number(), found_owner)?;
                verify(at, Rule::SegmentUnit, number, found_number)?;
                verify(at, Rule::SegmentLen, units, found_units)?;
                verify(at, Rule::SegmentWords, words, found_words)?;
            }
            if let Some(absent) = map.absent_at(start) {
                // SAFETY: the descriptor lies in the segment, whose entries were verified.
                unsafe { check_absent(absent) }?;
            }
        }
        Ok(())
    }

    fn is_absent(&self, _: NonNull<Slab>) -> bool {
        false
    }

    fn check_granule(&self, granule: usize, slab: NonNull<Slab>) -> Result<(), Corruption> {
        let Some(map) = self.segments() else { return Ok(()) };
        let word = map.slab_word_at(granule).map_or(0, |word| word.addr().get());
        verify(granule, Rule::PageMap, slab.addr().get(), word)?;
        // SAFETY: the caller has verified that the descriptor is one.
        let class = unsafe { slab.as_ref() }.class;
        verify(granule, Rule::SegmentClass, class.index() + 1, map.byte_at(granule))
    }

    fn granules_of_slabs<B: Source>(&self, chunks: &Chunks<B, P>) -> usize {
        let Some(map) = self.segments() else { return 0 };
        let of_slab = |&granule: &usize| {
            map.slab_word_at(granule) != map.absent_at(granule) || map.byte_at(granule) != 0
        };
        let regions = chunks.space().regions();
        regions
            .flat_map(|region| (segment_of(&region)..region.end).step_by(GRANULE))
            .filter(of_slab)
            .count()
    }
}

/// Returns whether an address lies in a segment of a heap.
pub(crate) fn has_segment_at<B: Source, P: Tuning>(chunks: &Chunks<B, P>, address: usize) -> bool {
    let mut regions = chunks.space().regions();
    regions.any(|region| {
        let start = segment_of(&region);
        (start..start + units_for(region.end - start) * UNIT).contains(&address)
    })
}

/// Returns the start of the segment whose memory for cells is this region.
fn segment_of<F>(region: &Region<F>) -> usize {
    region.start / UNIT * UNIT
}
