//! Memory that comes and goes in whole pieces, from a [scattered](Break::SCATTERED) provider.
//!
//! ```text
//!   ▐ piece ▌    ▐ piece ▌  ▐ last ▌   ▐ piece ▌        each is a region; the last one that was granted takes the place of the
//!                             └─ top                    break's region, whatever lies above it
//!   ▐  free  ▌  ─► goes back, unless it is the last one: a program at the edge of a piece does not move it to and fro
//! ```

use core::ptr::NonNull;

use super::{Heap, Request};
use crate::cell::{CELL_ALIGN, Cell, Region, WORD};
use crate::provider::{Break, Map};

/// What stays of pieces that are free as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spare {
    /// The one that was granted last.
    Last,
    Nothing,
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// How long a new piece must be to hold the request wherever it lies; 0 if the top holds it.
    pub(super) fn missing_anywhere(&self, request: Request) -> Option<usize> {
        if let (Some(top), Some(extent)) = (self.top, &self.extent)
            && request.fit(top.addr(), extent.fence().addr() - top.addr()).is_some()
        {
            return Some(0);
        }
        // At most so much is lost at either end, with head and fence.
        request.size_anywhere()?.checked_add(2 * (CELL_ALIGN + WORD))
    }

    /// Notes whether a free cell may be all there is in its piece. True if it may be.
    ///
    /// # Safety
    ///
    /// `cell` is a valid free cell of `size` bytes.
    #[inline]
    pub(super) unsafe fn note_if_piece(&mut self, cell: Cell, size: usize) -> bool {
        if !self.small.pages.begins_region(cell.addr()) {
            return false;
        }
        // SAFETY: what follows the cell.
        let behind = unsafe { cell.offset(size) };
        // SAFETY: a valid cell, or a fence.
        let is_piece = unsafe { behind.header() }.is_fence();
        self.regions.due |= is_piece;
        is_piece
    }

    /// Gives back what became free as a whole since this was asked, but for the last piece.
    pub(super) fn give_back_if_due(&mut self) {
        if core::mem::take(&mut self.regions.due) {
            self.give_back_pieces(Spare::Last);
        }
    }

    /// Gives back every piece that is one free cell, but for the spare. O(pieces).
    pub(super) fn give_back_pieces(&mut self, spare: Spare) {
        let (mut below, mut next) = (None, self.lowest_region());
        while let Some(region) = next {
            next = self.region_above(&region);
            let may_go = spare == Spare::Nothing || !self.is_last(&region);
            // SAFETY: a region of the heap.
            if may_go && unsafe { is_one_free_cell(&region) } {
                // SAFETY: the same; `below` is the region below it.
                let piece = unsafe { self.take_out(&region, below, next) };
                // SAFETY: a region is one piece, for no two touch, and it is the heap's no more.
                unsafe { self.brk.give_back(piece) };
            } else {
                below = Some(region);
            }
        }
    }

    /// Whether a region is the one that was granted last.
    fn is_last(&self, region: &Region) -> bool {
        self.extent.as_ref().is_some_and(|extent| extent.region().first == region.first)
    }

    /// Takes a region out of the heap. Returns its memory.
    ///
    /// # Safety
    ///
    /// It is one free cell. `below` and `above` are the regions next to it.
    unsafe fn take_out(
        &mut self,
        region: &Region,
        below: Option<Region>,
        above: Option<Region>,
    ) -> NonNull<[u8]> {
        // SAFETY: a valid free cell.
        unsafe { self.claim_if_free(region.first) };
        if self.is_last(region) {
            self.extent = None;
        }
        match (below, above) {
            (None, _) => self.regions.lowest = above.map(|above| above.first),
            // SAFETY: the fence of the region below.
            (Some(below), Some(above)) => unsafe { below.fence.lead_to(above.first) },
            // SAFETY: the same.
            (Some(below), None) => unsafe { below.fence.lead_nowhere() },
        }
        if above.is_none() {
            self.regions.last = below.filter(|below| !self.is_last(below)).map(|below| below.fence);
        }
        self.regions.pieces -= region.end - region.start;
        let lead = region.first.addr() - region.start;
        // SAFETY: the cell lies in the region, at this distance from its start.
        let start = unsafe { region.first.payload().sub(lead + WORD) };
        NonNull::slice_from_raw_parts(start, region.end - region.start)
    }
}

/// # Safety
///
/// A region of a heap.
unsafe fn is_one_free_cell(region: &Region) -> bool {
    // SAFETY: the caller's promise.
    let header = unsafe { region.first.header() };
    !header.is_used() && header.size() == region.length()
}
