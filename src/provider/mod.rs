//! What the heap needs from whoever runs it.
//!
//! ```text
//!            Heap, SimpleHeap          ask:  "move the end of my memory"
//!                   │
//!                 Break                this trait
//!        ┌──────────┼───────────────┐
//!   FixedBreak   a kernel's break   a process's brk
//! ```
//!
//! A provider of whole mappings ([`Map`]) beside the break is optional: [`NoMap`] for those who
//! have none.
//!
//! A provider hands out *addresses* by moving one end up and down, as `sbrk` does. Whether memory
//! stands behind them at once, or page by page on first touch, is its own affair. The heap has
//! three rules for it:
//!
//! 1. It is called with the heap's lock held, so it must not allocate from that heap.
//! 2. Whatever it grants is the heap's until it is given back by [`Break::shrink`].
//! 3. Others may move the same break between two calls. The heap notices from the address of the
//!    next grant.

#[cfg(not(feature = "tiny"))]
mod cpu;
mod fixed;
mod map;
mod optional;

#[cfg(not(feature = "tiny"))]
pub(crate) use cpu::Hold;
#[cfg(not(feature = "tiny"))]
pub use cpu::{Cpu, SingleCpu, SlotWord};
pub use fixed::FixedBreak;
pub use map::{Map, MapError, NoMap};

use core::fmt;
use core::ptr::NonNull;

/// Moves the end of one region of memory, as `sbrk` does.
///
/// An `Option` of a break is one, too: `None`, until the memory is known that it moves in, grants
/// nothing.
///
/// # Safety
///
/// The heap builds its cells in what [`grow`](Break::grow) returns. An implementer guarantees:
///
/// * A granted range is readable and writable, and nobody else uses it until it is given back. (A
///   range that is backed on first touch is fine: the access succeeds when it is made.)
/// * Grants that touch are one piece of memory: a pointer into one may be moved into the next.
/// * The range does not wrap round the address space and is at most `isize::MAX` bytes long.
/// * After an `Ok` from [`shrink`](Break::shrink) exactly the top `by` bytes are gone; after an
///   `Err` from either method nothing has changed.
/// * If [`ZEROED`](Break::ZEROED) is true, every byte of a grant reads as zero until it is written.
pub unsafe trait Break {
    /// Whether newly granted bytes read as zero.
    const ZEROED: bool;

    /// Whether this is no break in truth, but hands out pieces of memory anywhere, above or below
    /// each other. Then no two of them touch, [`end`](Break::end) is the end of the last one,
    /// and what is given back is a whole piece, by [`give_back`](Break::give_back).
    const SCATTERED: bool = false;

    /// The step, in bytes, in which this provider likes to be moved: a power of two, such as the
    /// page size. The heap rounds its requests up to it, and comes back with the exact amount
    /// if the rounded one is refused.
    fn granule(&self) -> usize;

    /// Where the break is now: `sbrk(0)`. The first address that is *not* granted.
    fn end(&self) -> *mut u8;

    /// Moves the break up by at least `by` bytes and returns the range that was granted.
    ///
    /// The range starts where the break stood. It may be longer than asked.
    ///
    /// # Errors
    ///
    /// Says why nothing was granted. Nothing has changed.
    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError>;

    /// Moves the break down by `by` bytes and takes them back. A provider may refuse.
    ///
    /// # Errors
    ///
    /// Says why the break stayed where it was. The memory is still the caller's.
    ///
    /// # Safety
    ///
    /// The `by` bytes below [`end`](Break::end) were granted to the caller, who no longer uses
    /// them.
    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError>;

    /// Takes a whole piece back. Called only if the provider is [scattered](Break::SCATTERED).
    ///
    /// # Safety
    ///
    /// `piece` is what one [`grow`](Break::grow) returned, and the caller no longer uses it.
    unsafe fn give_back(&mut self, piece: NonNull<[u8]>) {
        let _ = piece;
    }
}

/// Why the break did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakError {
    /// The region that the break moves in has no addresses left (or none below, for a shrink).
    OutOfAddresses,
    /// There are addresses, but no memory to stand behind them.
    OutOfMemory,
    /// The provider does not do this: it cannot shrink, for example, or somebody else's memory is
    /// in the way.
    Refused,
    /// The break was found below memory that the heap still holds: somebody took it. The heap has
    /// stopped.
    MemoryTaken,
}

impl fmt::Display for BreakError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfAddresses => "the break's region has no addresses left in that direction",
            Self::OutOfMemory => "no memory to stand behind a higher break",
            Self::Refused => "the provider refused to move the break",
            Self::MemoryTaken => "the break lies below memory that the heap holds",
        })
    }
}

impl core::error::Error for BreakError {}
