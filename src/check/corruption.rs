//! Rules: the invariants of a heap, and the report of a broken one.

use core::fmt;

use crate::texts::texts;

texts! {
    /// Invariant of a heap.
    ///
    /// Each variant says what [`at`](Corruption::at), [`expected`](Corruption::expected) and
    /// [`found`](Corruption::found) are in a [`Corruption`]. The *walk* is the check's own walk
    /// over all cells, from the lowest region to the highest.
    pub enum Rule;

    /// The break is at or above the end of the heap's memory.
    ///
    /// This is the only rule that foreign code can break without a write to the heap's memory: it
    /// moves the break down. The heap has then *stopped*: it serves no request and reads and writes
    /// no memory.
    ///
    /// `at` and `found`: address of the break. `expected`: lowest address that is allowed.
    BreakBelowHeap = "the break lies below the heap's end",
    /// A cell has at least the minimum size and ends at or below its region's fencepost. A hole has
    /// at least that size too, and ends at or below the last fencepost and the first cell of the
    /// break's region; at that cell exactly, if no third region exists.
    ///
    /// `at`: address of the header. `expected`: maximum size, in bytes. `found`: size in the
    /// header.
    CellSize = "size of a cell",
    /// `PREV_USED` of a header says if the cell before it is used.
    ///
    /// `at`: address of the header. `expected`: 1 if the cell before it is used or there is none,
    /// else 0. `found`: the header's bit.
    PrevUsed = "\"previous used\" in a header",
    /// The last word of a free cell holds its size.
    ///
    /// `at`: address of the free cell. `expected`: size in its header, in bytes. `found`: its last
    /// word.
    SizeAtEnd = "size at the end of a free cell",
    /// The cell behind a free cell is used.
    ///
    /// `at`: address of the cell behind. `expected`: 1 for used. `found`: 0 for free.
    FreeNeighbours = "use of the cell behind a free one",
    /// A region ends with a fencepost, and the size in the last fencepost is 0.
    ///
    /// `at`: address of the fencepost. `expected`: 0. `found`: the header's word if it is no
    /// fencepost, or the size in the last fencepost.
    Fencepost = "header of the last fencepost",
    /// The head in front of a region's first cell holds the length of all its cells.
    ///
    /// `at`: address of the first cell. `expected`: bytes from the first cell to the first
    /// fencepost that the walk found, or the maximum. `found`: length in the head, in bytes.
    Region = "length of a region",
    /// The region of the break is one of the heap's regions.
    ///
    /// `at`: address of the lowest cell. `expected`: address of the fencepost of the break's
    /// region. `found`: 0, because the walk did not come to that region.
    BreakRegion = "fencepost of the break's region",
    /// The counters of granted and added bytes are the length of all regions.
    ///
    /// `at`: address of the lowest cell. `expected`: sum of the counters, in bytes. `found`: length
    /// of all regions, by the walk.
    RegionBytes = "bytes of all regions",
    /// The free cell before the fencepost of the break's region is the top, and no other cell is.
    ///
    /// `at`: address of the lowest cell. `expected`: address of that free cell, 0 if there is none.
    /// `found`: address of the heap's top, 0 if there is none.
    Top = "address of the top",
    /// The list of a bin leads to each free cell of its class, and to no other place.
    ///
    /// If the link to a free cell is wrong, `at` and `expected` are the address of that cell, and
    /// `found` is the address that the link leads to, 0 if the list ends there. If a link leads out
    /// of the heap, or a list has more cells than the walk found, `at` is the address of the cell
    /// with the link, 0 for the head of the list, `expected` is 0, and `found` is the link.
    Links = "link of a free cell",
    /// A cell in a bin is free, and its size is of that bin's class.
    ///
    /// `at`: address of the cell. `expected`: class of the bin. `found`: class of the cell, or the
    /// number of classes if the cell is used or too small.
    Class = "size class of a cell in a bin",
    /// The map of bins has the bit of a bin if and only if the bin has a cell.
    ///
    /// `at`: address of the bin's first cell, 0 if there is none. `expected`: 1 if the bin has a
    /// cell, else 0. `found`: the bit.
    Map = "bit in the map of bins",
    /// Every free cell except the top is in a bin.
    ///
    /// `at`: address of the lowest cell. `expected`: number of these cells, by the walk. `found`:
    /// number of cells in all bins.
    Binned = "free cells in bins",
    /// The counter of bytes in used cells is right.
    ///
    /// `at`: address of the lowest cell. `expected`: the counter. `found`: payload of all used
    /// cells in bytes, by the walk.
    UsedBytes = "counter of bytes in used cells",
    /// A part of the page map, or a table of descriptors, lies in a used cell that is long enough.
    ///
    /// `at`: address of the part. `expected`: its length, in bytes. `found`: bytes that are
    /// available there.
    Leaf = "length of a part of the page map",
    /// Every part of the page map, and every table of descriptors, is the payload of a used cell.
    ///
    /// `at`: address of the lowest cell. `expected`: number of parts and tables. `found`: number of
    /// those that the walk came to.
    Leaves = "number of parts of the page map",
    /// The page map leads from each granule of a slab to the slab's descriptor, and from every
    /// other granule to the descriptor that stands for no slab, which is as it was written.
    ///
    /// If a granule of a slab is wrong, `at` is its address, and `expected` and `found` are
    /// addresses of descriptors; `expected` is 0 if `found` is no descriptor. If the descriptor
    /// that stands for no slab is wrong, `at` is its address, `expected` is 1, and `found` is 0. If
    /// the number of granules is wrong, `at` is the address of the lowest cell, `expected` is the
    /// number of granules of all slabs, by the walk, and `found` is the number by the map.
    ///
    /// In an arena, each segment has a descriptor that stands for no slab.
    PageMap = "granules of slabs in the page map",
    /// A table of descriptors counts those that are in use.
    ///
    /// `at`: address of the table. `expected`: number of descriptors in use. `found`: the counter.
    Descriptors = "descriptors of a table that are in use",
    /// A slab is the payload of a used cell, is aligned for its class, and fills the cell.
    ///
    /// If the address is wrong, `at` and `found` are the address of the cell's payload, and
    /// `expected` is the address in the descriptor, or the aligned address below. If the length is
    /// wrong, `at` is the address of the slab, `expected` is its length, in bytes, and `found` is
    /// the size of its cell.
    SlabCell = "cell of a slab",
    /// A list of free blocks of a slab leads from block to block that were carved, and ends: its
    /// own list, and the list of blocks at hand.
    ///
    /// `at`: address of the slab. `expected`: 0. `found`: address that is no such block, or that
    /// makes the list longer than the slab has blocks. If a class without a listed slab has blocks
    /// at hand, `at` and `found` are the address of the first.
    SlabList = "link of a free block in a slab",
    /// The blocks of a slab are counted right: the carved ones are not more than all, and those
    /// that are not in the slab's list are as many as its counter says.
    ///
    /// `at`: address of the slab. `expected`: number of blocks that the descriptor implies.
    /// `found`: number of blocks by the list and the counter.
    SlabBlocks = "number of blocks in a slab",
    /// The list of a class leads to each of its slabs that may have a free block, and to no other
    /// place.
    ///
    /// If the link to a slab is wrong, `at` is the address of that slab, `expected` is the address
    /// of its descriptor, and `found` is the address that the link leads to, 0 if the list ends
    /// there. If a link leads to no such slab, or the list has too many, `at` is the address of the
    /// descriptor with the link, 0 for the head of the list, `expected` is 0, and `found` is the
    /// link.
    SlabLinks = "link of a slab with a free block",
    /// Every slab that may have a free block is in the list of its class.
    ///
    /// `at`: address of the lowest cell. `expected`: number of these slabs, by the walk. `found`:
    /// number of slabs in all lists.
    Listed = "slabs with a free block in lists",
    /// A slab without live blocks is alone in the list of its class, and is counted.
    ///
    /// If it has neighbours, `at` is the address of the slab, and `expected` and `found` say
    /// differently whether it is alone. If the counter is wrong, `at` is the address of the lowest
    /// cell, `expected` is the counter, and `found` is the number of such slabs, by the walk.
    EmptySlab = "neighbours of an empty slab in its list",
    /// The counters of slabs are right: the number of all, and the granules of each class.
    ///
    /// `at`: address of the lowest cell. `expected`: the counter. `found`: number by the walk.
    Slabs = "counter of slabs",
    /// The counter of slabs on loan is right.
    ///
    /// `at`: address of the lowest cell. `expected`: the counter, in granules. `found`: granules of
    /// the slabs of all classes that are on loan.
    Loan = "length of slabs on loan",
    /// The segment map has the arena as the owner of each unit of its segments, and of no other
    /// unit.
    ///
    /// `at`: address of the unit. `expected`: number of the arena, 0 for none. `found`: number in
    /// the map.
    SegmentOwner = "owner of a unit in the map of segments",
    /// The segment map has for each unit its number in its segment, and 0 for a unit without an
    /// owner.
    ///
    /// `at`: address of the unit. `expected`: number of units from the segment's start, or
    /// 0. `found`: number in the map.
    SegmentUnit = "number of a unit in the map of segments",
    /// The segment map has for each unit the length of its segment.
    ///
    /// `at`: address of the unit. `expected`: number of units of the segment. `found`: number in
    /// the map.
    SegmentLen = "length of a segment in the map of segments",
    /// The segment map leads from each unit to the words of its segment.
    ///
    /// `at`: address of the unit. `expected` and `found`: addresses, as if the first word were that
    /// of address 0.
    SegmentWords = "words of a segment in the map of segments",
    /// The class of a granule of a segment is that of the slab in which it lies.
    ///
    /// `at`: address of the granule. `expected`: class of the slab, plus 1. `found`: the class
    /// byte.
    SegmentClass = "class of a granule in a segment",
    /// A leaf of the segment map lies in the parent heap, and is in the map once.
    ///
    /// `at`: address of the leaf. `expected`: length of a leaf, in bytes. `found`: bytes that are
    /// available there, or 0 if the map has the leaf twice.
    SegmentMap = "part of the map of segments",
    /// The check bits of a header belong to its other bits and to its address. Checked heaps only.
    ///
    /// `at`: address of the header. `expected`: its word with the right check bits. `found`: its
    /// word.
    CheckBits = "check bits of a header",
    /// The bytes behind a block's end, and the record there, are as the heap wrote them. Checked
    /// heaps only.
    ///
    /// If a byte between the block's end and its record is wrong, `at` is the address of the byte,
    /// and `expected` and `found` are bytes. If the record is wrong, `at` is the address of its
    /// second word, and `expected` and `found` are values of that word. If the cell is too short
    /// for a record, `at` is the address of the cell, and `expected` and `found` are the minimum
    /// payload and the payload, in bytes.
    Record = "bytes behind the end of a block",
}

/// Report of a broken invariant: the rule, the address, and the expected and the found value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Corruption {
    /// Address of the cell or word that breaks the rule; for a counter, of the heap's lowest cell.
    pub at: usize,
    /// Rule that is broken.
    pub rule: Rule,
    /// Expected value: see [`Rule`].
    pub expected: usize,
    /// Value in memory, or by the walk: see [`Rule`].
    pub found: usize,
}

impl Corruption {
    /// Returns the report of a broken rule.
    pub(crate) const fn new(at: usize, rule: Rule, expected: usize, found: usize) -> Self {
        Self { at, rule, expected, found }
    }
}

impl fmt::Display for Corruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, rule, expected, found } = self;
        write!(f, "heap broken at {at:#x}: {rule}: expected {expected:#x}, found {found:#x}")
    }
}

impl core::error::Error for Corruption {}

/// Compares an expected with a found value.
///
/// # Errors
///
/// The report, if the values differ.
pub(crate) fn verify(
    at: usize,
    rule: Rule,
    expected: usize,
    found: usize,
) -> Result<(), Corruption> {
    if expected == found { Ok(()) } else { Err(Corruption::new(at, rule, expected, found)) }
}
