//! How long a block is, for cases that say to the byte what fits where.
//!
//! ```text
//!   asked for          taken                                  a cell
//!   ┌──────┐           ┌──────┬─────────────────────┐         ┌────────┬───────────────────┬──────────┐
//!   │      │  ──────►  │      │ record              │ ──────► │ header │ what is taken     │ rounding │
//!   └──────┘           └──────┴─────────────────────┘         └────────┴───────────────────┴──────────┘
//!                               with the profile `checked`
//! ```

/// What a header takes.
pub const WORD: usize = size_of::<usize>();

/// The unit of cells' sizes, and the alignment of payloads.
pub const UNIT: usize = 2 * WORD;

/// With the profile `checked`, a record stands at the end of each block,
pub const RECORD: usize = if cfg!(feature = "checked") { 2 * WORD } else { 0 };

/// and in front of it there are so many bytes at least.
const LEAST: usize = RECORD;

/// The most by which a block is longer than its caller asked for, before it is rounded.
pub const OVERHEAD: usize = LEAST + RECORD;

/// Bytes that the heap takes for a block of so many.
pub const fn taken_for(asked: usize) -> usize {
    asked + LEAST.saturating_sub(asked) + RECORD
}

/// What to ask for, so that the heap takes so many bytes.
pub const fn asking_for(taken: usize) -> usize {
    taken - RECORD
}

/// The cell of a block, if it is one.
pub const fn cell_for(asked: usize) -> usize {
    let cell = (taken_for(asked) + WORD).next_multiple_of(UNIT);
    if cell < 2 * UNIT { 2 * UNIT } else { cell }
}

/// Bytes that a caller may use of a block for which it asked so many, and the heap `holds` so many:
/// all but with a record behind them.
pub const fn usable(asked: usize, holds: usize) -> usize {
    if cfg!(feature = "checked") { asked } else { holds }
}
