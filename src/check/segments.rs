//! The invariants of a heap whose memory are segments, verified one by one: what the map that it
//! shares with others says of them.
//!
//! ```text
//!   map       … │ owner, 0 │ owner, 1 │ owner, 2 │ …            check_segments   an entry for each unit, as it should be
//!               │ 0 5 5 0 …                      │              check_pages      a byte a page: what lies in no run is said to
//!   segment     ┌────────────────────────────────┐
//!               │    └run┘                       │
//!               └────────────────────────────────┘
//! ```
//!
//! That each run's own pages are said to be its own is for small.rs; that nothing else is the
//! heap's, for the arenas.

use super::corruption::{Corruption, Rule, verify};
use crate::cell::Region;
use crate::chunks::{Chunks, Tuning};
use crate::provider::Source;
use crate::small::segments::{SegmentMap, UNIT};
use crate::small::{PAGE, SmallBlocks, len_of};

impl<P: Tuning> SmallBlocks<P> {
    /// Each unit of each region has its entry in the map: from here on the bytes of pages can be
    /// read.
    pub(super) fn check_segments<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
    ) -> Result<(), Corruption> {
        let Some(map) = self.pages.segments() else { return Ok(()) };
        for region in chunks.space().regions() {
            for (number, at) in (segment_of(&region)..region.end).step_by(UNIT).enumerate() {
                let (found, found_number) = map.unit_at(at);
                verify(at, Rule::SegmentOwner, self.pages.owner().number(), found.number())?;
                verify(at, Rule::SegmentUnit, number, found_number)?;
            }
        }
        Ok(())
    }

    /// No page outside of runs is said to be of one. (Used cells have been checked, and so have the
    /// pages of those that are runs.)
    pub(super) fn check_pages<B: Source>(&self, chunks: &Chunks<B, P>) -> Result<(), Corruption> {
        let Some(map) = self.pages.segments() else { return Ok(()) };
        for region in chunks.space().regions() {
            let (mut seen_to, mut cell) = (segment_of(&region), region.first);
            while cell != region.fencepost {
                let at = cell.payload().addr().get();
                // SAFETY: a cell of a region that was walked before.
                let header = unsafe { cell.header() };
                if let Some(class) = self.pages.class_at(at).filter(|_| header.is_used()) {
                    check_no_run(map, seen_to, at)?;
                    seen_to = at + len_of(class);
                }
                // SAFETY: as above.
                cell = unsafe { cell.next() };
            }
            check_no_run(map, seen_to, region.end)?;
        }
        Ok(())
    }
}

/// Returns whether an address lies in a segment of a heap.
pub(crate) fn has_segment_at<B: Source, P: Tuning>(chunks: &Chunks<B, P>, address: usize) -> bool {
    let mut regions = chunks.space().regions();
    regions.any(|region| (segment_of(&region)..region.end).contains(&address))
}

/// Where the segment begins whose memory for cells is this region.
fn segment_of<F>(region: &Region<F>) -> usize {
    region.start / UNIT * UNIT
}

/// No page that begins in a range of addresses is said to be of a run.
fn check_no_run(map: &SegmentMap, from: usize, to: usize) -> Result<(), Corruption> {
    (from..to).step_by(PAGE).try_for_each(|page| verify(page, Rule::NoRun, 0, map.byte_at(page)))
}
