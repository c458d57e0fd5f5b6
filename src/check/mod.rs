//! Verification of the heap's invariants.
//!
//! ```text
//!   check_regions    each region, cell by cell, up to its fencepost; then every cell is known to
//!                    lie in the heap
//!   check_inside     the link to each free cell; the layer's used cells   (slabs.rs)
//!   check_bins       every list, link by link
//! ```
//!
//! Each step reads only words that the steps before have verified. The check ends at the first
//! broken rule; corruption.rs lists the rules.

mod corruption;
mod layer;
mod page_map;
mod segments;
mod slabs;

use crate::bins::Classes;
use crate::cell::{Cell, Form, Header, MIN_CELL, Region, WORD};
use crate::chunks::{Chunks, Tuning, links_of};
use crate::inspect::View;
use crate::provider::{Map, Source};
use crate::space::Extent;

pub(crate) use corruption::verify;
pub use corruption::{Corruption, Rule};
pub use layer::LayerRules;
pub(crate) use layer::room_from;
pub(crate) use segments::has_segment_at;

/// First cell of the lowest region, fencepost of the highest.
type Bounds<P> = (Cell<P>, Cell<P>);

/// Result of a walk over all cells; `T` is the layer's part of it.
struct Tally<P, T> {
    /// Payload bytes of all used cells.
    used_bytes: usize,
    /// Number of free cells, without the top.
    binned: usize,
    /// Free cell before the fencepost of the break's region.
    top: Option<Cell<P>>,
    /// Fencepost of the break's region.
    breaks_fencepost: Option<Cell<P>>,
    /// The layer's part.
    layer: T,
}

/// Implements [`Heap::check`](crate::Heap::check), except for the records of a checked heap.
pub(crate) fn check<B: Source, M: Map, P: Tuning, L: LayerRules<P>>(
    view: View<'_, B, M, P, L>,
) -> Result<(), Corruption> {
    let View { layer, large } = view;
    let chunks = &large.chunks;
    let space = chunks.space();
    if let Some((found, expected)) = space.taken() {
        return Err(Corruption::new(found, Rule::BreakBelowHeap, expected, found));
    }
    if let Some(extent) = space.extent() {
        let (expected, found) = (extent.brk(), space.source.brk().addr());
        if found < expected {
            return Err(Corruption::new(found, Rule::BreakBelowHeap, expected, found));
        }
    }
    let Some(bounds) = space.bounds() else {
        layer.check_after(chunks, 0, &L::Tally::default())?;
        return verify(0, Rule::UsedBytes, chunks.counters.used_bytes(), 0);
    };
    let lowest = bounds.0.addr();
    let mut tally = check_regions(chunks, bounds)?;
    verify(
        lowest,
        Rule::BreakRegion,
        addr(space.extent().map(Extent::fencepost)),
        addr(tally.breaks_fencepost),
    )?;
    verify(lowest, Rule::Top, addr(tally.top), addr(chunks.top()))?;
    layer.check_before(chunks)?;
    check_inside(chunks, layer, &mut tally)?;
    check_bins(chunks, lowest, tally.binned)?;
    layer.check_after(chunks, lowest, &tally.layer)?;
    verify(lowest, Rule::UsedBytes, chunks.counters.used_bytes(), tally.used_bytes)
}

/// Walks the regions from the lowest to the highest.
fn check_regions<B, P: Tuning, T: Default>(
    chunks: &Chunks<B, P>,
    bounds: Bounds<P>,
) -> Result<Tally<P, T>, Corruption> {
    let layer = T::default();
    let mut tally = Tally { used_bytes: 0, binned: 0, top: None, breaks_fencepost: None, layer };
    let mut first = bounds.0;
    loop {
        let fencepost = check_region(chunks, bounds, first, &mut tally)?;
        if fencepost == bounds.1 {
            break;
        }
        // SAFETY: `check_region` verified that this is a fencepost and, by `Space::hole_behind`,
        // where it leads; all first cells are exposed (the invariant of `Space`).
        let Some(next) = (unsafe { fencepost.behind_hole() }) else { break };
        first = next;
    }
    let space = chunks.space();
    let bytes = space.regions().map(|region| region.end - region.start).sum();
    verify(bounds.0.addr(), Rule::RegionBytes, space.len(), bytes)?;
    Ok(tally)
}

/// Walks the cells of one region and returns its fencepost.
fn check_region<B, P: Tuning, T>(
    chunks: &Chunks<B, P>,
    bounds: Bounds<P>,
    first: Cell<P>,
    tally: &mut Tally<P, T>,
) -> Result<Cell<P>, Corruption> {
    let breaks = chunks.space().extent().map(Extent::region).filter(|region| region.first == first);
    let length = match breaks {
        Some(region) => region.length(),
        // SAFETY: `first` is the first cell of a region: of the lowest, or of the one that the last
        // fencepost leads to.
        None => unsafe { Region::recorded_length(first) },
    };
    let most = bounds.1.addr() - first.addr();
    if length > most {
        return Err(Corruption::new(first.addr(), Rule::Region, most, length));
    }
    // SAFETY: `length` does not reach above the last fencepost, as checked before.
    let fencepost = unsafe { first.offset(length) };
    let (mut cell, mut prev) = (first, None);
    while cell != fencepost {
        let header = check_header(fencepost, cell, prev)?;
        // SAFETY: `check_header` verified that the cell ends inside the region.
        let next = unsafe { cell.next() };
        if header.is_fencepost() {
            let walked = cell.addr() - first.addr();
            return Err(Corruption::new(first.addr(), Rule::Region, walked, length));
        } else if header.is_used() {
            tally.used_bytes += header.size() - WORD;
        } else {
            // SAFETY: a verified cell precedes `next`.
            let size_at_end = unsafe { next.word_before() };
            verify(cell.addr(), Rule::SizeAtEnd, header.size(), size_at_end)?;
            if next == fencepost && breaks.is_some() {
                tally.top = Some(cell);
            } else {
                tally.binned += 1;
            }
        }
        (cell, prev) = (next, Some(header));
    }
    let header = check_header(fencepost, fencepost, prev)?;
    let hole = chunks.space().hole_behind(&chunks.space().region_of(first));
    if fencepost == bounds.1 {
        verify(fencepost.addr(), Rule::Fencepost, 0, header.size())?;
    } else if !hole.contains(&header.size()) {
        return Err(Corruption::new(fencepost.addr(), Rule::CellSize, *hole.end(), header.size()));
    }
    tally.breaks_fencepost = tally.breaks_fencepost.or(breaks.map(|region| region.fencepost));
    Ok(fencepost)
}

/// Verifies the link to each free cell except the top, and the layer's view of each used cell.
/// Requires that all regions have been verified.
fn check_inside<B: Source, P: Tuning, L: LayerRules<P>>(
    chunks: &Chunks<B, P>,
    layer: &L,
    tally: &mut Tally<P, L::Tally>,
) -> Result<(), Corruption> {
    for region in chunks.space().regions() {
        let mut cell = region.first;
        while cell != region.fencepost {
            // SAFETY: `check_region` verified the headers of all cells of the region.
            let header = unsafe { cell.header() };
            if header.is_used() {
                layer.check_use(chunks, cell, header.size(), &mut tally.layer)?;
            } else if chunks.top() != Some(cell) {
                check_link_to(chunks, cell, header.size())?;
            }
            // SAFETY: `check_region` verified that a cell or the fencepost follows.
            cell = unsafe { cell.next() };
        }
    }
    Ok(())
}

/// Verifies that the list of a free cell leads to it: from the previous cell of the list, or from
/// the bin's head.
fn check_link_to<B, P: Tuning>(
    chunks: &Chunks<B, P>,
    cell: Cell<P>,
    size: usize,
) -> Result<(), Corruption> {
    let to_here = match links_of(cell).prev {
        None => chunks.bins().head(P::Classes::class_of(size)),
        Some(prev) if chunks.is_place(prev) => links_of(prev).next,
        Some(outside) => Some(outside),
    };
    verify(cell.addr(), Rule::Links, cell.addr(), addr(to_here))
}

/// Verifies every list: its cells are free and of the list's class, and the lists have as many
/// cells as the walk found. `binned` is that number, `lowest` the address of the lowest cell.
fn check_bins<B, P: Tuning>(
    chunks: &Chunks<B, P>,
    lowest: usize,
    binned: usize,
) -> Result<(), Corruption> {
    let (mut seen, bins) = (0, chunks.bins());
    for class in 0..P::Classes::COUNT {
        let (mut at, mut before) = (bins.head(class), None);
        if !P::COMPACT {
            let occupied = bins.occupied.contains(class);
            verify(addr(at), Rule::Map, usize::from(at.is_some()), usize::from(occupied))?;
        }
        while let Some(cell) = at {
            if !chunks.is_place(cell) || seen == binned {
                return Err(Corruption::new(addr(before), Rule::Links, 0, cell.addr()));
            }
            seen += 1;
            // SAFETY: `is_place` verified that the cell lies in a region of the heap.
            let header = unsafe { cell.header() };
            let found = if header.is_used() || header.size() < MIN_CELL {
                P::Classes::COUNT
            } else {
                P::Classes::class_of(header.size())
            };
            verify(cell.addr(), Rule::Class, class, found)?;
            (before, at) = (at, links_of(cell).next);
        }
    }
    verify(lowest, Rule::Binned, binned, seen)
}

/// Verifies a header by itself and against the one before it, in the region that ends with
/// `fencepost`.
fn check_header<F: Form>(
    fencepost: Cell<F>,
    cell: Cell<F>,
    prev: Option<Header>,
) -> Result<Header, Corruption> {
    // SAFETY: `cell` lies between the first cell of a region and its fencepost: the walk follows
    // only sizes that this function has verified.
    let header = unsafe { cell.header() };
    let at = cell.addr();
    if cell == fencepost {
        if !header.is_fencepost() || !header.is_used() {
            return Err(Corruption::new(at, Rule::Fencepost, 0, header.bits()));
        }
    } else {
        let most = fencepost.addr() - at;
        if header.size() < MIN_CELL || header.size() > most {
            return Err(Corruption::new(at, Rule::CellSize, most, header.size()));
        }
    }
    let prev_used = prev.is_none_or(Header::is_used);
    verify(at, Rule::PrevUsed, usize::from(prev_used), usize::from(header.is_prev_used()))?;
    verify(at, Rule::FreeNeighbours, 1, usize::from(prev_used || header.is_used()))?;
    if F::CHECKED {
        // SAFETY: the header lies in memory of the heap, as above.
        let found = unsafe { cell.header_in_memory() };
        verify(at, Rule::CheckBits, header.sealed(at).bits(), found.bits())?;
    }
    Ok(header)
}

/// Returns the address of a cell; 0 for `None`.
fn addr<F>(cell: Option<Cell<F>>) -> usize {
    cell.map_or(0, Cell::addr)
}

#[cfg(test)]
mod tests;
