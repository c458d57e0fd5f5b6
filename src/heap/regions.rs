//! Which memory is the heap's: all regions, found from the lowest on.

use super::Heap;
use super::extent::Extent;
use crate::cell::{Cell, Region};

/// All regions of a heap.
///
/// # Invariants
///
/// * fences lead from region to region in ascending order, from the first cell of the lowest to the
///   fence of the highest, which leads nowhere; the regions do not touch
/// * every region is [recorded](Region::record), except the break's, which is in the heap's
///   [`Extent`]
/// * every first cell is [exposed](Cell::expose)
/// * all regions are memory that the break granted, but for `added` bytes: with the feature `tiny`,
///   all of it
#[derive(Debug)]
pub(super) struct Regions {
    /// First cell of the lowest region; `None`: there is no region.
    pub(super) lowest: Option<Cell>,
    /// Fence of the highest region, if that is not the break's.
    #[cfg(not(feature = "tiny"))]
    pub(super) last: Option<Cell>,
    /// Bytes that came by [`Heap::add_region`].
    #[cfg(not(feature = "tiny"))]
    pub(super) added: usize,
    /// A piece of a scattered provider may have become free as a whole.
    #[cfg(not(feature = "tiny"))]
    pub(super) due: bool,
    /// Bytes of all pieces of a scattered provider.
    #[cfg(not(feature = "tiny"))]
    pub(super) pieces: usize,
}

#[cfg(not(feature = "tiny"))]
impl Regions {
    pub(super) const fn new() -> Self {
        Self { lowest: None, last: None, added: 0, due: false, pieces: 0 }
    }

    /// Fence of the highest region, if that is not the break's.
    pub(super) const fn last(&self) -> Option<Cell> {
        self.last
    }

    /// Bytes that the break did not grant.
    pub(super) const fn added(&self) -> usize {
        self.added
    }
}

#[cfg(feature = "tiny")]
impl Regions {
    pub(super) const fn new() -> Self {
        Self { lowest: None }
    }

    /// Fence of the highest region, if that is not the break's, as it is where nothing is added.
    pub(super) const fn last(&self) -> Option<Cell> {
        None
    }

    /// Bytes that the break did not grant.
    pub(super) const fn added(&self) -> usize {
        0
    }
}

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    /// The region that begins with `first`.
    fn region_of(&self, first: Cell) -> Region {
        match &self.extent {
            Some(extent) if extent.region().first == first => extent.region(),
            // SAFETY: every other region is recorded.
            _ => unsafe { Region::read(first) },
        }
    }

    /// The lowest region.
    pub(super) fn lowest_region(&self) -> Option<Region> {
        self.regions.lowest.map(|first| self.region_of(first))
    }

    /// All regions, from the lowest on.
    pub(super) fn all_regions(&self) -> impl Iterator<Item = Region> {
        core::iter::successors(self.lowest_region(), |region| self.region_above(region))
    }

    /// Bytes of all regions together, granted or added. O(regions).
    pub(super) fn region_bytes(&self) -> usize {
        self.all_regions().map(|region| region.end - region.start).sum()
    }

    /// First cell of the lowest region, fence of the highest; `None`: there is no region.
    pub(super) fn bounds(&self) -> Option<(Cell, Cell)> {
        self.regions.lowest.zip(self.regions.last().or(self.extent.as_ref().map(Extent::fence)))
    }

    /// The next region further up.
    pub(super) fn region_above(&self, region: &Region) -> Option<Region> {
        #[cfg(feature = "checked")]
        if !self.leads_on(region) {
            return None;
        }
        // SAFETY: the fence of a region; all first cells are exposed.
        let first = unsafe { region.fence.behind_hole() }?;
        Some(self.region_of(first))
    }
}
