//! Free memory that cannot leave by the break, for a provider that can take pages back and leave
//! their addresses.
//!
//! ```text
//!   free cell   ┌────────┬───────┬──────────────────────────────────────┬──────┐
//!               │ header │ links │               not needed              │ size │
//!               └────────┴───────┴──────────────────────────────────────┴──────┘
//!   granules         │            ├──────────┼──────────┼──────────┤      │
//!                                  reported
//! ```

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::bins::class_of;
use crate::cell::{Links, MIN_CELL, WORD};
use crate::request::round_up;

impl<B, P: Tuning> Chunks<B, P> {
    /// Implements [`Heap::unused_memory`](crate::Heap::unused_memory).
    pub(crate) fn unused_memory(
        &self,
        granule: usize,
        least: usize,
        mut forget: impl FnMut(NonNull<[u8]>),
    ) {
        let mut class = class_of::<P>(least.max(MIN_CELL));
        while let Some(occupied) = self.bins.next_occupied(class) {
            for (cell, size) in self.bins.list(occupied) {
                let used = WORD + size_of::<Links<P>>();
                let Some(start) = round_up(cell.addr() + used, granule) else { continue };
                let end = (cell.addr() + size - WORD) & !(granule - 1);
                let Some(len) = end.checked_sub(start).filter(|&len| len >= least.max(1)) else {
                    continue;
                };
                // SAFETY: `start` lies in the cell: above its links, and below its end.
                let start = unsafe { cell.payload().byte_add(start - cell.payload().addr().get()) };
                forget(NonNull::slice_from_raw_parts(start, len));
            }
            class = occupied + 1;
        }
    }
}
