//! What must hold in a heap, rule by rule, and the report of one that does not.

use core::fmt;

/// What must hold in a heap. Each rule tells what [`Corruption::expected`] and
/// [`Corruption::found`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rule {
    /// The break is at or above the end of our memory. (Addresses.) The only rule that others break
    /// by moving the break; after it the heap has stopped: it serves nothing, and touches
    /// nothing.
    BreakBelowHeap,
    /// A cell is at least the smallest one and ends at or before its region's fence; so is a hole,
    /// which ends before the last. (Sizes; expected: the most that is possible.)
    CellSize,
    /// A header tells whether the cell before it is used. (1: used.)
    PrevUsed,
    /// A free cell has its size in its last word. (Sizes.)
    SizeAtEnd,
    /// The cell behind a free one is used. (1: used.)
    FreeNeighbours,
    /// A region ends with a fence; the last one has no size. (The header word.)
    Fence,
    /// The word in front of a region's first cell leads to its fence, and to no place before or
    /// behind it. (Bytes from the first cell to the fence; expected: by the walk, or the most
    /// that is possible.)
    Region,
    /// The break's region is one of the heap's. (Addresses of its fence; found: 0.)
    BreakRegion,
    /// The free cell before the fence of the break's region, and only that one, is the top.
    /// (Addresses; 0: there is none.)
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
    /// A part of the page map is a used cell that is long enough for it. (Bytes; expected: what it
    /// needs.)
    Leaf,
    /// Every part of the page map is a used cell. (Numbers; found: by the walk.)
    Leaves,
    /// The page map knows the pages of a run as such, and no others. (Of a page: classes; of a part
    /// of the map: pages, expected: by the walk.)
    PageMap,
    /// A part of the page map counts the runs in its reach, at least one. (Numbers; expected: by
    /// the walk.)
    LeafCount,
    /// A run is a used cell whose payload begins at a multiple of its length. (Addresses, or sizes
    /// of the cell.)
    RunCell,
    /// A free block of a run lies at a block's place in it, below those that were never used, and
    /// is listed once. (Bytes from the run's start; expected: 0, the end of the list.)
    RunList,
    /// Live, free, and never used blocks are all blocks of a run. (Numbers; or found: the place of
    /// the first one never used, if it is none.)
    RunBlocks,
    /// The run before a run with a free block in its class's list leads to it. (Addresses; 0:
    /// none.)
    RunLinks,
    /// Every run with a free block is in its class's list. (Numbers; expected: by the walk.)
    Partial,
    /// A run without live blocks is alone in its list. (1: it is not.)
    EmptyRun,
    /// The counter of runs of a class. (Numbers; found: by the walk.)
    Runs,
    /// The front cache has room for the blocks that it keeps. (Numbers of one class; at: the first
    /// block.)
    CacheRoom,
    /// The list of a class in the front cache has as many blocks as were put in. (Numbers; or
    /// addresses, expected: 0, the end of the list.)
    CacheLinks,
    /// A block in the front cache was taken from a run, or is a used cell, and suits the class.
    /// (Size of the class, address of the block; at: the block before it; 0: none.)
    CacheBlock,
    /// No block is in two lists of the front cache. (Classes.)
    CacheTwice,
    /// A kept cell is a used cell, and its size is of its list's class. (The class of the bins,
    /// address of the cell; at: the cell before it; 0: none.)
    KeptCell,
    /// A list of kept cells has as many as were put in. (Numbers; or addresses, expected: 0, the
    /// end of the list. At: the first cell, or the last one.)
    KeptLinks,
    /// The counter of bytes in kept cells. (Bytes; found: by the walk.)
    KeptBytes,
    /// Each unit of an arena's segments is the arena's in the map of segments, and nothing else is.
    /// (Numbers of owners; 0: nobody. At: the unit.)
    SegmentOwner,
    /// In the map of segments each unit of a segment has its number. (Units from the segment's
    /// start. At: the unit.)
    SegmentUnit,
    /// A page of a segment that lies in no run is said to lie in none. (What the segment says of
    /// it: 0, or a class, plus one. At: the page.)
    NoRun,
    /// A part of the map of segments lies in the parent, and is there once. (Bytes; expected: its
    /// length; found: what there is of the parent, or 0: it was there before.)
    SegmentMap,
    /// The check bits of a header. (The header word; expected: with the bits that belong to the
    /// others.)
    #[cfg(feature = "checked")]
    CheckBits,
    /// What is behind the caller's bytes. (The first wrong byte, or the word that seals size and
    /// alignment; or the length of a block that is too short for a record, and the least.)
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
            Self::KeptCell => "kept cell",
            Self::KeptLinks => "end of a list of kept cells",
            Self::KeptBytes => "counter of bytes in kept cells",
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
    /// Address of the cell, or of the word, that breaks the rule; for a counter, of the heap's
    /// first cell.
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
        write!(
            f,
            "heap broken at {at:#x}: {}: expected {expected:#x}, found {found:#x}",
            rule.text()
        )
    }
}

impl core::error::Error for Corruption {}

/// One comparison of a check.
pub(in crate::heap) fn verify(
    at: usize,
    rule: Rule,
    expected: usize,
    found: usize,
) -> Result<(), Corruption> {
    if expected == found { Ok(()) } else { Err(Corruption { at, rule, expected, found }) }
}
