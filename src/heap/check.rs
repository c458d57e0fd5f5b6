//! The heap's invariants, verified one by one.

use core::fmt;

use super::Heap;
use super::extent::Extent;
use super::size_class::{CLASSES, class_of};
use super::small_blocks::SmallTally;
use crate::cell::{CELL_ALIGN, Cell, Header, Links, MIN_CELL, Region, WORD};
use crate::provider::{Break, Map};

/// What must hold in a heap. Each rule tells what [`Corruption::expected`] and [`Corruption::found`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The break is at or above the end of our memory. (Addresses.) The only rule that others break by moving the break; after
    /// it the heap has stopped: it serves nothing, and touches nothing.
    BreakBelowHeap,
    /// A cell is at least the smallest one and ends at or before its region's fence; so is a hole, which ends before the last. (Sizes;
    /// expected: the most that is possible.)
    CellSize,
    /// A header tells whether the cell before it is used. (1: used.)
    PrevUsed,
    /// A free cell has its size in its last word. (Sizes.)
    SizeAtEnd,
    /// The cell behind a free one is used. (1: used.)
    FreeNeighbours,
    /// A region ends with a fence; the last one has no size. (The header word.)
    Fence,
    /// The word in front of a region's first cell leads to its fence, and to no place before or behind it. (Bytes from the first cell to the
    /// fence; expected: by the walk, or the most that is possible.)
    Region,
    /// The break's region is one of the heap's. (Addresses of its fence; found: 0.)
    BreakRegion,
    /// The free cell before the fence of the break's region, and only that one, is the top. (Addresses; 0: there is none.)
    Top,
    /// The cell before a free cell in its bin's list leads to it. (Addresses; 0: none.)
    Links,
    /// A cell in a bin is free and of that bin's class. (Classes.)
    Class,
    /// The map of bins has a bit for every bin that has a cell. (1: has.)
    Map,
    /// Every free cell but the top is in a bin. (Numbers of cells.)
    Binned,
    /// The counter of bytes in used cells. (Bytes; found: by the walk.)
    UsedBytes,
    /// A part of the page map is a used cell that is long enough for it. (Bytes; expected: what it needs.)
    Leaf,
    /// Every part of the page map is a used cell. (Numbers; found: by the walk.)
    Leaves,
    /// The page map knows the pages of a run as such, and no others. (Of a page: classes; of a part of the map: pages, expected: by the
    /// walk.)
    PageMap,
    /// A part of the page map counts the runs in its reach, at least one. (Numbers; expected: by the walk.)
    LeafCount,
    /// A run is a used cell whose payload begins at a multiple of its length. (Addresses, or sizes of the cell.)
    RunCell,
    /// A free block of a run lies at a block's place in it, below those that were never used, and is listed once. (Bytes from the run's
    /// start; expected: 0, the end of the list.)
    RunList,
    /// Live, free, and never used blocks are all blocks of a run. (Numbers; or found: the place of the first one never used, if it is none.)
    RunBlocks,
    /// The run before a run with a free block in its class's list leads to it. (Addresses; 0: none.)
    RunLinks,
    /// Every run with a free block is in its class's list. (Numbers; expected: by the walk.)
    Partial,
    /// A run without live blocks is alone in its list. (1: it is not.)
    EmptyRun,
    /// The counter of runs of a class. (Numbers; found: by the walk.)
    Runs,
    /// The front cache has room for the blocks that it keeps. (Numbers of one class; at: the first block.)
    CacheRoom,
    /// The list of a class in the front cache has as many blocks as were put in. (Numbers; or addresses, expected: 0, the end of the list.)
    CacheLinks,
    /// A block in the front cache was taken from a run, or is a used cell, and suits the class. (Size of the class, address of the block;
    /// at: the block before it; 0: none.)
    CacheBlock,
    /// No block is in two lists of the front cache. (Classes.)
    CacheTwice,
    /// Each unit of an arena's segments is the arena's in the map of segments, and nothing else is. (Numbers of owners; 0: nobody. At: the unit.)
    SegmentOwner,
    /// In the map of segments each unit of a segment has its number. (Units from the segment's start. At: the unit.)
    SegmentUnit,
    /// A page of a segment that lies in no run is said to lie in none. (What the segment says of it: 0, or a class, plus one. At: the page.)
    NoRun,
    /// A part of the map of segments lies in the parent, and is there once. (Bytes; expected: its length; found: what there is of the parent,
    /// or 0: it was there before.)
    SegmentMap,
    /// The check bits of a header. (The header word; expected: with the bits that belong to the others.)
    #[cfg(feature = "checked")]
    CheckBits,
    /// What is behind the caller's bytes. (The first wrong byte, or the word that seals size and alignment; or the length of a block that is
    /// too short for a record, and the least.)
    #[cfg(feature = "checked")]
    Record,
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
            Self::Region => "length of a region",
            Self::BreakRegion => "fence of the break's region",
            Self::Top => "address of the top",
            Self::Links => "link of a free cell",
            Self::Class => "size class of a cell in a bin",
            Self::Map => "bit in the map of bins",
            Self::Binned => "free cells in bins",
            Self::UsedBytes => "counter of bytes in used cells",
            Self::Leaf => "length of a part of the page map",
            Self::Leaves => "number of parts of the page map",
            Self::PageMap => "pages of runs in the page map",
            Self::LeafCount => "number of runs in a part of the page map",
            Self::RunCell => "cell of a run",
            Self::RunList => "link of a free block in a run",
            Self::RunBlocks => "number of blocks in a run",
            Self::RunLinks => "link of a run with a free block",
            Self::Partial => "runs with a free block in lists",
            Self::EmptyRun => "neighbours of an empty run in its list",
            Self::Runs => "counter of runs",
            Self::CacheRoom => "number of blocks that the front cache may keep",
            Self::CacheLinks => "end of a list in the front cache",
            Self::CacheBlock => "block in the front cache",
            Self::CacheTwice => "list in the front cache that has a block",
            Self::SegmentOwner => "owner of a unit in the map of segments",
            Self::SegmentUnit => "number of a unit in the map of segments",
            Self::NoRun => "page of a segment that lies in no run",
            Self::SegmentMap => "part of the map of segments",
            #[cfg(feature = "checked")]
            Self::CheckBits => "check bits of a header",
            #[cfg(feature = "checked")]
            Self::Record => "bytes behind the end of a block",
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
pub(super) fn verify(at: usize, rule: Rule, expected: usize, found: usize) -> Result<(), Corruption> {
    if expected == found { Ok(()) } else { Err(Corruption { at, rule, expected, found }) }
}

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

impl<B: Break, M: Map> Heap<B, M> {
    /// Verifies every invariant of the heap. O(cells), or, if there are holes, O(cells · regions); and for each block in the front cache
    /// O(blocks of a run).
    ///
    /// It reads the heap's own words only, and follows no link out of the heap, so it also survives a heap that was overwritten.
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
        verify(lowest, Rule::BreakRegion, addr(self.extent.as_ref().map(Extent::fence)), addr(tally.breaks_fence))?;
        verify(lowest, Rule::Top, addr(tally.top), addr(self.top))?;
        self.check_leaves()?;
        self.check_inside(bounds, &mut tally)?;
        self.check_bins(bounds, &tally)?;
        self.check_small(lowest, &tally.small)?;
        #[cfg(feature = "checked")]
        self.check_records()?;
        self.check_counters(lowest, &tally)
    }

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
            // SAFETY: `check_region` made sure that the fence leads to a place before the last one; all first cells are exposed.
            let Some(next) = (unsafe { fence.behind_hole() }) else { return Ok(tally) };
            first = next;
        }
    }

    /// Walks the cells of one region and returns its fence.
    fn check_region(&self, bounds: Bounds, first: Cell, tally: &mut Tally) -> Result<Cell, Corruption> {
        let breaks = self.extent.as_ref().map(Extent::region).filter(|region| region.first == first);
        let length = match breaks {
            Some(region) => region.length(),
            // SAFETY: the word in front of a region's first cell is its head.
            None => unsafe { Region::recorded_length(first) },
        };
        let most = bounds.1.addr() - first.addr();
        if length > most {
            return Err(Corruption { at: first.addr(), rule: Rule::Region, expected: most, found: length });
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
            return Err(Corruption { at: fence.addr(), rule: Rule::CellSize, expected: most, found: header.size() });
        }
        tally.breaks_fence = tally.breaks_fence.or(breaks.map(|region| region.fence));
        Ok(fence)
    }

    /// Every free cell but the top is led to, and every used one is what the page map says. (Only once all regions are known to be whole can
    /// it be told what stays inside.)
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
        let is_place = (first..last_fence).contains(&cell) && (cell.addr() + WORD).is_multiple_of(CELL_ALIGN);
        is_place && self.all_regions().any(|region| (region.first..region.fence).contains(&cell))
    }

    /// Follows every list: the cells are free and of the right class, and there are as many as the walk found.
    fn check_bins(&self, bounds: Bounds, tally: &Tally) -> Result<(), Corruption> {
        let mut seen = 0;
        for class in 0..CLASSES {
            let (mut at, mut before) = (self.bins.heads[class], None);
            let occupied = self.bins.occupied.contains(class);
            verify(addr(at), Rule::Map, usize::from(at.is_some()), usize::from(occupied))?;
            while let Some(cell) = at {
                if !self.is_inside(bounds, cell) || seen == tally.binned {
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
        verify(bounds.0.addr(), Rule::Binned, tally.binned, seen)
    }
}

/// Checks what a header can tell by itself and beside the one before it, in the region that ends with `fence`.
fn check_header(fence: Cell, cell: Cell, prev: Option<Header>) -> Result<Header, Corruption> {
    // SAFETY: between the first cell of a region and its fence: the walk got here by sizes that this function has checked.
    let header = unsafe { cell.header() };
    let at = cell.addr();
    if cell == fence {
        if !header.is_fence() || !header.is_used() {
            return Err(Corruption { at, rule: Rule::Fence, expected: 0, found: header.bits() });
        }
    } else {
        let most = fence.addr() - at;
        if header.size() < MIN_CELL || header.size() > most {
            return Err(Corruption { at, rule: Rule::CellSize, expected: most, found: header.size() });
        }
    }
    let prev_used = prev.is_none_or(Header::is_used);
    verify(at, Rule::PrevUsed, usize::from(prev_used), usize::from(header.is_prev_used()))?;
    verify(at, Rule::FreeNeighbours, 1, usize::from(prev_used || header.is_used()))?;
    #[cfg(feature = "checked")]
    // SAFETY: as above.
    verify(at, Rule::CheckBits, header.sealed(at).bits(), unsafe { cell.header_in_memory() }.bits())?;
    Ok(header)
}

/// The links of a cell inside the heap, whatever they are worth.
pub(super) fn links_of(cell: Cell) -> Links {
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

    /// What a block is longer by than asked.
    const RECORD: usize = if cfg!(feature = "checked") { 2 * WORD } else { 0 };

    /// A heap with one free cell in a bin, one used cell, and a top.
    fn heap() -> Heap<FixedBreak> {
        let layout = core::alloc::Layout::new::<[usize; 6]>();
        let mut heap = Heap::plain(FixedBreak::from_array(Box::leak(Box::new([0; 4096]))));
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
        let class = class_of(8 * WORD + RECORD);
        heap.bins.occupied.clear(class);
        assert_reported(&heap, Rule::Map, 1, 0);
    }

    #[test]
    fn a_top_that_is_forgotten_or_invented_is_found() {
        let mut heap = heap();
        let top = heap.top.take();
        assert_reported(&heap, Rule::Top, addr(top), 0);
        heap.top = heap.regions.lowest;
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
        heap.counters.used_bytes += 1;
        assert_reported(&heap, Rule::UsedBytes, 7 * WORD + RECORD + 1, 7 * WORD + RECORD);
    }
}
