//! The profiles of a heap as the suites see them: which parts a heap has, and how long a block is,
//! for cases that say to the byte what fits where.
//!
//! ```text
//!   asked for          taken                                  a cell
//!   ┌──────┐           ┌──────┬─────────────────────┐         ┌────────┬───────────────────┬──────────┐
//!   │      │  ──────►  │      │ record              │ ──────► │ header │ what is taken     │ rounding │
//!   └──────┘           └──────┴─────────────────────┘         └────────┴───────────────────┴──────────┘
//!                               of a checked heap
//! ```

use brkalloc::inner::Miniature;
use brkalloc::{Checked, Plain, Profile, Small, Usual};

/// Size of a header, in bytes.
pub const WORD: usize = size_of::<usize>();

/// The unit of cells' sizes, and the alignment of payloads, in bytes.
pub const UNIT: usize = 2 * WORD;

/// A profile that cases run with. `#[case(Usual, Plain)]` tells for which profiles a case holds.
pub trait Variant: Profile {
    /// The heap finds a caller's mistakes, and a record follows each block.
    const GUARDED: bool = false;

    /// Small blocks come from slabs, not from cells alone.
    const LAYERED: bool = false;

    /// Bins are coarse: a class goes up to twice its smallest size, and a search looks at sixteen
    /// cells of one class.
    const COARSE: bool = false;

    /// Random programs are fewer than for the default profile by this factor.
    const RARER: u32;

    /// Size of the record at the end of each block, in bytes.
    const RECORD: usize = if Self::GUARDED { 2 * WORD } else { 0 };

    /// Minimum number of bytes in front of the record.
    const LEAST: usize = Self::RECORD;

    /// Maximum excess of a block over the request, in bytes, before it is rounded.
    const OVERHEAD: usize = Self::LEAST + Self::RECORD;

    /// Returns the bytes that the heap takes for a block of `asked` bytes.
    fn taken_for(asked: usize) -> usize {
        asked.max(Self::LEAST) + Self::RECORD
    }

    /// Returns the request for which the heap takes `taken` bytes.
    fn asking_for(taken: usize) -> usize {
        taken - Self::RECORD
    }

    /// Returns the size of the cell of a block of `asked` bytes, if it is a cell.
    fn cell_for(asked: usize) -> usize {
        (Self::taken_for(asked) + WORD).next_multiple_of(UNIT).max(2 * UNIT)
    }

    /// Returns the bytes that a caller may use of a block of `asked` bytes for which the heap holds
    /// `held` bytes: all, or those in front of the record.
    fn usable(asked: usize, held: usize) -> usize {
        if Self::GUARDED { asked } else { held }
    }
}

impl Variant for Usual {
    const LAYERED: bool = true;
    const RARER: u32 = 1;
}

impl Variant for Miniature {
    const LAYERED: bool = true;
    const RARER: u32 = 2;
}

impl Variant for Plain {
    const RARER: u32 = 2;
}

impl Variant for Small {
    const COARSE: bool = true;
    const RARER: u32 = 4;
}

impl<P: Variant> Variant for Checked<P> {
    const GUARDED: bool = true;
    const LAYERED: bool = P::LAYERED;
    const COARSE: bool = P::COARSE;
    const RARER: u32 = 8;
}
