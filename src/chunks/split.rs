//! Cutting cells and merging them again (C3, C6).

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::bins::Fit;
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::provider::Source;
use crate::request::Request;
use crate::space::{Extent, Joined};

impl<B: Source, P: Tuning> Chunks<B, P> {
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
    #[inline(always)]
    pub(super) unsafe fn split(
        &mut self,
        fit: Fit<P>,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        // SAFETY: this method's own contract.
        unsafe {
            if P::COMPACT {
                self.split_outlined(fit, request, was_top)
            } else {
                self.split_inline(fit, request, was_top)
            }
        }
    }

    /// [`split`](Chunks::split) as a function of its own, for little code.
    ///
    /// # Safety
    ///
    /// As for [`split`](Chunks::split).
    #[inline(never)]
    unsafe fn split_outlined(
        &mut self,
        fit: Fit<P>,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        // SAFETY: this method's own contract.
        unsafe { self.split_inline(fit, request, was_top) }
    }

    /// # Safety
    ///
    /// As for [`split`](Chunks::split).
    #[inline(always)]
    unsafe fn split_inline(&mut self, fit: Fit<P>, request: Request, was_top: bool) -> NonNull<u8> {
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
        // SAFETY: `used` up: still inside the free cell, or the cell, or fencepost, behind it.
        let behind = unsafe { start.offset(used) };
        if rest > 0 {
            // SAFETY: the upper part of the free cell, before what knew that a free cell precedes
            // it; it ends at the break if the whole did.
            unsafe { self.keep_as(behind, rest, was_top) };
        } else {
            // SAFETY: the cell, or the fencepost, that followed the free cell.
            unsafe { behind.set_prev_used(true) };
        }
        if was_top {
            self.note_written(start, used);
        }
        start.payload()
    }

    /// A cell of `size` bytes was handed out: it, and the header behind it, are not as they were
    /// granted any more.
    pub(super) fn note_written(&mut self, cell: Cell<P>, size: usize) {
        if B::ZEROED {
            if let Some(extent) = self.space.extent_mut() {
                extent.not_fresh_below(cell.addr() + size + WORD);
            }
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
    #[inline(always)]
    pub(super) unsafe fn coalesce(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
        // SAFETY: this method's own contract.
        unsafe {
            if P::COMPACT {
                self.coalesce_outlined(cell, size, prev_used)
            } else {
                self.coalesce_inline(cell, size, prev_used)
            }
        }
    }

    /// [`coalesce`](Chunks::coalesce) as a function of its own, for little code.
    ///
    /// # Safety
    ///
    /// As for [`coalesce`](Chunks::coalesce).
    #[inline(never)]
    unsafe fn coalesce_outlined(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
        // SAFETY: this method's own contract.
        unsafe { self.coalesce_inline(cell, size, prev_used) }
    }

    /// # Safety
    ///
    /// As for [`coalesce`](Chunks::coalesce).
    #[inline(always)]
    unsafe fn coalesce_inline(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
        let (mut start, mut total) = (cell, size);
        // SAFETY: `size` up lies what follows the piece.
        let next = unsafe { cell.offset(size) };
        // SAFETY: a valid cell or a fencepost.
        let header = unsafe { next.header() };
        let is_top = if header.is_used() {
            // SAFETY: the same.
            unsafe { next.set_prev_used(false) };
            self.space.ends_at_break(next)
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
                // SAFETY: free, and not the top, which nothing but the fencepost follows: in its
                // bin.
                unsafe { self.bins.remove(prev, size) };
                (start, total) = (prev, total + size);
            }
        }
        // SAFETY: the merged cells are one piece, preceded by a used cell, and what follows knows
        // that a free cell precedes it.
        unsafe { self.keep_as(start, total, is_top) };
        // SAFETY: a free cell.
        is_top || !B::CONTIGUOUS && unsafe { self.may_be_segment(start, total) }
    }

    /// If `cell` is free, takes it out of its bin (or as the top) and returns its size; else 0.
    ///
    /// # Safety
    ///
    /// `cell` is valid, or a fencepost.
    pub(super) unsafe fn claim_if_free(&mut self, cell: Cell<P>) -> usize {
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
    /// last fencepost follows.
    ///
    /// # Safety
    ///
    /// As for [`Cell::write_free`]; both neighbours are used, and the one behind knows that a free
    /// cell precedes it.
    pub(super) unsafe fn keep(&mut self, cell: Cell<P>, size: usize) {
        // SAFETY: what follows the piece.
        let next = unsafe { cell.offset(size) };
        // SAFETY: the caller's promise.
        unsafe { self.keep_as(cell, size, self.space.ends_at_break(next)) };
    }

    /// [`keep`](Chunks::keep) where it is known whether the fencepost of the break's region
    /// follows.
    ///
    /// # Safety
    ///
    /// As for [`keep`](Chunks::keep); `is_top` tells whether that fencepost follows.
    #[inline(always)]
    pub(super) unsafe fn keep_as(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
        // SAFETY: this method's own contract.
        unsafe {
            if P::COMPACT {
                self.keep_as_outlined(cell, size, is_top);
            } else {
                self.keep_as_inline(cell, size, is_top);
            }
        }
    }

    /// [`keep_as`](Chunks::keep_as) as a function of its own, for little code.
    ///
    /// # Safety
    ///
    /// As for [`keep_as`](Chunks::keep_as).
    #[inline(never)]
    unsafe fn keep_as_outlined(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
        // SAFETY: this method's own contract.
        unsafe { self.keep_as_inline(cell, size, is_top) };
    }

    /// # Safety
    ///
    /// As for [`keep_as`](Chunks::keep_as).
    #[inline(always)]
    unsafe fn keep_as_inline(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
        // SAFETY: the caller's promise.
        unsafe { cell.write_free(size, true) };
        if is_top {
            self.top = Some(cell);
        } else {
            // SAFETY: valid, free, and new.
            unsafe { self.bins.insert(cell, size) };
        }
    }

    /// Makes the span that a join has left a free cell, coalesced with its free neighbours.
    ///
    /// # Safety
    ///
    /// `joined` was returned by [`Space::join`](crate::space::Space::join) just now.
    pub(super) unsafe fn fill(&mut self, joined: &Joined<P>) {
        let Joined { from, to, follows_cells, precedes_cells } = *joined;
        let mut start = from;
        if follows_cells {
            // SAFETY: a former fencepost, which is still as it was.
            if let Some(prev) = unsafe { from.prev_if_free() } {
                // SAFETY: a valid free cell.
                unsafe { self.claim_if_free(prev) };
                // SAFETY: both words become the inside of the new free cell.
                unsafe { from.erase_with_size_before() };
                start = prev;
            }
        }
        let mut end = to;
        if precedes_cells {
            // SAFETY: the first cell of the region above, or its fencepost.
            match unsafe { self.claim_if_free(to) } {
                // SAFETY: the same.
                0 => unsafe { to.set_prev_used(false) },
                // SAFETY: behind the free cell lies another, or the fencepost.
                size => end = unsafe { to.offset(size) },
            }
        }
        // SAFETY: all between is free and in no cell; the cell below is used, or there is none, as
        // no two free cells are neighbours.
        unsafe { self.keep(start, end.addr() - start.addr()) };
    }

    /// Makes the top a cell like any other: the break's region may become another one.
    pub(super) fn demote_top(&mut self) {
        let Some(top) = self.top.take() else { return };
        // SAFETY: the top is a valid free cell.
        let size = unsafe { top.header() }.size();
        // SAFETY: valid and free, and in no bin.
        unsafe { self.bins.insert(top, size) };
        // Its links are written, and it may become the top again.
        self.note_written(top, 2 * WORD);
    }

    /// Makes the free cell that ends at the break, if there is one, the top.
    pub(super) fn promote_top(&mut self) {
        if self.top.is_some() {
            return;
        }
        let Some(fencepost) = self.space.extent().map(Extent::fencepost) else { return };
        // SAFETY: the fencepost of a region.
        if let Some(top) = unsafe { fencepost.prev_if_free() } {
            // SAFETY: a free cell that is not the top is in its bin.
            unsafe { self.bins.remove(top, fencepost.addr() - top.addr()) };
            self.top = Some(top);
            if let Some(extent) = self.space.extent_mut() {
                // In its bin it had links.
                extent.not_fresh_below(top.addr() + MIN_CELL - WORD);
            }
        }
    }

    /// Notes in the source whether a free cell may be all there is in its segment. Returns whether
    /// it may be.
    ///
    /// # Safety
    ///
    /// `cell` is a valid free cell of `size` bytes.
    #[inline]
    unsafe fn may_be_segment(&mut self, cell: Cell<P>, size: usize) -> bool {
        if !self.space.source().may_begin_segment(cell.addr()) {
            return false;
        }
        // SAFETY: what follows the cell.
        let behind = unsafe { cell.offset(size) };
        // SAFETY: a valid cell, or a fencepost.
        let is_segment = unsafe { behind.header() }.is_fencepost();
        if is_segment {
            self.space.source_mut().note_free_segment();
        }
        is_segment
    }
}
