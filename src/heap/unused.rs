//! Memory that is free and cannot leave by the break, for a provider that can take pages back and
//! leave their addresses.
//!
//! ```text
//!   free cell   ┌────────┬───────┬──────────────────────────────────────┬──────┐
//!               │ header │ links │              nobody needs             │ size │
//!               └────────┴───────┴──────────────────────────────────────┴──────┘
//!   granules         │            ├──────────┼──────────┼──────────┤      │
//!                                  what is reported
//! ```

use core::ptr::NonNull;

use super::Heap;
use super::request::round_up;
use super::size_class::class_of;
use crate::cell::{Links, MIN_CELL, WORD};

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    /// Calls `forget` with each piece of free memory that holds no word of the heap's: whole
    /// granules, `least` bytes or more together. What is in there may be lost, as long as it
    /// can be written to when it is allocated. The top is left out: it goes by
    /// [`trim`](Heap::trim).
    ///
    /// `granule` is a power of two.
    ///
    /// # Time
    ///
    /// O(free cells of at least `least` bytes).
    pub fn unused_memory(
        &self,
        granule: usize,
        least: usize,
        mut forget: impl FnMut(NonNull<[u8]>),
    ) {
        let mut class = class_of(least.max(MIN_CELL));
        while let Some(occupied) = self.bins.occupied.next(class) {
            for (cell, size) in self.bins.list(occupied) {
                let used = WORD + size_of::<Links>();
                let Some(start) = round_up(cell.addr() + used, granule) else { continue };
                let end = (cell.addr() + size - WORD) & !(granule - 1);
                let Some(len) = end.checked_sub(start).filter(|&len| len >= least.max(1)) else {
                    continue;
                };
                // SAFETY: inside the cell.
                let start = unsafe { cell.payload().byte_add(start - cell.payload().addr().get()) };
                forget(NonNull::slice_from_raw_parts(start, len));
            }
            class = occupied + 1;
        }
    }
}
