//! Splits free cells and coalesces them again (C3, C6).

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::bins::Fit;
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::provider::Source;
use crate::request::Request;
use crate::space::{Extent, Joined};

/// `true` on targets with little memory for code: each function below is then linked once, not as a
/// part of each caller.
const SHORT_CODE: bool = usize::BITS == 32;

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Splits the request's cell off a free one (C3): the lead below it, for alignment, and the
    /// rest above it stay free. If the free cell was the top, the rest is the top.
    ///
    /// ```text
    ///   before  │                 free cell                   │
    ///   after   │ lead: free │ used: the request │ rest: free  │   a rest too small for a cell
    ///                                                             stays with the request
    /// ```
    ///
    /// # Safety
    ///
    /// `fit` is a valid free cell and says how the request fits into it. The cell is in no bin and
    /// is not `top` any more; `was_top` says whether it was until now.
    #[inline(always)]
    pub(super) unsafe fn split(
        &mut self,
        fit: Fit<P>,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        // SAFETY: the clauses are those of this method.
        unsafe {
            if P::COMPACT || SHORT_CODE {
                self.split_outlined(fit, request, was_top)
            } else {
                self.split_inline(fit, request, was_top)
            }
        }
    }

    /// [`split`](Chunks::split) as a function of its own, for short code.
    ///
    /// # Safety
    ///
    /// The clauses of [`split`](Chunks::split).
    #[inline(never)]
    unsafe fn split_outlined(
        &mut self,
        fit: Fit<P>,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.split_inline(fit, request, was_top) }
    }

    /// [`split`](Chunks::split) as a part of its caller.
    ///
    /// # Safety
    ///
    /// The clauses of [`split`](Chunks::split).
    #[inline(always)]
    unsafe fn split_inline(&mut self, fit: Fit<P>, request: Request, was_top: bool) -> NonNull<u8> {
        let Fit { cell, size, lead } = fit;
        if lead == 0 && !P::COMPACT && !P::CHECKED {
            // SAFETY: the clauses are those of this method.
            return unsafe { self.split_from_start(cell, size, request, was_top) };
        }
        let rest = size - lead - request.size();
        let rest = if rest < MIN_CELL { 0 } else { rest };
        let used = size - lead - rest;
        // SAFETY: `lead < size`, and both are multiples of CELL_ALIGN: the place lies in the cell.
        let start = unsafe { cell.offset(lead) };
        // SAFETY: the `used` bytes lie in the free cell. No two free cells are neighbours, so the
        // cell before is used, unless it is the lead.
        unsafe { start.write_used(used, lead == 0) };
        if lead > 0 {
            // SAFETY: the lead is the lower part of the free cell, long enough for a cell
            // (`Request::fit`); the header behind it says that it is free.
            unsafe { self.keep_as(cell, lead, false) };
        }
        self.counters.allocated(used);
        // SAFETY: `lead + used ≤ size`: the place lies in the free cell, or is the header behind
        // it.
        let behind = unsafe { start.offset(used) };
        if rest > 0 {
            // SAFETY: the rest is the upper part of the free cell; the header behind it says that a
            // free cell precedes it. The rest ends at the break if the free cell did.
            unsafe { self.keep_as(behind, rest, was_top) };
        } else {
            // SAFETY: `behind` is the cell or fencepost behind the free cell.
            unsafe { behind.set_prev_used(true) };
        }
        if was_top {
            self.note_written(start, used);
        }
        start.payload()
    }

    /// [`split`](Chunks::split) without a lead.
    ///
    /// # Safety
    ///
    /// The clauses of [`split`](Chunks::split). `cell` has `size` bytes, which hold the request.
    #[inline(always)]
    unsafe fn split_from_start(
        &mut self,
        cell: Cell<P>,
        size: usize,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        let rest = size - request.size();
        let used = if rest < MIN_CELL {
            // SAFETY: no two free cells are neighbours, so the cell before is used. A cell or
            // fencepost follows the free cell.
            unsafe {
                cell.write_used(size, true);
                cell.offset(size).set_prev_used(true);
            }
            size
        } else {
            let used = request.size();
            // SAFETY: as before. The rest is the upper part of the free cell; the header behind it
            // says that a free cell precedes it. The rest ends at the break if the free cell did.
            unsafe {
                cell.write_used(used, true);
                self.keep_as(cell.offset(used), rest, was_top);
            }
            used
        };
        self.counters.allocated(used);
        if was_top {
            self.note_written(cell, used);
        }
        cell.payload()
    }

    /// Notes that the `size` bytes of a cell and the header behind it may have been written to
    /// since they were granted.
    pub(super) fn note_written(&mut self, cell: Cell<P>, size: usize) {
        if B::ZEROED {
            if let Some(extent) = self.space.extent_mut() {
                extent.not_fresh_below(cell.addr() + size + WORD);
            }
        }
    }

    /// Makes a span a free cell: coalesces it with free neighbours (C6), and puts it into its bin,
    /// or makes it the top if it ends at the break. Returns whether memory may be due to be given
    /// back: the cell is the top, or may fill a whole segment.
    ///
    /// # Safety
    ///
    /// The `size` bytes at `cell` were a used cell, or the upper part of one, and nothing uses
    /// them. `prev_used` says whether the cell before them is used; if it is not, `cell` is a valid
    /// cell.
    #[inline(always)]
    pub(super) unsafe fn coalesce(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
        // SAFETY: the clauses are those of this method.
        unsafe {
            if P::COMPACT || SHORT_CODE {
                self.coalesce_outlined(cell, size, prev_used)
            } else {
                self.coalesce_inline(cell, size, prev_used)
            }
        }
    }

    /// [`coalesce`](Chunks::coalesce) as a function of its own, for short code.
    ///
    /// # Safety
    ///
    /// The clauses of [`coalesce`](Chunks::coalesce).
    #[inline(never)]
    unsafe fn coalesce_outlined(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
        // SAFETY: the clauses are those of this method.
        unsafe { self.coalesce_inline(cell, size, prev_used) }
    }

    /// [`coalesce`](Chunks::coalesce) as a part of its caller.
    ///
    /// # Safety
    ///
    /// The clauses of [`coalesce`](Chunks::coalesce).
    #[inline(always)]
    unsafe fn coalesce_inline(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
        let (mut start, mut total) = (cell, size);
        if !prev_used {
            // SAFETY: `cell` is valid and the cell before is free: this method's clause.
            let prev = unsafe { cell.prev_free() };
            let size = cell.addr() - prev.addr();
            // SAFETY: the cell is free, and not the top, because only a fencepost follows the top:
            // it is in its bin.
            unsafe { self.bins.remove(prev, size) };
            (start, total) = (prev, total + size);
        }
        // SAFETY: the span ends at a header of its region: this method's clause.
        let next = unsafe { cell.offset(size) };
        // SAFETY: `next` followed a used cell: it is a valid cell or a fencepost.
        let header = unsafe { next.header() };
        // The top has ways of its own to the end: the usual way has no test for it there.
        if header.is_used() {
            // SAFETY: `next` is a valid cell or a fencepost; the span before it becomes free.
            unsafe { next.set_prev_used(false) };
            // Most cells are told from a fencepost by the header that is at hand.
            if (P::COMPACT || header.is_fencepost()) && self.space.ends_at_break(next) {
                // SAFETY: the clauses are argued below; the break's fencepost follows.
                unsafe { self.keep_as(start, total, true) };
                return true;
            }
        } else {
            total += header.size();
            if self.top == Some(next) {
                // SAFETY: the clauses are argued below; the span ends as the top did.
                unsafe { self.keep_as(start, total, true) };
                return true;
            }
            // SAFETY: a free cell that is not the top is in its bin: the type's invariant.
            unsafe { self.bins.remove(next, header.size()) };
        }
        // SAFETY: the coalesced span is contiguous, a used cell precedes it, and the header behind
        // it says that a free cell precedes.
        unsafe { self.keep_as(start, total, false) };
        // SAFETY: `keep_as` has made the span a free cell.
        !B::CONTIGUOUS && unsafe { self.may_be_segment(start, total) }
    }

    /// If `cell` is free, takes it out of its bin or from `top`, and returns its size; else 0.
    ///
    /// # Safety
    ///
    /// `cell` is valid, or a fencepost.
    pub(super) unsafe fn claim_if_free(&mut self, cell: Cell<P>) -> usize {
        // SAFETY: the cell is valid or a fencepost: this method's clause.
        let header = unsafe { cell.header() };
        if header.is_used() {
            return 0;
        }
        if self.top == Some(cell) {
            self.top = None;
        } else {
            // SAFETY: a free cell that is not the top is in its bin: the type's invariant.
            unsafe { self.bins.remove(cell, header.size()) };
        }
        header.size()
    }

    /// Makes a span a free cell, and puts it into its bin, or makes it the top if the fencepost of
    /// the break's region follows.
    ///
    /// # Safety
    ///
    /// The clauses of [`Cell::write_free`]. Both neighbours are used, and the header behind says
    /// that a free cell precedes it.
    pub(super) unsafe fn keep(&mut self, cell: Cell<P>, size: usize) {
        // SAFETY: a header follows the span in its region: the last clause.
        let next = unsafe { cell.offset(size) };
        // SAFETY: the clauses are those of this method.
        unsafe { self.keep_as(cell, size, self.space.ends_at_break(next)) };
    }

    /// [`keep`](Chunks::keep) where it is known whether the fencepost of the break's region
    /// follows.
    ///
    /// # Safety
    ///
    /// The clauses of [`keep`](Chunks::keep); `is_top` says whether that fencepost follows.
    #[inline(always)]
    pub(super) unsafe fn keep_as(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
        // SAFETY: the clauses are those of this method.
        unsafe {
            if P::COMPACT || SHORT_CODE {
                self.keep_as_outlined(cell, size, is_top);
            } else {
                self.keep_as_inline(cell, size, is_top);
            }
        }
    }

    /// [`keep_as`](Chunks::keep_as) as a function of its own, for short code.
    ///
    /// # Safety
    ///
    /// The clauses of [`keep_as`](Chunks::keep_as).
    #[inline(never)]
    unsafe fn keep_as_outlined(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.keep_as_inline(cell, size, is_top) };
    }

    /// [`keep_as`](Chunks::keep_as) as a part of its caller.
    ///
    /// # Safety
    ///
    /// The clauses of [`keep_as`](Chunks::keep_as).
    #[inline(always)]
    unsafe fn keep_as_inline(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
        // SAFETY: the clauses of `write_free` are among this method's.
        unsafe { cell.write_free(size, true) };
        if is_top {
            self.top = Some(cell);
        } else {
            // SAFETY: `write_free` has made the cell a valid free one, which is in no list yet.
            unsafe { self.bins.insert(cell, size) };
        }
    }

    /// Makes the span of a join a free cell, coalesced with its free neighbours.
    ///
    /// # Safety
    ///
    /// [`Space::join`](crate::space::Space::join) returned `joined`, and the heap has not changed
    /// since.
    pub(super) unsafe fn fill(&mut self, joined: &Joined<P>) {
        let Joined { from, to, follows_cells, precedes_cells } = *joined;
        let mut start = from;
        if follows_cells {
            // SAFETY: `from` was the fencepost of the region below, and its word is unchanged.
            if let Some(prev) = unsafe { from.prev_if_free() } {
                // SAFETY: the fencepost's word says that the cell before it is free, so it is
                // valid.
                unsafe { self.claim_if_free(prev) };
                // SAFETY: `from` is a fencepost behind a free cell; both words become the inside of
                // the new free cell.
                unsafe { from.erase_with_size_before() };
                start = prev;
            }
        }
        let mut end = to;
        if precedes_cells {
            // SAFETY: `to` is the first cell of the region above, or its fencepost.
            match unsafe { self.claim_if_free(to) } {
                // SAFETY: `to` is a used cell or a fencepost; the span before it becomes free.
                0 => unsafe { to.set_prev_used(false) },
                // SAFETY: another cell, or the fencepost, follows the free cell.
                size => end = unsafe { to.offset(size) },
            }
        }
        // SAFETY: the span is free, and in no cell. The cell below it is used, or there is none,
        // because no two free cells are neighbours.
        unsafe { self.keep(start, end.addr() - start.addr()) };
    }

    /// Makes the top a cell in a bin: the break's region may become another one.
    pub(super) fn demote_top(&mut self) {
        let Some(top) = self.top.take() else { return };
        // SAFETY: the top is a valid free cell: the type's invariant.
        let size = unsafe { top.header() }.size();
        // SAFETY: the cell is valid and free, and the top is in no bin.
        unsafe { self.keep_as(top, size, false) };
        // The bin has written the cell's links, and the cell may become the top again.
        self.note_written(top, 2 * WORD);
        if !B::CONTIGUOUS {
            // The segment was the spare one as long as its cell was the top.
            // SAFETY: the cell is valid and free.
            unsafe { self.may_be_segment(top, size) };
        }
    }

    /// Makes the free cell that ends at the break the top, if such a cell exists.
    pub(super) fn promote_top(&mut self) {
        if self.top.is_some() {
            return;
        }
        let Some(fencepost) = self.space.extent().map(Extent::fencepost) else { return };
        // SAFETY: the header is the fencepost of the break's region.
        if let Some(top) = unsafe { fencepost.prev_if_free() } {
            // SAFETY: the cell is free, and there is no top, so it is in its bin.
            unsafe { self.bins.remove(top, fencepost.addr() - top.addr()) };
            self.top = Some(top);
            if let Some(extent) = self.space.extent_mut() {
                // The bin wrote links into the cell.
                extent.not_fresh_below(top.addr() + MIN_CELL - WORD);
            }
        }
    }

    /// Returns whether a free cell may fill its segment. Notes that in the source.
    ///
    /// # Safety
    ///
    /// `cell` is a valid free cell of `size` bytes.
    unsafe fn may_be_segment(&mut self, cell: Cell<P>, size: usize) -> bool {
        if !self.space.source().may_begin_segment(cell.addr()) {
            return false;
        }
        // SAFETY: a header follows the valid cell, `size` bytes above it.
        let behind = unsafe { cell.offset(size) };
        // SAFETY: the header behind a valid cell is that of a valid cell, or a fencepost.
        let is_segment = unsafe { behind.header() }.is_fencepost();
        if is_segment {
            self.space.source_mut().note_free_segment();
        }
        is_segment
    }
}
