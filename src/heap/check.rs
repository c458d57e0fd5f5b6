//! The heap's invariants, verified one by one.

use core::fmt;

use super::Heap;
use super::growth::Extent;
use super::size_class::{CLASSES, class_of};
use crate::cell::{CELL_ALIGN, Cell, Header, Links, MIN_CELL, WORD};
use crate::provider::{Break, Map};

/// What must hold in a heap. Each rule tells what [`Corruption::expected`] and [`Corruption::found`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The break is at or above the end of our memory. (Addresses.) The only rule that others break by moving the break; after
    /// it the heap has stopped: it serves nothing, and touches nothing.
    BreakBelowHeap,
    /// A cell is at least the smallest one and ends at or before the fence. (Sizes; expected: the most that is possible.)
    CellSize,
    /// A header tells whether the cell before it is used. (1: used.)
    PrevUsed,
    /// A free cell has its size in its last word. (Sizes.)
    SizeAtEnd,
    /// The cell behind a free one is used. (1: used.)
    FreeNeighbours,
    /// The last fence has no size. (The header word.)
    Fence,
    /// The free cell before the last fence, and only that one, is the top. (Addresses; 0: there is none.)
    Top,
    /// The cell before a free cell in its bin's list leads to it. (Addresses; 0: none.)
    Links,
    /// A cell in a bin is free and of that bin's class. (Classes.)
    Class,
    /// The map of bins has a bit for every bin that has a cell. (1: has.)
    Map,
    /// Every free cell but the top is in a bin. (Numbers of cells.)
    Binned,
    /// The counter of live cells. (Numbers; found: by the walk.)
    LiveCells,
    /// The counter of live bytes. (Bytes; found: by the walk.)
    LiveBytes,
    /// The number of holes. (Numbers; found: by the walk.)
    Holes,
}

impl Rule {
    const fn text(self) -> &'static str {
        match self {
            Self::BreakBelowHeap => "the break lies below the heap's end",
            Self::CellSize => "size of a cell",
            Self::PrevUsed => "\"previous used\" in a header",
            Self::SizeAtEnd => "size at the end of a free cell",
            Self::FreeNeighbours => "use of the cell behind a free one",
            Self::Fence => "header of the last fence",
            Self::Top => "address of the top",
            Self::Links => "link of a free cell",
            Self::Class => "size class of a cell in a bin",
            Self::Map => "bit in the map of bins",
            Self::Binned => "free cells in bins",
            Self::LiveCells => "counter of live cells",
            Self::LiveBytes => "counter of live bytes",
            Self::Holes => "counter of holes",
        }
    }
}

/// A broken invariant: where, what should be there, what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corruption {
    /// Address of the cell, or of the word, that breaks the rule; for a counter, of the heap's first cell.
    pub at: usize,
    /// The rule that is broken.
    pub rule: Rule,
    /// What should be there: see [`Rule`].
    pub expected: usize,
    /// What is there.
    pub found: usize,
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rule, expected, found } = self;
        write!(f, "heap broken at {at:#x}: {}: expected {expected:#x}, found {found:#x}", rule.text())
    }
}

impl core::error::Error for Corruption {}

/// One comparison of a check.
fn verify(at: usize, rule: Rule, expected: usize, found: usize) -> Result<(), Corruption> {
    if expected == found { Ok(()) } else { Err(Corruption { at, rule, expected, found }) }
}

/// What a walk over all cells found.
#[derive(Default)]
struct Tally {
    live_cells: usize,
    live_bytes: usize,
    binned: usize,
    holes: usize,
    top: Option<Cell>,
}

impl<B: Break, M: Map> Heap<B, M> {
    /// Verifies every invariant of the heap. O(cells).
    ///
    /// It reads the heap's own words only, and follows no link out of the heap, so it also survives a heap that was overwritten.
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        if let Some(corruption) = self.stopped {
            return Err(corruption);
        }
        let Some(extent) = &self.extent else {
            return self.check_counters(0, &Tally::default());
        };
        let (end, brk) = (extent.end().addr().get(), self.brk.end().addr());
        if brk < end {
            return Err(Corruption { at: brk, rule: Rule::BreakBelowHeap, expected: end, found: brk });
        }
        let tally = self.check_cells(extent)?;
        verify(extent.first().addr(), Rule::Top, addr(tally.top), addr(self.top))?;
        self.check_bins(extent, &tally)?;
        verify(extent.first().addr(), Rule::Holes, extent.holes, tally.holes)?;
        self.check_counters(extent.first().addr(), &tally)
    }

    fn check_counters(&self, at: usize, tally: &Tally) -> Result<(), Corruption> {
        verify(at, Rule::LiveCells, self.counters.live_cells, tally.live_cells)?;
        verify(at, Rule::LiveBytes, self.counters.live_bytes, tally.live_bytes)
    }

    /// Walks the cells from the first to the last fence.
    fn check_cells(&self, extent: &Extent) -> Result<Tally, Corruption> {
        let (mut tally, mut cell, mut prev) = (Tally::default(), extent.first(), None);
        while cell != extent.fence() {
            let header = check_header(extent, cell, prev)?;
            match header {
                _ if header.is_fence() => tally.holes += 1,
                _ if header.is_used() => {
                    tally.live_cells += 1;
                    tally.live_bytes += header.size() - WORD;
                }
                _ => {
                    // SAFETY: `check_header` made sure that the cell ends inside the heap.
                    let next = unsafe { cell.next() };
                    verify(cell.addr(), Rule::SizeAtEnd, header.size(), size_before(next))?;
                    if next == extent.fence() {
                        tally.top = Some(cell);
                    } else {
                        tally.binned += 1;
                        self.check_link_to(extent, cell, header.size())?;
                    }
                }
            }
            prev = Some(header);
            // SAFETY: as above.
            cell = unsafe { cell.next() };
        }
        let fence = check_header(extent, cell, prev)?;
        verify(cell.addr(), Rule::Fence, 0, fence.size())?;
        Ok(tally)
    }

    /// The list of a free cell leads to it: from the cell before it, or from the bin.
    fn check_link_to(&self, extent: &Extent, cell: Cell, size: usize) -> Result<(), Corruption> {
        let to_here = match links_of(cell).prev {
            None => self.bins.heads[class_of(size)],
            Some(prev) if is_inside(extent, prev) => links_of(prev).next,
            Some(outside) => Some(outside),
        };
        verify(cell.addr(), Rule::Links, cell.addr(), addr(to_here))
    }

    /// Follows every list: the cells are free and of the right class, and there are as many as the walk found.
    fn check_bins(&self, extent: &Extent, tally: &Tally) -> Result<(), Corruption> {
        let mut seen = 0;
        for class in 0..CLASSES {
            let (mut at, mut before) = (self.bins.heads[class], None);
            let occupied = self.bins.occupied.contains(class);
            verify(addr(at), Rule::Map, usize::from(at.is_some()), usize::from(occupied))?;
            while let Some(cell) = at {
                if !is_inside(extent, cell) || seen == tally.binned {
                    return Err(Corruption { at: addr(before), rule: Rule::Links, expected: 0, found: cell.addr() });
                }
                seen += 1;
                // SAFETY: inside the heap.
                let header = unsafe { cell.header() };
                let found = if header.is_used() || header.size() < MIN_CELL { CLASSES } else { class_of(header.size()) };
                verify(cell.addr(), Rule::Class, class, found)?;
                (before, at) = (at, links_of(cell).next);
            }
        }
        verify(extent.first().addr(), Rule::Binned, tally.binned, seen)
    }
}

/// Checks what a header can tell by itself and beside the one before it.
fn check_header(extent: &Extent, cell: Cell, prev: Option<Header>) -> Result<Header, Corruption> {
    // SAFETY: between the first cell and the last fence: the walk got here by sizes that this function has checked.
    let header = unsafe { cell.header() };
    let at = cell.addr();
    if cell == extent.fence() {
        if !header.is_fence() || !header.is_used() {
            return Err(Corruption { at, rule: Rule::Fence, expected: 0, found: header.bits() });
        }
    } else {
        let (least, most) = (if header.is_fence() { CELL_ALIGN } else { MIN_CELL }, extent.fence().addr() - at);
        if header.size() < least || header.size() > most {
            return Err(Corruption { at, rule: Rule::CellSize, expected: most, found: header.size() });
        }
    }
    let prev_used = prev.is_none_or(Header::is_used);
    verify(at, Rule::PrevUsed, usize::from(prev_used), usize::from(header.is_prev_used()))?;
    verify(at, Rule::FreeNeighbours, 1, usize::from(prev_used || header.is_used()))?;
    Ok(header)
}

/// Whether `cell` is the address of a possible cell of this heap.
fn is_inside(extent: &Extent, cell: Cell) -> bool {
    (extent.first()..extent.fence()).contains(&cell) && (cell.addr() + WORD).is_multiple_of(CELL_ALIGN)
}

/// The links of a cell inside the heap, whatever they are worth.
fn links_of(cell: Cell) -> Links {
    // SAFETY: below the fence by two words at least, so the two words behind the header are the heap's.
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
mod tests {
    use std::boxed::Box;

    use super::*;
    use crate::provider::FixedBreak;

    /// A heap with one free cell in a bin, one used cell, and a top.
    fn heap() -> Heap<FixedBreak> {
        let layout = core::alloc::Layout::new::<[usize; 6]>();
        let mut heap = Heap::new(FixedBreak::from_array(Box::leak(Box::new([0; 4096]))));
        // SAFETY: the heap's memory is leaked, and outlives the blocks.
        let first = unsafe { heap.allocate(layout) }.unwrap();
        // SAFETY: as above.
        let _second = unsafe { heap.allocate(layout) }.unwrap();
        // SAFETY: live until now.
        unsafe { heap.deallocate(first, layout) };
        heap.check().unwrap();
        heap
    }

    fn assert_reported(heap: &Heap<FixedBreak>, rule: Rule, expected: usize, found: usize) {
        let corruption = heap.check().expect_err("the heap is broken");
        assert_eq!((corruption.rule, corruption.expected, corruption.found), (rule, expected, found));
    }

    #[test]
    fn a_wrong_map_is_found() {
        let mut heap = heap();
        let class = class_of(8 * WORD);
        heap.bins.occupied.clear(class);
        assert_reported(&heap, Rule::Map, 1, 0);
    }

    #[test]
    fn a_top_that_is_forgotten_or_invented_is_found() {
        let mut heap = heap();
        let top = heap.top.take();
        assert_reported(&heap, Rule::Top, addr(top), 0);
        heap.top = Some(heap.extent.as_ref().unwrap().first());
        assert_reported(&heap, Rule::Top, addr(top), addr(heap.top));
    }

    #[test]
    fn a_cell_that_is_in_two_places_is_found() {
        let mut heap = heap();
        let top = heap.top.unwrap();
        // SAFETY: the top is valid.
        let size = unsafe { top.header() }.size();
        // SAFETY: valid and free, though it should be in no bin: that is the point.
        unsafe { heap.bins.insert(top, size) };
        assert_reported(&heap, Rule::Links, 0, top.addr());
    }

    #[test]
    fn wrong_counters_are_found() {
        let mut heap = heap();
        heap.counters.live_bytes += 1;
        assert_reported(&heap, Rule::LiveBytes, 7 * WORD + 1, 7 * WORD);
        heap.counters.live_cells += 1;
        assert_reported(&heap, Rule::LiveCells, 2, 1);
        heap.extent.as_mut().unwrap().holes += 1;
        assert_reported(&heap, Rule::Holes, 1, 0);
    }
}
