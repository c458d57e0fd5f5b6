//! Sizes of slabs, and of what describes them, as a profile chooses them. Constants only.

use core::fmt::Debug;

/// A slab with so many free blocks is worth a place in its list, however long it is.
pub(crate) const MOST_BEFORE_RELISTED: u16 = 8;

/// Sizes of slabs: the part of a profile that `slabs/` knows.
pub trait SlabTuning: Debug {
    /// Unit of addresses that the page map describes, in bytes: a power of two. A slab begins at a
    /// multiple of it.
    const GRANULE: usize;

    /// Maximum number of blocks that are carved at once.
    const CARVED_AT_ONCE: u16;

    /// Length of the blocks that are carved at once, in bytes, unless one alone is longer.
    const CARVED_BYTES: usize;

    /// A slab is relisted when one block of this number is free, and no sooner than one of
    /// `RELISTED_AT_LEAST`, or 8 blocks.
    const RELISTED_AT: u16;

    /// See [`RELISTED_AT`](SlabTuning::RELISTED_AT).
    const RELISTED_AT_LEAST: u16;

    /// Minimum number of blocks in a slab of small blocks.
    const LEAST_SMALL: usize;

    /// Minimum number of blocks in a slab of medium blocks.
    const LEAST_MEDIUM: usize;

    /// Minimum number of blocks in a slab of blocks of a page, or of two, four or eight, except the
    /// first of its class, unless memory is short. Blocks that are aligned to their size lose a
    /// whole block to the header of the next cell.
    const LEAST_ALIGNED: usize;

    /// Size of a page, in bytes.
    const PAGE: usize;

    /// Denominator of the share of itself that a slab wastes behind its last block, if it can.
    const WASTE_SHARE: usize;

    /// Maximum length of a slab that is longer than it must be, in bytes.
    const MOST: usize;

    /// Denominator of the share of the heap that a slab may take which is longer than it must be.
    const LEN_SHARE: usize;

    /// Minimum number of blocks of a slab for which there is no longer place. At least two: a full
    /// slab is relisted when one block is free, and has a live one then.
    const SHORTEST: usize;

    /// A slab of small blocks pays if the class has this many times its length in slabs and cells.
    const PAYS_SMALL: usize;

    /// A slab of medium blocks pays if the class has this many times its length in slabs and cells.
    const PAYS_MEDIUM: usize;

    /// Bytes of a class that are allocated as cells before its first slab can begin.
    const CELLS_FIRST: usize;

    /// Number of cells of a class after which a slab is considered again.
    const CELLS_BETWEEN: u8;

    /// Number of over-aligned cells of a class after which a slab is considered again.
    const ALIGNED_BETWEEN: u8;

    /// Denominator of the share of the heap that slabs on loan may take.
    const LOAN_SHARE: usize;

    /// Bytes that slabs on loan may always take.
    const LOAN_LEAST: usize;

    /// Number of words of the first leaf of the page map: a power of two.
    const FIRST_WORDS: usize;

    /// Maximum number of words of the page map that are written at once.
    const WORDS_AT_ONCE: usize;

    /// Number of descriptors in the first table.
    const FIRST_DESCRIPTORS: usize;
}

/// Slabs that are worth their memory in heaps of all sizes.
#[derive(Debug)]
pub enum UsualSlabs {}

impl SlabTuning for UsualSlabs {
    const GRANULE: usize = 2048;
    const CARVED_AT_ONCE: u16 = 16;
    const CARVED_BYTES: usize = 16 << 10;
    const RELISTED_AT: u16 = 16;
    const RELISTED_AT_LEAST: u16 = 5;
    const LEAST_SMALL: usize = 8;
    const LEAST_MEDIUM: usize = 4;
    const LEAST_ALIGNED: usize = 31;
    const PAGE: usize = 4096;
    const WASTE_SHARE: usize = 16;
    const MOST: usize = 32 << 10;
    const LEN_SHARE: usize = 256;
    const SHORTEST: usize = 3;
    // A slab that pays is little beside the class, and so is what may be unused of it. A cell of a
    // medium block wastes less than a slab does.
    const PAYS_SMALL: usize = 3;
    const PAYS_MEDIUM: usize = 8;
    const CELLS_FIRST: usize = 1024;
    const CELLS_BETWEEN: u8 = 16;
    const ALIGNED_BETWEEN: u8 = 2;
    const LOAN_SHARE: usize = 32;
    const LOAN_LEAST: usize = 0;
    const FIRST_WORDS: usize = 32;
    const WORDS_AT_ONCE: usize = 128;
    const FIRST_DESCRIPTORS: usize = 6;
}

/// Slabs of arenas: as [`UsualSlabs`], in memory that comes by the segment.
#[derive(Debug)]
pub enum ArenaSlabs {}

impl SlabTuning for ArenaSlabs {
    const GRANULE: usize = UsualSlabs::GRANULE;
    const CARVED_AT_ONCE: u16 = UsualSlabs::CARVED_AT_ONCE;
    const CARVED_BYTES: usize = 4 << 10;
    const RELISTED_AT: u16 = UsualSlabs::RELISTED_AT;
    const RELISTED_AT_LEAST: u16 = UsualSlabs::RELISTED_AT_LEAST;
    const LEAST_SMALL: usize = UsualSlabs::LEAST_SMALL;
    const LEAST_MEDIUM: usize = UsualSlabs::LEAST_MEDIUM;
    const LEAST_ALIGNED: usize = UsualSlabs::LEAST_ALIGNED;
    const PAGE: usize = UsualSlabs::PAGE;
    const WASTE_SHARE: usize = UsualSlabs::WASTE_SHARE;
    const MOST: usize = UsualSlabs::MOST;
    const LEN_SHARE: usize = UsualSlabs::LEN_SHARE;
    const SHORTEST: usize = UsualSlabs::SHORTEST;
    const PAYS_SMALL: usize = UsualSlabs::PAYS_SMALL;
    const PAYS_MEDIUM: usize = UsualSlabs::PAYS_MEDIUM;
    const CELLS_FIRST: usize = UsualSlabs::CELLS_FIRST;
    const CELLS_BETWEEN: u8 = UsualSlabs::CELLS_BETWEEN;
    const ALIGNED_BETWEEN: u8 = UsualSlabs::ALIGNED_BETWEEN;
    // An arena's memory comes by the segment. Few blocks of a thread, replaced all the time, do not
    // pay for slabs, and would be cells.
    const LOAN_SHARE: usize = 12;
    const LOAN_LEAST: usize = 128 << 10;
    const FIRST_WORDS: usize = UsualSlabs::FIRST_WORDS;
    const WORDS_AT_ONCE: usize = UsualSlabs::WORDS_AT_ONCE;
    const FIRST_DESCRIPTORS: usize = UsualSlabs::FIRST_DESCRIPTORS;
}

/// Slabs of a few blocks that begin early, for tests of all short programs: a heap of a
/// few KiB reaches every state of a slab within some operations.
#[derive(Debug)]
pub enum MiniatureSlabs {}

impl SlabTuning for MiniatureSlabs {
    const GRANULE: usize = 64;
    const CARVED_AT_ONCE: u16 = 2;
    const CARVED_BYTES: usize = 16 << 10;
    const RELISTED_AT: u16 = 2;
    const RELISTED_AT_LEAST: u16 = 2;
    const LEAST_SMALL: usize = 3;
    const LEAST_MEDIUM: usize = 2;
    const LEAST_ALIGNED: usize = 3;
    const PAGE: usize = 256;
    const WASTE_SHARE: usize = 4;
    const MOST: usize = 512;
    const LEN_SHARE: usize = 4;
    const SHORTEST: usize = 2;
    const PAYS_SMALL: usize = 1;
    const PAYS_MEDIUM: usize = 1;
    const CELLS_FIRST: usize = 0;
    const CELLS_BETWEEN: u8 = 1;
    const ALIGNED_BETWEEN: u8 = 1;
    const LOAN_SHARE: usize = 4;
    const LOAN_LEAST: usize = 0;
    const FIRST_WORDS: usize = 4;
    const WORDS_AT_ONCE: usize = 8;
    const FIRST_DESCRIPTORS: usize = 2;
}
