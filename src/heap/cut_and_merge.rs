//! Cutting cells and merging them again (C3, C6).

use core::ptr::NonNull;

use super::bins::Fit;
use super::{Heap, Request};
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::provider::{Break, Map};

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Cuts the request's cell out of a free one (C3): what lies below it, for alignment, and above
    /// it stay free. If the free one was the top, what is left above the request is the top.
    ///
    /// ```text
    ///   before  │                free cell                  │
    ///   after   │ lead: free │ used: the request │ rest: free │     a rest too small for a cell stays with the request
    /// ```
    ///
    /// # Safety
    ///
    /// `fit` is a valid free cell and tells how the request fits into it. The cell is in no bin and
    /// is not the top any more; `was_top` tells whether it was until now.
    #[cfg_attr(not(feature = "tiny"), inline(always))]
    pub(super) unsafe fn carve(
        &mut self,
        fit: Fit,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        let Fit { cell, size, lead } = fit;
        let rest = size - lead - request.size();
        let rest = if rest < MIN_CELL { 0 } else { rest };
        let used = size - lead - rest;
        // SAFETY: `lead < size`, both multiples of CELL_ALIGN: still inside the cell.
        let start = unsafe { cell.offset(lead) };
        // SAFETY: inside the free cell. Free cells have no free neighbours, so what lies before is
        // used, unless it is the lead.
        unsafe { start.write_used(used, lead == 0) };
        if lead > 0 {
            // SAFETY: the lower part of the free cell, a cell at least (`Request::fit`), before a
            // used one that knows it is free.
            unsafe { self.keep_as(cell, lead, false) };
        }
        self.counters.allocated(used);
        // SAFETY: `used` up: still inside the free cell, or the cell, or fence, behind it.
        let behind = unsafe { start.offset(used) };
        if rest > 0 {
            // SAFETY: the upper part of the free cell, before what knew that a free cell precedes
            // it; it ends at the break if the whole did.
            unsafe { self.keep_as(behind, rest, was_top) };
        } else {
            // SAFETY: the cell, or the fence, that followed the free cell.
            unsafe { behind.set_prev_used(true) };
        }
        if was_top {
            self.note_written(start, used);
        }
        start.payload()
    }

    /// A cell of `size` bytes was handed out: it, and the header behind it, are not as they were
    /// granted any more.
    pub(super) fn note_written(&mut self, cell: Cell, size: usize) {
        if let Some(extent) = &mut self.extent
            && B::ZEROED
        {
            extent.not_fresh_below(cell.addr() + size + WORD);
        }
    }

    /// Makes a piece of memory a free cell: merges it with free neighbours (C6), and puts it into
    /// its bin, or makes it the top if it ends at the break. True if memory may be due to go
    /// back: it is the top, or, of a scattered provider, may fill a whole piece.
    ///
    /// # Safety
    ///
    /// The `size` bytes at `cell` were a used cell, or the upper part of one, and nobody uses them.
    /// `prev_used` tells whether the cell before them is used; if it is not, `cell` is a valid
    /// cell.
    #[cfg_attr(not(feature = "tiny"), inline(always))]
    pub(super) unsafe fn release(&mut self, cell: Cell, size: usize, prev_used: bool) -> bool {
        let (mut start, mut total) = (cell, size);
        // SAFETY: `size` up lies what follows the piece.
        let next = unsafe { cell.offset(size) };
        // SAFETY: a valid cell or a fence.
        let header = unsafe { next.header() };
        let is_top = if header.is_used() {
            // SAFETY: the same.
            unsafe { next.set_prev_used(false) };
            self.ends_at_break(next)
        } else {
            total += header.size();
            let is_top = self.top == Some(next);
            if !is_top {
                // SAFETY: a free cell that is not the top is in its bin.
                unsafe { self.bins.remove(next, header.size()) };
            }
            is_top
        };
        if !prev_used {
            // SAFETY: `cell` is valid.
            if let Some(prev) = unsafe { cell.prev_if_free() } {
                let size = cell.addr() - prev.addr();
                // SAFETY: free, and not the top, which nothing but the fence follows: in its bin.
                unsafe { self.bins.remove(prev, size) };
                (start, total) = (prev, total + size);
            }
        }
        // SAFETY: the merged cells are one piece, preceded by a used cell, and what follows knows
        // that a free cell precedes it.
        unsafe { self.keep_as(start, total, is_top) };
        // SAFETY: a free cell.
        is_top || B::SCATTERED && unsafe { self.note_if_piece(start, total) }
    }

    /// Whether a free cell in front of `next` is the top.
    fn ends_at_break(&self, next: Cell) -> bool {
        self.extent.as_ref().is_some_and(|extent| extent.fence() == next)
    }

    /// If `cell` is free, takes it out of its bin (or as the top) and returns its size; else 0.
    ///
    /// # Safety
    ///
    /// `cell` is valid, or a fence.
    pub(super) unsafe fn claim_if_free(&mut self, cell: Cell) -> usize {
        // SAFETY: the caller's promise.
        let header = unsafe { cell.header() };
        if header.is_used() {
            return 0;
        }
        if self.top == Some(cell) {
            self.top = None;
        } else {
            // SAFETY: a free cell that is not the top is in its bin.
            unsafe { self.bins.remove(cell, header.size()) };
        }
        header.size()
    }

    /// Makes a piece of memory a free cell, and puts it into its bin, or makes it the top if the
    /// last fence follows.
    ///
    /// # Safety
    ///
    /// As for [`Cell::write_free`]; both neighbours are used, and the one behind knows that a free
    /// cell precedes it.
    pub(super) unsafe fn keep(&mut self, cell: Cell, size: usize) {
        // SAFETY: what follows the piece.
        let next = unsafe { cell.offset(size) };
        // SAFETY: the caller's promise.
        unsafe { self.keep_as(cell, size, self.ends_at_break(next)) };
    }

    /// [`keep`](Heap::keep) where it is known whether the fence of the break's region follows.
    ///
    /// # Safety
    ///
    /// As for [`keep`](Heap::keep); `is_top` tells whether that fence follows.
    #[cfg_attr(not(feature = "tiny"), inline(always))]
    unsafe fn keep_as(&mut self, cell: Cell, size: usize, is_top: bool) {
        // SAFETY: the caller's promise.
        unsafe { cell.write_free(size, true) };
        if is_top {
            self.top = Some(cell);
        } else {
            // SAFETY: valid, free, and new.
            unsafe { self.bins.insert(cell, size) };
        }
    }
}
