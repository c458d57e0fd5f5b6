//! Sizes of slabs, and of what describes them, as a profile chooses them. Constants only.

use core::fmt::Debug;

/// A slab with so many free blocks is worth a place in its list, however long it is.
pub(crate) const MOST_BEFORE_RELISTED: u16 = 8;

/// Sizes of slabs: the part of a profile that `slabs/` knows. The defaults are those of a heap over
/// a break.
pub trait SlabTuning: Debug {
    /// Unit of addresses that the page map describes, in bytes: a power of two. A slab begins at a
    /// multiple of it.
    const GRANULE: usize = 2048;

    /// Maximum number of blocks that are carved at once.
    const CARVED_AT_ONCE: u16 = 16;

    /// Length of the blocks that are carved at once, in bytes, unless one alone is longer.
    const CARVED_BYTES: usize = 16 << 10;

    /// A slab is relisted when one block of this number is free, and no sooner than one of
    /// `RELISTED_AT_LEAST`, or 8 blocks.
    const RELISTED_AT: u16 = 16;

    /// See [`RELISTED_AT`](SlabTuning::RELISTED_AT).
    const RELISTED_AT_LEAST: u16 = 5;

    /// Minimum number of blocks in a slab of small blocks.
    const LEAST_SMALL: usize = 8;

    /// Minimum number of blocks in a slab of medium blocks.
    const LEAST_MEDIUM: usize = 4;

    /// Minimum number of blocks in a slab of blocks of a page, or of two, four or eight, except the
    /// first of its class, unless memory is short. Blocks that are aligned to their size lose a
    /// whole block to the header of the next cell.
    const LEAST_ALIGNED: usize = 31;

    /// Size of a page, in bytes.
    const PAGE: usize = 4096;

    /// Denominator of the share of itself that a slab wastes behind its last block, if it can.
    const WASTE_SHARE: usize = 16;

    /// Maximum length of a slab that is longer than it must be, in bytes.
    const MOST: usize = 32 << 10;

    /// Denominator of the share of the heap that a slab may take which is longer than it must be.
    const LEN_SHARE: usize = 256;

    /// Minimum number of blocks of a slab for which there is no longer place. At least two: a full
    /// slab is relisted when one block is free, and has a live one then.
    const SHORTEST: usize = 3;

    /// A slab of small blocks pays if the class has this many times its length in slabs and cells:
    /// it is little beside the class, and so is what may be unused of it.
    const PAYS_SMALL: usize = 3;

    /// A slab of medium blocks pays if the class has this many times its length in slabs and cells.
    /// A cell of a medium block wastes less than a slab does.
    const PAYS_MEDIUM: usize = 8;

    /// Bytes of a class that are allocated as cells before its first slab can begin.
    const CELLS_FIRST: usize = 1024;

    /// Number of cells of a class after which a slab is considered again.
    const CELLS_BETWEEN: u8 = 16;

    /// Number of over-aligned cells of a class after which a slab is considered again.
    const ALIGNED_BETWEEN: u8 = 2;

    /// Denominator of the share of the heap that slabs on loan may take.
    const LOAN_SHARE: usize = 128;

    /// Bytes that slabs on loan may take if the provider may still grant 64 times as much.
    const LOAN_LEAST: usize = 32 << 10;

    /// Denominator of the share of loans that slabs of more than a granule may take.
    const LOAN_LONGER: usize = 1;

    /// A slab of small blocks pays at its own length while the provider may still grant so many
    /// times what it has granted; 0: never.
    const EARLY_AHEAD: usize = 0;

    /// A slab that is longer than it must be is at most this share of all slabs of its class.
    const CLASS_SHARE: usize = 4;

    /// Number of words of the first leaf of the page map: a power of two.
    const FIRST_WORDS: usize = 32;

    /// Maximum number of words of the page map that are written at once.
    const WORDS_AT_ONCE: usize = 128;

    /// Number of descriptors in the first table.
    const FIRST_DESCRIPTORS: usize = 6;
}

/// Slabs of a heap over a break.
#[derive(Debug)]
pub enum UsualSlabs {}

impl SlabTuning for UsualSlabs {
    const LOAN_LEAST: usize = 24 << 10;
    const LOAN_LONGER: usize = 2;
    // Where each byte of code counts, there is seldom so much memory.
    const EARLY_AHEAD: usize = if usize::BITS == 32 { 0 } else { 16 };
    const CLASS_SHARE: usize = 8;
}

/// Slabs of arenas, in memory that comes by the segment. Few blocks of a thread, replaced all the
/// time, do not pay for slabs, and would be cells: so more slabs are on loan.
#[derive(Debug)]
pub enum ArenaSlabs {}

impl SlabTuning for ArenaSlabs {
    const CARVED_BYTES: usize = 4 << 10;
    const LOAN_SHARE: usize = 12;
    const LOAN_LEAST: usize = 128 << 10;
}

/// Slabs of a few blocks that begin early, for tests of all short programs: a heap of a
/// few KiB reaches every state of a slab within some operations.
#[derive(Debug)]
pub enum MiniatureSlabs {}

impl SlabTuning for MiniatureSlabs {
    const GRANULE: usize = 64;
    const CARVED_AT_ONCE: u16 = 2;
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
    const FIRST_WORDS: usize = 4;
    const WORDS_AT_ONCE: usize = 8;
    const FIRST_DESCRIPTORS: usize = 2;
}
