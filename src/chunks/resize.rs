//! How a cell changes its size in place (C7).
//!
//! ```text
//!   shrink: the rest is split off ─► the next cell ─► the break ─► the previous cell ─► both
//!           ─► both, and the break
//! ```

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::cell::{Cell, Form, MIN_CELL, WORD};
use crate::provider::Source;
use crate::request::Request;

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Gives a used cell the request's size, where it is or a little further down. It takes in the
    /// free cells beside it, as few as do, and gives back what is left over. If the cell is
    /// larger than the request, this never fails.
    ///
    /// # Safety
    ///
    /// `cell` is a valid used cell, and its owner, who gives up the old place, needs the first
    /// `len` bytes of its payload only; they fit into the request.
    #[inline(always)]
    pub(crate) unsafe fn resize(
        &mut self,
        cell: Cell<P>,
        request: Request,
        len: usize,
        may_move_break: bool,
    ) -> Option<NonNull<u8>> {
        let needed = request.size();
        // SAFETY: `cell` is valid.
        let header = unsafe { cell.header() };
        let size = header.size();
        // SAFETY: a valid cell is followed by another or by a fencepost.
        let behind = unsafe { cell.offset(size) };
        // SAFETY: the cell, or the fencepost, behind.
        let mut free = unsafe { size_if_free(behind) };
        let (mut start, mut whole, mut prev_used) = (cell, size, header.is_prev_used());
        loop {
            if whole + free < needed && may_move_break {
                // SAFETY: `start` is `cell`, or the free cell that `cell` follows; `behind` follows
                // `cell`. All are too short together.
                unsafe { self.move_break_behind(start, behind, needed) };
                // The cell lies in a region: without one the heap has stopped.
                self.space.lowest()?;
                // SAFETY: as above; the break may have moved, or a new region may have begun.
                free = unsafe { size_if_free(behind) };
            }
            if whole + free >= needed {
                break;
            }
            if start != cell {
                return None;
            }
            // SAFETY: `cell` is valid.
            start =
                unsafe { cell.prev_if_free() }.filter(|start| request.lead(start.addr()) == 0)?;
            whole += cell.addr() - start.addr();
        }
        if start != cell {
            // SAFETY: a valid free cell.
            unsafe { self.claim_if_free(start) };
            // No free cell precedes a free one.
            prev_used = true;
        }
        if whole < needed {
            // SAFETY: the cell behind, which is free: without it there would not be enough.
            whole += unsafe { self.claim_if_free(behind) };
        }
        if start != cell {
            // SAFETY: both places lie in the cells that are now one, and hold `len` bytes, as
            // payloads do in whole words.
            unsafe { cell.move_payload_down(start, len) };
        }
        let rest = if whole - needed < MIN_CELL { 0 } else { whole - needed };
        let used = whole - rest;
        // SAFETY: the lower part of what was claimed; nobody needs any other word of it than the
        // payload's first `len` bytes.
        unsafe { start.write_used(used, prev_used) };
        // SAFETY: inside what was claimed, or the cell behind it.
        let end = unsafe { start.offset(used) };
        if rest > 0 {
            // SAFETY: the upper part of what was claimed, which nobody uses, followed by what
            // followed the whole.
            unsafe { self.coalesce(end, rest, true) };
        } else {
            // SAFETY: the cell, or the fencepost, that followed the whole.
            unsafe { end.set_prev_used(true) };
        }
        self.counters.resized(size, used);
        self.note_written(start, used);
        if used < size {
            self.trim_if_due();
        }
        Some(start.payload())
    }

    /// If only the top, or nothing, lies between a cell and the break, moves the break so that the
    /// cell can have `needed` bytes.
    ///
    /// # Safety
    ///
    /// `cell` is a valid cell, or one that a used cell follows; `behind` follows it, or both. They
    /// are shorter than `needed`, also together with `behind` if that is free.
    unsafe fn move_break_behind(&mut self, cell: Cell<P>, behind: Cell<P>, needed: usize) {
        let Some(extent) = self.space.extent() else { return };
        let is_last = self.top == Some(behind) || extent.fencepost() == behind;
        // A segment never continues another one.
        if !B::CONTIGUOUS || !is_last || self.space.source().brk().addr() != extent.end() {
            return;
        }
        // (A request's size is far below the greatest number.)
        let Some(end) = cell.addr().checked_add(needed + WORD) else { return };
        // A refusal is no error yet: the block may find room elsewhere.
        let _ = self.grow(end.saturating_sub(extent.end()).max(1));
    }
}

/// Size of a cell if it is free, else 0.
///
/// # Safety
///
/// `cell` is valid, or a fencepost.
unsafe fn size_if_free<F: Form>(cell: Cell<F>) -> usize {
    // SAFETY: the caller's promise.
    let header = unsafe { cell.header() };
    if header.is_used() { 0 } else { header.size() }
}
