//! Regions: contiguous memory, tiled by cells, that records where it begins and ends.
//!
//! ```text
//!   start                                                                  end
//!   ┌╌╌╌╌╌╌╌┬──────┬───────┬──────┬───────┬────────────┬───────────┬╌╌╌╌╌╌╌┐
//!   ╎ slack │ head │ first │ cell │ cell  │    cell    │ fencepost │ slack ╎
//!   └╌╌╌╌╌╌╌┴───┬──┴───────┴──────┴───────┴────────────┴─────┬─────┴╌╌╌╌╌╌╌┘
//!               └─ bytes from `first` to `fencepost` ───────►└─ bytes to the next region's cells
//! ```
//!
//! *Slack* is the bytes at either end that are too few for a cell. A region that is added later and
//! touches this one can use them, so the region records them: two bits of the head say at which
//! ends there is slack, and the slack byte nearest to the cells says how many bytes.

use core::fmt;
use core::ptr::NonNull;

use super::{CELL_ALIGN, Cell, MIN_CELL, WORD};

/// Bit of a head: the region has slack in front of the head.
const SLACK_AT_START: usize = 1;

/// Bit of a head: the region has slack behind the fencepost.
const SLACK_AT_END: usize = 2;

// The two bits are 0 in every length, and the length of a slack fits into a byte.
const _: () = assert!(SLACK_AT_START + SLACK_AT_END < CELL_ALIGN && MIN_CELL <= u8::MAX as usize);

/// Bounds of one region.
///
/// # Invariants
///
/// * `first < fencepost`, or `first = fencepost` in a region that was given back down to its
///   fencepost
/// * `start + WORD ≤ first < start + WORD + MIN_CELL`: room for the head
/// * `fencepost + WORD ≤ end < fencepost + WORD + MIN_CELL`
pub(crate) struct Region<F> {
    /// Address of the first byte.
    pub(crate) start: usize,
    /// Lowest cell.
    pub(crate) first: Cell<F>,
    /// Fencepost: the lone header that ends the region.
    pub(crate) fencepost: Cell<F>,
    /// Address behind the last byte.
    pub(crate) end: usize,
}

impl<F> Clone for Region<F> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<F> Copy for Region<F> {}

impl<F> PartialEq for Region<F> {
    fn eq(&self, other: &Self) -> bool {
        let parts = |region: &Self| (region.start, region.first, region.fencepost, region.end);
        parts(self) == parts(other)
    }
}

impl<F> fmt::Debug for Region<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { start, first, fencepost, end } = self;
        write!(f, "Region({start:#x}..{end:#x}, cells {first:?}..{fencepost:?})")
    }
}

impl<F> Region<F> {
    /// Writes the region's bounds into its head and slack, for [`read`](Region::read).
    ///
    /// # Safety
    ///
    /// The whole region is memory of this heap, and no other region overlaps it.
    pub(crate) unsafe fn record(&self) {
        let mut head = self.length();
        let slack_at_start = self.first.addr() - WORD - self.start;
        let slack_at_end = self.end - (self.fencepost.addr() + WORD);
        if slack_at_start > 0 {
            head |= SLACK_AT_START;
            // SAFETY: the region is the heap's (this method's clause), and has at least one byte of
            // slack in front of its head. The slack is below `MIN_CELL`, so it fits into a byte.
            unsafe { byte_before_head(self.first).write(slack_at_start as u8) };
        }
        if slack_at_end > 0 {
            head |= SLACK_AT_END;
            // SAFETY: the region is the heap's (this method's clause), and has at least one byte of
            // slack behind its fencepost. The slack is below `MIN_CELL`, so it fits into a byte.
            unsafe { byte_behind_fencepost(self.fencepost).write(slack_at_end as u8) };
        }
        // SAFETY: the type's invariant leaves room for the head, and the region is the heap's: this
        // method's clause.
        unsafe { head_of(self.first).write(head) };
    }

    /// Returns the region whose lowest cell is `first`.
    ///
    /// # Safety
    ///
    /// `first` is the first cell of a region that was [recorded](Region::record), and whose bounds
    /// have not changed since.
    pub(crate) unsafe fn read(first: Cell<F>) -> Self {
        // SAFETY: `record` wrote the head (this function's clause).
        let head = unsafe { head_of(first).read() };
        // SAFETY: the head holds the distance from `first` to the fencepost of its region.
        let fencepost = unsafe { first.offset(head & !(CELL_ALIGN - 1)) };
        let (mut start, mut end) = (first.addr() - WORD, fencepost.addr() + WORD);
        if head & SLACK_AT_START != 0 {
            // SAFETY: the bit says that there is slack in front of the head; `record` wrote the
            // byte.
            start -= usize::from(unsafe { byte_before_head(first).read() });
        }
        if head & SLACK_AT_END != 0 {
            // SAFETY: the bit says that there is slack behind the fencepost; `record` wrote the
            // byte.
            end += usize::from(unsafe { byte_behind_fencepost(fencepost).read() });
        }
        Self { start, first, fencepost, end }
    }

    /// Returns the length of all cells of a region, in bytes, as its head says. If the head was
    /// overwritten, the result is arbitrary.
    ///
    /// # Safety
    ///
    /// `first` is the first cell of a region.
    pub(crate) unsafe fn recorded_length(first: Cell<F>) -> usize {
        // SAFETY: a region's head lies in front of its first cell: this function's clause.
        unsafe { head_of(first).read() & !(CELL_ALIGN - 1) }
    }

    /// Returns the length of all cells together, in bytes.
    pub(crate) fn length(&self) -> usize {
        self.fencepost.addr() - self.first.addr()
    }
}

/// Returns a pointer to a region's head, the word in front of its first cell.
///
/// # Safety
///
/// `first` is the first cell of a region.
unsafe fn head_of<F>(first: Cell<F>) -> NonNull<usize> {
    // SAFETY: a region has room for a head in front of its first cell: the invariant of `Region`.
    unsafe { first.0.sub(1) }
}

/// Returns a pointer to the slack byte in front of a region's head.
///
/// # Safety
///
/// `first` is the first cell of a region with slack at its start.
unsafe fn byte_before_head<F>(first: Cell<F>) -> NonNull<u8> {
    // SAFETY: the region has slack in front of its head: this function's clause.
    unsafe { first.0.cast::<u8>().sub(WORD + 1) }
}

/// Returns a pointer to the slack byte behind a region's fencepost.
///
/// # Safety
///
/// `fencepost` ends a region with slack at its end.
unsafe fn byte_behind_fencepost<F>(fencepost: Cell<F>) -> NonNull<u8> {
    // SAFETY: the region has slack behind its fencepost: this function's clause.
    unsafe { fencepost.0.cast::<u8>().add(WORD) }
}

#[cfg(test)]
mod tests {
    use std::format;

    use super::*;

    #[test]
    fn a_region_shows_its_addresses() {
        let mut memory = [0_u128; 8];
        let base = NonNull::from(&mut memory).cast::<u8>();
        // SAFETY: both places lie inside `memory`.
        let (first, fencepost) = unsafe {
            let first = Cell::<()>::at(base.add(WORD));
            (first, first.offset(3 * CELL_ALIGN))
        };
        let (start, end) = (first.addr() - WORD, fencepost.addr() + WORD);
        let region = Region { start, first, fencepost, end };
        let cell = |cell: Cell<()>| format!("Cell({:#x})", cell.addr());
        let cells = format!("{}..{}", cell(first), cell(fencepost));
        assert_eq!(format!("{region:?}"), format!("Region({start:#x}..{end:#x}, cells {cells})"));
    }

    #[test]
    fn recorded_bounds_are_read_back() {
        let mut memory = [0_u128; 16];
        let base = NonNull::from(&mut memory).cast::<u8>();
        for (slack_at_start, slack_at_end) in [(0, 0), (1, 0), (0, 1), (MIN_CELL - 1, MIN_CELL - 1)]
        {
            // SAFETY: both places lie inside `memory`.
            let (first, fencepost) = unsafe {
                let first = Cell::<()>::at(base.add(MIN_CELL + WORD));
                (first, first.offset(3 * CELL_ALIGN))
            };
            let (start, end) =
                (first.addr() - WORD - slack_at_start, fencepost.addr() + WORD + slack_at_end);
            let region = Region { start, first, fencepost, end };
            // SAFETY: the region lies inside `memory`, and is read as it was recorded.
            let read = unsafe {
                region.record();
                Region::read(first)
            };
            assert_eq!(read, region);
        }
    }
}
