//! Resizes cells in place (C7).
//!
//! ```text
//!   shrink: split the rest off ─► the next cell ─► the break ─► the previous cell ─► both
//!           ─► both, and the break
//! ```
//!
//! `resize` tries all of them. `way_to`, `shorten` and `lengthen` are the first two alone, in less
//! time.

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::cell::{Cell, Form, MIN_CELL, WORD, copy_down};
use crate::provider::Source;
use crate::request::Request;
use crate::space::Extent;

/// Way to a cell's new size.
pub(crate) enum Way {
    /// The cell has it.
    Stay,
    /// The cell becomes [shorter](Chunks::shorten).
    Shorten,
    /// The cell becomes [longer](Chunks::lengthen) with the free cell behind it.
    Lengthen,
    /// The cell is too short, together with the free cell behind it.
    Move,
}

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Gives a used cell the request's size, in its place or in that of the free cell before it.
    /// Claims as few of the free cells beside it as suffice, and frees the rest. If the cell is
    /// larger than the request, this never fails.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell. Its owner gives up the old place, and needs only the first
    /// `len` bytes of the payload; they fit into the request.
    #[inline(always)]
    pub(crate) unsafe fn resize(
        &mut self,
        cell: Cell<P>,
        request: Request,
        len: usize,
        may_move_break: bool,
    ) -> Option<NonNull<u8>> {
        let needed = request.size();
        // SAFETY: `cell` is valid: this method's clause.
        let header = unsafe { cell.header() };
        let mut size = header.size();
        // SAFETY: another cell or a fencepost follows a valid cell.
        let mut behind = unsafe { cell.offset(size) };
        // SAFETY: `behind` is the cell or fencepost behind a valid cell.
        let free = unsafe { size_if_free(behind) };
        let (mut start, mut whole, mut prev_used) = (cell, size, header.is_prev_used());
        if size + free < needed {
            // SAFETY: `cell` is valid, and `behind` follows it. Both are too short.
            start = unsafe { self.make_room_around(cell, behind, request, may_move_break) }?;
            if !P::COMPACT {
                // SAFETY: `cell` is valid still. It has become longer, if slack followed it.
                (size, behind) = unsafe { (cell.header().size(), cell.next()) };
                whole = size;
            }
            if start != cell {
                // SAFETY: `start` is the free cell before `cell`. With `cell` it holds `len` bytes,
                // rounded up to whole words, because `cell` alone does.
                unsafe {
                    self.claim_if_free(start);
                    copy_down::<P>(cell.payload(), start.payload(), len);
                }
                whole += cell.addr() - start.addr();
                // No free cell precedes a free one.
                prev_used = true;
            }
        }
        if whole < needed {
            // SAFETY: `behind` is a valid free cell, because without it `whole` does not suffice.
            whole += unsafe { self.claim_if_free(behind) };
        }
        let rest = if whole - needed < MIN_CELL { 0 } else { whole - needed };
        let used = whole - rest;
        // SAFETY: the `used` bytes are the lower part of the claimed span, of which only the
        // payload's first `len` bytes are needed: this method's clause.
        unsafe { start.write_used(used, prev_used) };
        // SAFETY: the place lies in the claimed span, or is the header behind it.
        let end = unsafe { start.offset(used) };
        if rest > 0 {
            // SAFETY: the rest is the upper part of the claimed span, and nothing uses it.
            unsafe { self.coalesce(end, rest, true) };
        } else {
            // SAFETY: `end` is the cell or fencepost behind the claimed span.
            unsafe { end.set_prev_used(true) };
        }
        self.counters.resized(size, used);
        self.note_written(start, used);
        if used < size {
            self.trim_if_due();
        }
        Some(start.payload())
    }

    /// Returns the way to `needed` bytes for a used cell. O(1).
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell. `needed` is the size of a possible cell.
    #[inline(always)]
    pub(crate) unsafe fn way_to(&self, cell: Cell<P>, needed: usize) -> Way {
        // SAFETY: `cell` is valid (this method's clause), and another one or a fencepost follows
        // it.
        let (size, behind) = unsafe {
            let size = cell.header().size();
            (size, cell.offset(size).header())
        };
        if needed <= size {
            return if size - needed < MIN_CELL { Way::Stay } else { Way::Shorten };
        }
        let is_enough = !behind.is_used() && size + behind.size() >= needed;
        if is_enough { Way::Lengthen } else { Way::Move }
    }

    /// Makes a used cell shorter: `needed` bytes. Returns whether memory may be due to be given
    /// back.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, [to be shortened](Way::Shorten), whose owner needs only what
    /// fits into `needed` bytes.
    #[inline(always)]
    pub(crate) unsafe fn shorten(&mut self, cell: Cell<P>, needed: usize) -> bool {
        // SAFETY: `cell` is valid: this method's clause.
        let header = unsafe { cell.header() };
        let size = header.size();
        self.counters.resized(size, needed);
        // SAFETY: the `needed` bytes are the lower part of the cell, and nothing uses the upper
        // one, which is long enough for a cell: this method's clause.
        unsafe {
            cell.write_resized(header, needed);
            self.coalesce(cell.offset(needed), size - needed, true)
        }
    }

    /// Makes a used cell longer: `needed` bytes, or some more. Returns its old and its new size in
    /// bytes.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, [to be lengthened](Way::Lengthen).
    #[inline(always)]
    pub(crate) unsafe fn lengthen(&mut self, cell: Cell<P>, needed: usize) -> (usize, usize) {
        // SAFETY: `cell` is valid, and a free one follows it: this method's clause.
        let (header, behind, free) = unsafe {
            let header = cell.header();
            let behind = cell.offset(header.size());
            (header, behind, behind.header().size())
        };
        let size = header.size();
        let is_top = self.top == Some(behind);
        if !is_top {
            // SAFETY: a free cell that is not the top is in its bin: the type's invariant.
            unsafe { self.bins.remove(behind, free) };
        }
        let whole = size + free;
        let used = if whole - needed < MIN_CELL { whole } else { needed };
        // SAFETY: the `used` bytes are the lower part of the span of both cells, and the rest is
        // the upper part of the free one. It ends at the break if that did.
        unsafe {
            cell.write_resized(header, used);
            let end = cell.offset(used);
            if used < whole {
                self.keep_as(end, whole - used, is_top);
            } else {
                end.set_prev_used(true);
                if is_top {
                    self.top = None;
                }
            }
        }
        self.counters.resized(size, used);
        if is_top {
            self.note_written(cell, used);
        }
        (size, used)
    }

    /// Returns whether a used cell that would [move](Way::Move) may have room by
    /// [`resize`](Chunks::resize): with the free cell before it, or with what the break grants.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell.
    pub(crate) unsafe fn may_have_room(&self, cell: Cell<P>, needed: usize) -> bool {
        // SAFETY: `cell` is valid (this method's clause), and another one or a fencepost follows
        // it.
        unsafe {
            let header = cell.header();
            let behind = cell.offset(header.size());
            let next = behind.header();
            if next.is_fencepost() || self.top == Some(behind) {
                return true;
            }
            let free = if next.is_used() { 0 } else { next.size() };
            !header.is_prev_used()
                && cell.addr() - cell.prev_free().addr() + header.size() + free >= needed
        }
    }

    /// Makes room for a cell that must become larger than itself and the free cell behind it: moves
    /// the break up, or includes the free cell before it, or both. Returns the start of the span
    /// that ends with the free cell behind, if there is one, and holds the request. `None`: there
    /// is no such span.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, and `behind` follows it. Both, if `behind` is free, are too
    /// short for the request.
    unsafe fn make_room_around(
        &mut self,
        cell: Cell<P>,
        mut behind: Cell<P>,
        request: Request,
        may_move_break: bool,
    ) -> Option<Cell<P>> {
        let mut start = cell;
        loop {
            if may_move_break {
                // SAFETY: `start` is `cell`, or the free cell before it; `behind` follows `cell`.
                unsafe { self.move_break_behind(start, cell, behind, request.size()) };
                // The cell lies in a region. If none is known, the heap has stopped.
                self.space.lowest()?;
            }
            if !P::COMPACT {
                // SAFETY: `cell` is valid still. It has become longer, if slack followed it.
                behind = unsafe { cell.next() };
            }
            // SAFETY: `behind` is a cell or fencepost still: the break may have moved up, or a new
            // region may have begun, and the heap has not stopped.
            let end = behind.addr() + unsafe { size_if_free(behind) };
            if end - start.addr() >= request.size() {
                return Some(start);
            }
            if start != cell {
                return None;
            }
            // SAFETY: `cell` is valid: this method's clause.
            start =
                unsafe { cell.prev_if_free() }.filter(|start| request.lead(start.addr()) == 0)?;
        }
    }

    /// Moves the break up so that a cell from `start` to behind `cell` can have `needed` bytes, if
    /// at most the top lies between `cell` and the break, and if the cell is too short together
    /// with the top. A grant that is too short for a free cell makes `cell` longer, except in a
    /// compact heap.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, and `behind` follows it. `start` is `cell`, or the free cell
    /// before it.
    unsafe fn move_break_behind(
        &mut self,
        start: Cell<P>,
        cell: Cell<P>,
        behind: Cell<P>,
        needed: usize,
    ) {
        let Some(extent) = self.space.extent() else { return };
        let is_last = self.top == Some(behind) || extent.fencepost() == behind;
        // The sum does not overflow for a real request, whose size is below `isize::MAX`.
        let Some(end) = start.addr().checked_add(needed + WORD) else { return };
        // A segment never continues another one.
        if !B::CONTIGUOUS || !is_last || end <= extent.fencepost().addr() + WORD {
            return;
        }
        // Compact code has no slack to claim: it asks for a whole cell.
        let least = if P::COMPACT { behind.addr() + MIN_CELL + WORD } else { end };
        let end = end.max(least);
        let is_in_slack = !P::COMPACT && self.top.is_none() && end <= extent.end();
        if !is_in_slack {
            let continues = self.space.source.brk().addr() == extent.end();
            let missing = end.wrapping_sub(extent.end());
            // Slack behind a top may suffice: it joins the top with the next byte.
            let missing = if P::COMPACT || end > extent.end() { missing } else { 1 };
            // After a refusal the block may still find room elsewhere.
            if !continues || self.grow(missing).is_err() {
                return;
            }
        }
        let is_enough = |extent: &Extent<P>| extent.fencepost() == behind && end <= extent.end();
        if !P::COMPACT && self.space.extent().is_some_and(is_enough) {
            // SAFETY: `cell` is valid still, and the fencepost of the break's region follows it:
            // the heap has not stopped.
            unsafe { self.claim_slack(cell) };
        }
    }

    /// Makes a used cell longer by the slack at the end of the break's region.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, and the fencepost of the break's region follows it. Its record
    /// is about to be written.
    unsafe fn claim_slack(&mut self, cell: Cell<P>) {
        // SAFETY: the cell before the fencepost is `cell`, which is used, and becomes longer.
        let slack = unsafe { self.space.raise_fencepost() };
        // SAFETY: `cell` is valid (this method's clause). The former fencepost and the slack follow
        // it, up to the new one.
        unsafe {
            let header = cell.header();
            cell.write_resized(header, header.size() + slack);
            self.counters.resized(header.size(), header.size() + slack);
        }
    }
}

/// Returns the size of a cell if it is free, else 0.
///
/// # Safety
///
/// `cell` is valid, or a fencepost.
unsafe fn size_if_free<F: Form>(cell: Cell<F>) -> usize {
    // SAFETY: the cell is valid or a fencepost: this function's clause.
    let header = unsafe { cell.header() };
    if header.is_used() { 0 } else { header.size() }
}
