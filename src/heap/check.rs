//! The heap's invariants, verified one by one.
//!
//! ```text
//!   check_regions   each region, cell by cell, up to its fence    from here on every cell is known to lie in the heap
//!   check_inside    what leads to each free cell; runs            (check_small.rs, check_segments.rs)
//!   check_bins      every list, link by link
//!   counters        against what the walk has counted
//! ```
//!
//! Each step reads what the ones before have found to be right. The first broken rule ends it:
//! check/corruption.rs names them all.

mod corruption;

use super::Heap;
use super::extent::Extent;
use super::size_class::{CLASSES, class_of};
use super::small_blocks::SmallTally;
use crate::cell::{CELL_ALIGN, Cell, Header, Links, MIN_CELL, Region, WORD};
use crate::provider::{Break, Map};

pub(super) use corruption::verify;
pub use corruption::{Corruption, Rule};

/// First cell of the lowest region, fence of the highest.
type Bounds = (Cell, Cell);

/// What a walk over all cells found.
#[derive(Default)]
struct Tally {
    used_bytes: usize,
    binned: usize,
    top: Option<Cell>,
    breaks_fence: Option<Cell>,
    small: SmallTally,
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Verifies every invariant of the heap. O(cells), or, if there are holes, O(cells · regions);
    /// and for each block in the front cache O(blocks of a run).
    ///
    /// It reads the heap's own words only, and follows no link out of the heap, so it also survives
    /// a heap that was overwritten.
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        if let Some(taken) = self.stopped {
            return Err(taken.corruption(self.extent.as_ref()));
        }
        if let Some(extent) = &self.extent {
            let (expected, found) = (extent.brk(), self.brk.end().addr());
            if found < expected {
                return Err(Corruption { at: found, rule: Rule::BreakBelowHeap, expected, found });
            }
        }
        let Some(bounds) = self.bounds() else {
            let tally = Tally::default();
            self.check_small(0, &tally.small)?;
            return self.check_counters(0, &tally);
        };
        let (lowest, mut tally) = (bounds.0.addr(), self.check_regions(bounds)?);
        verify(
            lowest,
            Rule::BreakRegion,
            addr(self.extent.as_ref().map(Extent::fence)),
            addr(tally.breaks_fence),
        )?;
        verify(lowest, Rule::Top, addr(tally.top), addr(self.top))?;
        self.check_leaves()?;
        self.check_inside(bounds, &mut tally)?;
        self.check_bins(bounds, &tally)?;
        self.check_small(lowest, &tally.small)?;
        #[cfg(feature = "checked")]
        self.check_records()?;
        self.check_counters(lowest, &tally)
    }

    /// Against what the walk has counted.
    fn check_counters(&self, at: usize, tally: &Tally) -> Result<(), Corruption> {
        verify(at, Rule::UsedBytes, self.counters.used_bytes, tally.used_bytes)
    }

    /// Walks the regions from the lowest to the highest.
    fn check_regions(&self, bounds: Bounds) -> Result<Tally, Corruption> {
        let (mut tally, mut first) = (Tally::default(), bounds.0);
        loop {
            let fence = self.check_region(bounds, first, &mut tally)?;
            if fence == bounds.1 {
                return Ok(tally);
            }
            // SAFETY: `check_region` made sure that the fence leads to a place before the last one;
            // all first cells are exposed.
            let Some(next) = (unsafe { fence.behind_hole() }) else { return Ok(tally) };
            first = next;
        }
    }

    /// Walks the cells of one region and returns its fence.
    fn check_region(
        &self,
        bounds: Bounds,
        first: Cell,
        tally: &mut Tally,
    ) -> Result<Cell, Corruption> {
        let breaks =
            self.extent.as_ref().map(Extent::region).filter(|region| region.first == first);
        let length = match breaks {
            Some(region) => region.length(),
            // SAFETY: the word in front of a region's first cell is its head.
            None => unsafe { Region::recorded_length(first) },
        };
        let most = bounds.1.addr() - first.addr();
        if length > most {
            return Err(Corruption {
                at: first.addr(),
                rule: Rule::Region,
                expected: most,
                found: length,
            });
        }
        // SAFETY: not above the last fence.
        let fence = unsafe { first.offset(length) };
        let (mut cell, mut prev) = (first, None);
        while cell != fence {
            let header = check_header(fence, cell, prev)?;
            // SAFETY: `check_header` made sure that the cell ends inside the region.
            let next = unsafe { cell.next() };
            if header.is_fence() {
                return Err(Corruption {
                    at: first.addr(),
                    rule: Rule::Region,
                    expected: cell.addr() - first.addr(),
                    found: length,
                });
            } else if header.is_used() {
                tally.used_bytes += header.size() - WORD;
            } else {
                verify(cell.addr(), Rule::SizeAtEnd, header.size(), size_before(next))?;
                if next == fence && breaks.is_some() {
                    tally.top = Some(cell);
                } else {
                    tally.binned += 1;
                }
            }
            (cell, prev) = (next, Some(header));
        }
        let header = check_header(fence, fence, prev)?;
        let most = bounds.1.addr() - fence.addr();
        if most == 0 {
            verify(fence.addr(), Rule::Fence, 0, header.size())?;
        } else if header.size() < MIN_CELL || header.size() > most {
            return Err(Corruption {
                at: fence.addr(),
                rule: Rule::CellSize,
                expected: most,
                found: header.size(),
            });
        }
        tally.breaks_fence = tally.breaks_fence.or(breaks.map(|region| region.fence));
        Ok(fence)
    }

    /// Every free cell but the top is led to, and every used one is what the page map says. (Only
    /// once all regions are known to be whole can it be told what stays inside.)
    fn check_inside(&self, bounds: Bounds, tally: &mut Tally) -> Result<(), Corruption> {
        for region in self.all_regions() {
            let mut cell = region.first;
            while cell != region.fence {
                // SAFETY: a cell of a region that `check_region` walked.
                let header = unsafe { cell.header() };
                if header.is_used() {
                    self.check_use(cell, header.size(), &mut tally.small)?;
                } else if self.top != Some(cell) {
                    self.check_link_to(bounds, cell, header.size())?;
                }
                // SAFETY: as above.
                cell = unsafe { cell.next() };
            }
        }
        Ok(())
    }

    /// The list of a free cell leads to it: from the cell before it, or from the bin.
    fn check_link_to(&self, bounds: Bounds, cell: Cell, size: usize) -> Result<(), Corruption> {
        let to_here = match links_of(cell).prev {
            None => self.bins.heads[class_of(size)],
            Some(prev) if self.is_inside(bounds, prev) => links_of(prev).next,
            Some(outside) => Some(outside),
        };
        verify(cell.addr(), Rule::Links, cell.addr(), addr(to_here))
    }

    /// Whether `cell` is the address of a possible cell of this heap.
    fn is_inside(&self, (first, last_fence): Bounds, cell: Cell) -> bool {
        let is_place =
            (first..last_fence).contains(&cell) && (cell.addr() + WORD).is_multiple_of(CELL_ALIGN);
        is_place && self.all_regions().any(|region| (region.first..region.fence).contains(&cell))
    }

    /// Follows every list: the cells are free and of the right class, and there are as many as the
    /// walk found.
    fn check_bins(&self, bounds: Bounds, tally: &Tally) -> Result<(), Corruption> {
        let mut seen = 0;
        for class in 0..CLASSES {
            let (mut at, mut before) = (self.bins.heads[class], None);
            let occupied = self.bins.occupied.contains(class);
            verify(addr(at), Rule::Map, usize::from(at.is_some()), usize::from(occupied))?;
            while let Some(cell) = at {
                if !self.is_inside(bounds, cell) || seen == tally.binned {
                    return Err(Corruption {
                        at: addr(before),
                        rule: Rule::Links,
                        expected: 0,
                        found: cell.addr(),
                    });
                }
                seen += 1;
                // SAFETY: inside the heap.
                let header = unsafe { cell.header() };
                let found = if header.is_used() || header.size() < MIN_CELL {
                    CLASSES
                } else {
                    class_of(header.size())
                };
                verify(cell.addr(), Rule::Class, class, found)?;
                (before, at) = (at, links_of(cell).next);
            }
        }
        verify(bounds.0.addr(), Rule::Binned, tally.binned, seen)
    }
}

/// Checks what a header can tell by itself and beside the one before it, in the region that ends
/// with `fence`.
fn check_header(fence: Cell, cell: Cell, prev: Option<Header>) -> Result<Header, Corruption> {
    // SAFETY: between the first cell of a region and its fence: the walk got here by sizes that
    // this function has checked.
    let header = unsafe { cell.header() };
    let at = cell.addr();
    if cell == fence {
        if !header.is_fence() || !header.is_used() {
            return Err(Corruption { at, rule: Rule::Fence, expected: 0, found: header.bits() });
        }
    } else {
        let most = fence.addr() - at;
        if header.size() < MIN_CELL || header.size() > most {
            return Err(Corruption {
                at,
                rule: Rule::CellSize,
                expected: most,
                found: header.size(),
            });
        }
    }
    let prev_used = prev.is_none_or(Header::is_used);
    verify(at, Rule::PrevUsed, usize::from(prev_used), usize::from(header.is_prev_used()))?;
    verify(at, Rule::FreeNeighbours, 1, usize::from(prev_used || header.is_used()))?;
    #[cfg(feature = "checked")]
    // SAFETY: as above.
    verify(
        at,
        Rule::CheckBits,
        header.sealed(at).bits(),
        // SAFETY: as above.
        unsafe { cell.header_in_memory() }.bits(),
    )?;
    Ok(header)
}

/// The links of a cell inside the heap, whatever they are worth.
pub(super) fn links_of(cell: Cell) -> Links {
    // SAFETY: below the fence by two words at least, so the two words behind the header are the
    // heap's.
    let links = unsafe { cell.links() };
    // SAFETY: as above; any bits are an `Option<Cell>`.
    unsafe { links.read() }
}

/// The word in front of a header.
fn size_before(cell: Cell) -> usize {
    // SAFETY: the header's cell follows another one, whose last word this is.
    let word = unsafe { cell.payload().cast::<usize>().sub(2) };
    // SAFETY: as above.
    unsafe { word.read() }
}

fn addr(cell: Option<Cell>) -> usize {
    cell.map_or(0, Cell::addr)
}

#[cfg(test)]
mod tests;
