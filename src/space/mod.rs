//! The memory of a heap: granted by its break, or added beside that.
//!
//! ```text
//!   lowest                                                       extent: the break's region
//!   ▼                                                            ▼
//!  ┌───┬──────────────┬───┐        hole         ┌───┬────────────────────────────────┬───┐◄─ break
//!  │ H │    cells     │ F ├ ─ ─ ─ (foreign) ─ ─►│ H │             cells              │ F │
//!  └───┴──────────────┴───┘                     └───┴────────────────────────────────┴───┘
//!
//!   grow     the break moves up: the region becomes longer, or another one begins       growth.rs
//!   join     new memory becomes part of a region; holes are filled                      join.rs
//!   append   the same above all regions: less time, less code                           growth.rs
//!   lower    the break moves down                                                       trim.rs
//!   give_back  a segment leaves                                                        trim.rs
//! ```
//!
//! Rules of this folder: it knows regions with their heads and fenceposts, and the provider. What
//! is in a region, used or free, is for its user, [`Chunks`](crate::chunks::Chunks): a join returns
//! the span that has become free, and nothing here looks at bins or the top.

mod add_region;
mod extent;
mod growth;
mod join;
mod trim;

use core::iter;
use core::ops::RangeInclusive;

use crate::cell::{Cell, Form, MIN_CELL, Region};
use crate::provider::{BreakError, Source};

pub use add_region::RegionError;
pub(crate) use extent::Extent;
use join::Piece;
pub(crate) use join::{Joined, Origin};
pub(crate) use trim::is_one_free_cell;

/// All memory of a heap, in regions, and the provider that grants it.
///
/// # Invariants
///
/// * fenceposts lead from region to region in ascending order, from the first cell of the lowest to
///   the fencepost of the highest, which leads nowhere; regions do not touch
/// * every region is [recorded](Region::record), except the break's, which is in `extent`
/// * every first cell is [exposed](Cell::expose)
/// * `granted + added` is the sum of the lengths of all regions
/// * once the break was found below memory of the heap, the heap has *stopped*: no region is known
///   (`lowest`, `last` are `None`), and `extent.fresh` is the address where the break was found
#[derive(Debug)]
pub(crate) struct Space<B, F> {
    pub(crate) source: B,
    /// First cell of the lowest region; `None`: there is no region.
    lowest: Option<Cell<F>>,
    /// Fencepost of the highest region, if that is not the break's.
    last: Option<Cell<F>>,
    /// The region that the provider granted last; `None` before the first grant and after
    /// everything was given back.
    extent: Option<Extent<F>>,
    /// Bytes that the provider granted and did not get back.
    granted: usize,
    /// Bytes that were added beside them.
    added: usize,
}

impl<B, F> Space<B, F> {
    pub(crate) const fn new(source: B) -> Self {
        Self { source, lowest: None, last: None, extent: None, granted: 0, added: 0 }
    }

    /// Returns the first cell of the lowest region.
    pub(crate) const fn lowest(&self) -> Option<Cell<F>> {
        self.lowest
    }

    /// Returns the break's region.
    #[inline(always)]
    pub(crate) const fn extent(&self) -> Option<&Extent<F>> {
        self.extent.as_ref()
    }

    /// Returns the break's region.
    #[inline(always)]
    pub(crate) const fn extent_mut(&mut self) -> Option<&mut Extent<F>> {
        self.extent.as_mut()
    }

    /// Breaks two fields, for tests of the check: the first cell of the break's region, and the
    /// counter of granted bytes.
    #[cfg(test)]
    pub(crate) fn break_extent(&mut self, first: Option<Cell<F>>, granted: usize) {
        if let (Some(extent), Some(first)) = (&mut self.extent, first) {
            extent.region.first = first;
        }
        self.granted += granted;
    }

    /// Returns the bytes of all regions together.
    pub(crate) const fn len(&self) -> usize {
        self.granted + self.added
    }

    /// Returns the bytes that the provider granted and did not get back.
    pub(crate) const fn granted(&self) -> usize {
        self.granted
    }

    /// Returns the bytes that were added beside them.
    pub(crate) const fn added(&self) -> usize {
        self.added
    }

    /// Returns whether the heap has stopped, because the break was found below its memory.
    #[inline(always)]
    pub(crate) const fn has_stopped(&self) -> bool {
        self.lowest.is_none() && self.extent.is_some()
    }

    /// Returns where the break was found below the heap's memory, and where it should have been at
    /// least, if the heap has stopped.
    pub(crate) fn taken(&self) -> Option<(usize, usize)> {
        let extent = self.extent.as_ref().filter(|_| self.lowest.is_none())?;
        let found = extent.fresh();
        let expected = if found < extent.brk() { extent.brk() } else { extent.end() };
        Some((found, expected))
    }

    /// Returns whether `fencepost` ends the break's region.
    #[inline(always)]
    pub(crate) fn ends_at_break(&self, fencepost: Cell<F>) -> bool {
        self.extent.as_ref().is_some_and(|extent| extent.fencepost() == fencepost)
    }

    /// Returns the first cell of the lowest region and the fencepost of the highest; `None`: there
    /// is no region.
    pub(crate) fn bounds(&self) -> Option<(Cell<F>, Cell<F>)> {
        self.lowest.zip(self.last.or(self.extent.as_ref().map(Extent::fencepost)))
    }

    /// Returns whether a region is the break's, or the segment that was granted last.
    pub(crate) fn is_breaks(&self, region: &Region<F>) -> bool {
        self.extent.as_ref().is_some_and(|extent| extent.region().first == region.first)
    }
}

impl<B, F: Form> Space<B, F> {
    /// Returns the region that begins with `first`.
    pub(crate) fn region_of(&self, first: Cell<F>) -> Region<F> {
        match &self.extent {
            Some(extent) if extent.region().first == first => extent.region(),
            // SAFETY: every other region is recorded: the type's invariant.
            _ => unsafe { Region::read(first) },
        }
    }

    /// Returns the lowest region.
    pub(crate) fn lowest_region(&self) -> Option<Region<F>> {
        self.lowest.map(|first| self.region_of(first))
    }

    /// Returns the next region above.
    pub(crate) fn region_above(&self, region: &Region<F>) -> Option<Region<F>> {
        if F::CHECKED && !self.leads_on(region) {
            return None;
        }
        // SAFETY: the fencepost of a region; all first cells are exposed.
        let first = unsafe { region.fencepost.behind_hole() }?;
        Some(self.region_of(first))
    }

    /// Returns all regions, from the lowest on.
    pub(crate) fn regions(&self) -> impl Iterator<Item = Region<F>> {
        iter::successors(self.lowest_region(), |region| self.region_above(region))
    }

    /// Returns the possible sizes in the fencepost of a region; empty for the last one. A size in
    /// this range leads to memory of the heap if one other region exists at most, or if the
    /// fencepost is right. Reads only the region itself.
    ///
    /// The break's region is known without a fencepost that leads to it. So no hole reaches beyond
    /// its first cell, and if no third region exists, the hole ends exactly there.
    pub(crate) fn hole_behind(&self, region: &Region<F>) -> RangeInclusive<usize> {
        let from = region.fencepost.addr();
        let last = self.bounds().map_or(from, |(_, last)| last.addr());
        match &self.extent {
            Some(extent) if extent.region().first.addr() > from => {
                let most = extent.region().first.addr() - from;
                let is_pair = self.lowest == Some(region.first)
                    && region.end - region.start + extent.len() == self.len();
                if is_pair { most..=most } else { MIN_CELL..=most }
            }
            _ => MIN_CELL..=last.saturating_sub(from),
        }
    }

    /// Returns whether the fencepost of a region leads on as the heap wrote it, as far as can be
    /// told: to a region that ends inside the heap.
    fn leads_on(&self, region: &Region<F>) -> bool {
        let Some((_, last)) = self.bounds() else { return false };
        // SAFETY: the word is the fencepost of a region of this heap.
        let fencepost = unsafe { region.fencepost.header() };
        if !fencepost.is_fencepost()
            || !fencepost.is_used()
            || !self.hole_behind(region).contains(&fencepost.size())
        {
            return false;
        }
        // SAFETY: the header is a fencepost's, as verified above; all first cells are exposed.
        let Some(first) = (unsafe { region.fencepost.behind_hole() }) else { return false };
        // SAFETY: `hole_behind` allows the size, so the head is memory of this heap.
        let length = || unsafe { Region::recorded_length(first) };
        self.extent.as_ref().is_some_and(|extent| extent.region().first == first)
            || length() <= last.addr() - first.addr()
    }
}

impl<B: Source, F: Form> Space<B, F> {
    /// Makes sure that the break is not below the heap's end.
    ///
    /// # Errors
    ///
    /// [`BreakError::MemoryTaken`]: it is, now or earlier; the heap has stopped.
    pub(crate) fn watch_the_break(&mut self) -> Result<(), BreakError> {
        let brk = self.source.brk().addr();
        match &self.extent {
            Some(_) if self.lowest.is_none() => Err(BreakError::MemoryTaken),
            Some(extent) if brk < extent.brk() => Err(self.stop(brk)),
            _ => Ok(()),
        }
    }

    /// Notes that the memory above `found` was taken: from now on no region is known.
    #[cold]
    fn stop(&mut self, found: usize) -> BreakError {
        (self.lowest, self.last) = (None, None);
        if let Some(extent) = &mut self.extent {
            extent.fresh = found;
        }
        BreakError::MemoryTaken
    }
}
