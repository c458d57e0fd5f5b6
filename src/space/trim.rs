//! Moves the break down, as far as the free cell at its end allows (C8).
//!
//! ```text
//!                                             what stays: `keep`, rounded up by the steps
//!   … │ used │     free      │F▐   ──►   … │ used │ free │F▐
//!                              └ break                     └ break
//! ```

use super::{Extent, Space};
use crate::cell::{CELL_ALIGN, Cell, Form, MIN_CELL, WORD};
use crate::provider::Source;
use crate::request::round_up;

impl<B: Source, F: Form> Space<B, F> {
    /// Moves the break down, in the provider's steps, so that at least `keep` bytes of the free
    /// cell `top` at its end stay. Returns the number of bytes given back, and the size of the rest
    /// of `top`, in bytes: 0, or enough for a cell. The rest is in no cell.
    ///
    /// Nothing is given back (`None`) if the provider refuses, or if memory that the break did not
    /// grant lies between the heap's end and the break, or directly above it.
    ///
    /// # Safety
    ///
    /// `top` is the free cell at the end of the break's region, and in no bin.
    pub(crate) unsafe fn lower(&mut self, top: Cell<F>, keep: usize) -> Option<(usize, usize)> {
        let extent = self.extent.as_ref()?;
        let region = extent.region();
        if extent.is_pinned() || self.source.brk().addr() != extent.brk() {
            return None;
        }
        let is_alone = self.lowest == Some(region.first) && self.last.is_none();
        let all = keep == 0 && top == region.first && region.start == extent.floor && is_alone;
        let by = if all { region.end - region.start } else { self.surplus(top, extent, keep)? };
        // Read the fencepost before its memory goes.
        // SAFETY: the header is the region's fencepost; all first cells are exposed.
        let above = unsafe { region.fencepost.behind_hole() };
        // SAFETY: the `by` bytes below the break were granted; they are the upper part of the free
        // top and the fencepost behind it.
        unsafe { self.source.lower(by) }.ok()?;
        self.granted -= by;
        if all {
            (self.extent, self.lowest) = (None, None);
            return Some((by, 0));
        }
        let end = region.end - by;
        let left = end - Cell::<F>::fencepost_offset(end) - top.addr();
        let left = if left < MIN_CELL { 0 } else { left };
        // SAFETY: `left` bytes above the top's start lie below the new end of the region.
        let fencepost = unsafe { top.offset(left) };
        if let Some(extent) = &mut self.extent {
            extent.brk = end;
            extent.region.fencepost = fencepost;
            extent.region.end = end;
            extent.fresh = extent.fresh.min(end);
        }
        let hole = above.map_or(0, |above| above.addr() - fencepost.addr());
        // SAFETY: the word lies in the former top, so in no cell. The cell before it is used,
        // unless it is the rest of the top.
        unsafe { fencepost.write_fencepost(hole, left == 0) };
        Some((by, left))
    }

    /// Returns how many bytes can go if `keep` stay in the top, by the provider's steps: nothing
    /// below the floor.
    fn surplus(&self, top: Cell<F>, extent: &Extent<F>, keep: usize) -> Option<usize> {
        let keep = if keep == 0 { 0 } else { round_up(keep, CELL_ALIGN)?.max(MIN_CELL) };
        let lowest = top.addr().checked_add(keep)?.checked_add(WORD)?;
        let end = if lowest <= extent.floor {
            extent.floor
        } else {
            round_up(lowest, self.source.step())?
        };
        extent.brk().checked_sub(end).filter(|&by| by > 0)
    }
}
