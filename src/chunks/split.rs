//! Splits free cells and coalesces them again (C3, C6).
//!
//! On 32-bit, a target with little memory for code, `split`, `coalesce` and `keep_as` are linked
//! once; elsewhere they are parts of their callers.

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::bins::Fit;
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::provider::Source;
use crate::request::Request;
use crate::space::{Extent, Joined};

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
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) unsafe fn split(
        &mut self,
        fit: Fit<P>,
        request: Request,
        was_top: bool,
    ) -> NonNull<u8> {
        let Fit { mut cell, mut size, lead } = fit;
        if lead > 0 {
            // SAFETY: the lead is the lower part of the free cell, long enough for a cell
            // (`Request::fit`); the header behind it, which is written below, says that it is free.
            // `lead < size`, and both are multiples of CELL_ALIGN: the place lies in the cell.
            unsafe {
                self.keep_as(cell, lead, false);
                cell = cell.offset(lead);
            }
            size -= lead;
        }
        let mut used = request.size();
        // SAFETY: the rest is the upper part of the free cell, and ends at the break if that did;
        // without a rest, a cell or fencepost follows. No two free cells are neighbours, so the
        // cell before is used, unless it is the lead.
        unsafe {
            if size - used < MIN_CELL {
                used = size;
                cell.offset(used).set_prev_used(true);
            } else {
                self.keep_as(cell.offset(used), size - used, was_top);
            }
            cell.write_used(used, lead == 0);
        }
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
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) unsafe fn coalesce(&mut self, cell: Cell<P>, size: usize, prev_used: bool) -> bool {
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

    /// Takes a cell out of its bin or from `top` if it is free, and returns its size; else 0.
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
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    #[cfg_attr(not(target_pointer_width = "32"), inline(always))]
    pub(super) unsafe fn keep_as(&mut self, cell: Cell<P>, size: usize, is_top: bool) {
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
        if !self.space.source.may_begin_segment(cell.addr()) {
            return false;
        }
        // SAFETY: a header follows the valid cell, `size` bytes above it.
        let behind = unsafe { cell.offset(size) };
        // SAFETY: the header behind a valid cell is that of a valid cell, or a fencepost.
        let is_segment = unsafe { behind.header() }.is_fencepost();
        if is_segment {
            self.space.source.note_free_segment();
        }
        is_segment
    }
}
