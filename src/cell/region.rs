//! Regions: contiguous memory, tiled by cells, that can tell where it begins and ends.
//!
//! ```text
//!   start                                                              end
//!   ┌╌╌╌╌╌╌╌┬──────┬───────┬──────┬───────┬────────────┬───────┬╌╌╌╌╌╌╌┐
//!   ╎ slack │ head │ first │ cell │ cell  │    cell    │ fence │ slack ╎
//!   └╌╌╌╌╌╌╌┴───┬──┴───────┴──────┴───────┴────────────┴───┬───┴╌╌╌╌╌╌╌┘
//!               └─ bytes from `first` to the fence ───────►└─ way to the next region's first cell
//! ```
//!
//! *Slack* are bytes at either end that are too few for a cell. Only if a neighbour comes that
//! touches can they be of use, so the region remembers them: two bits of the head tell whether
//! there are any, and the byte of them that is nearest to the cells how many.

use core::ptr::NonNull;

use super::{CELL_ALIGN, Cell, MIN_CELL, WORD};

/// Bit of a head: there is slack in front of it.
const SLACK_AT_START: usize = 1;

/// Bit of a head: there is slack behind the fence.
const SLACK_AT_END: usize = 2;

// The bits must fit into those that a length leaves free, a slack into its byte.
const _: () = assert!(SLACK_AT_START + SLACK_AT_END < CELL_ALIGN && MIN_CELL <= u8::MAX as usize);

/// One region.
///
/// # Invariants
///
/// * `first < fence`, or `first = fence` in a region that was given back down to its fence
/// * `start + WORD ≤ first < start + WORD + MIN_CELL`: room for the head
/// * `fence + WORD ≤ end < fence + WORD + MIN_CELL`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Region {
    /// Address of the first byte.
    pub(crate) start: usize,
    /// The lowest cell.
    pub(crate) first: Cell,
    /// The lone header that ends the region.
    pub(crate) fence: Cell,
    /// Address behind the last byte.
    pub(crate) end: usize,
}

impl Region {
    /// Writes down where the region begins and ends, for [`read`](Region::read).
    ///
    /// # Safety
    ///
    /// All of the region is memory of this heap, and in no other region.
    pub(crate) unsafe fn record(&self) {
        let (mut head, slack_at_start, slack_at_end) =
            (self.length(), self.slack_at_start(), self.slack_at_end());
        if slack_at_start > 0 {
            head |= SLACK_AT_START;
            // SAFETY: at least one byte of slack lies in front of the head.
            let nearest = unsafe { byte_before_head(self.first) };
            // SAFETY: as above; less than `MIN_CELL`, so it fits.
            unsafe { nearest.write(slack_at_start as u8) };
        }
        if slack_at_end > 0 {
            head |= SLACK_AT_END;
            // SAFETY: at least one byte of slack lies behind the fence.
            let nearest = unsafe { byte_behind_fence(self.fence) };
            // SAFETY: as above; less than `MIN_CELL`, so it fits.
            unsafe { nearest.write(slack_at_end as u8) };
        }
        // SAFETY: the invariant leaves room for the head.
        let word = unsafe { head_of(self.first) };
        // SAFETY: the head is this region's own word.
        unsafe { word.write(head) };
    }

    /// The region whose lowest cell is `first`.
    ///
    /// # Safety
    ///
    /// `first` is the first cell of a region that was [recorded](Region::record) as it is now.
    pub(crate) unsafe fn read(first: Cell) -> Self {
        // SAFETY: the caller's promise.
        let word = unsafe { head_of(first) };
        // SAFETY: `record` wrote it.
        let head = unsafe { word.read() };
        // SAFETY: `record` wrote the way to the fence.
        let fence = unsafe { first.offset(head & !(CELL_ALIGN - 1)) };
        let (mut start, mut end) = (first.addr() - WORD, fence.addr() + WORD);
        if head & SLACK_AT_START != 0 {
            // SAFETY: there is slack in front of the head.
            let nearest = unsafe { byte_before_head(first) };
            // SAFETY: `record` wrote it.
            start -= usize::from(unsafe { nearest.read() });
        }
        if head & SLACK_AT_END != 0 {
            // SAFETY: there is slack behind the fence.
            let nearest = unsafe { byte_behind_fence(fence) };
            // SAFETY: `record` wrote it.
            end += usize::from(unsafe { nearest.read() });
        }
        Self { start, first, fence, end }
    }

    /// How long the head says that the cells of a region are, all together.
    ///
    /// # Safety
    ///
    /// `first` is the first cell of a region. What is read is worth what the heap's words are
    /// worth.
    pub(crate) unsafe fn recorded_length(first: Cell) -> usize {
        // SAFETY: the caller's promise.
        let word = unsafe { head_of(first) };
        // SAFETY: a word of the region.
        unsafe { word.read() & !(CELL_ALIGN - 1) }
    }

    /// Bytes of all cells together.
    pub(crate) fn length(&self) -> usize {
        self.fence.addr() - self.first.addr()
    }

    fn slack_at_start(&self) -> usize {
        self.first.addr() - WORD - self.start
    }

    fn slack_at_end(&self) -> usize {
        self.end - (self.fence.addr() + WORD)
    }
}

/// The word in front of a region's first cell.
///
/// # Safety
///
/// `first` is the first cell of a region.
unsafe fn head_of(first: Cell) -> NonNull<usize> {
    // SAFETY: a region has room for a head.
    unsafe { first.0.sub(1) }
}

/// # Safety
///
/// `first` is the first cell of a region with slack at its start.
unsafe fn byte_before_head(first: Cell) -> NonNull<u8> {
    // SAFETY: the caller's promise.
    unsafe { first.0.cast::<u8>().sub(WORD + 1) }
}

/// # Safety
///
/// `fence` ends a region with slack at its end.
unsafe fn byte_behind_fence(fence: Cell) -> NonNull<u8> {
    // SAFETY: the caller's promise.
    unsafe { fence.0.cast::<u8>().add(WORD) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_read_as_it_was_recorded() {
        let mut memory = [0_u128; 16];
        let base = NonNull::from(&mut memory).cast::<u8>();
        for (slack_at_start, slack_at_end) in [(0, 0), (1, 0), (0, 1), (MIN_CELL - 1, MIN_CELL - 1)]
        {
            // SAFETY: inside `memory`.
            let first = Cell::at(unsafe { base.add(MIN_CELL + WORD) });
            // SAFETY: inside `memory`.
            let fence = unsafe { first.offset(3 * CELL_ALIGN) };
            let (start, end) =
                (first.addr() - WORD - slack_at_start, fence.addr() + WORD + slack_at_end);
            let region = Region { start, first, fence, end };
            // SAFETY: all of it is in `memory`.
            unsafe { region.record() };
            // SAFETY: just recorded.
            assert_eq!(unsafe { Region::read(first) }, region);
        }
    }
}
