//! Moves the break down, as far as the free cell at its end allows (C8); or gives back whole
//! segments, to a source that is not contiguous.
//!
//! ```text
//!                                             what stays: `keep`, rounded up by the steps
//!   … │ used │     free      │F▐   ──►   … │ used │ free │F▐
//!                              └ break                     └ break
//!
//!   ▐ segment ▌    ▐ segment ▌  ▐ last ▌   ▐ segment ▌      each is a region; the segment granted
//!                                 └─ top                    last takes the place of the break's
//! ```

use core::ptr::NonNull;

use super::{Extent, Space};
use crate::cell::{CELL_ALIGN, Cell, Form, MIN_CELL, Region, WORD};
use crate::provider::Source;
use crate::request::round_up;

/// Returns whether a region is one free cell.
///
/// # Safety
///
/// It is a region of a heap.
pub(crate) unsafe fn is_one_free_cell<F: Form>(region: &Region<F>) -> bool {
    // SAFETY: the first cell of a region.
    let header = unsafe { region.first.header() };
    !header.is_used() && header.size() == region.length()
}

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

    /// Gives a region back to the provider: it is one segment, for no two touch.
    ///
    /// # Safety
    ///
    /// All of it is one free cell, in no bin, and not the top. `below` is the region below it.
    pub(crate) unsafe fn give_back(&mut self, region: &Region<F>, below: Option<Region<F>>) {
        let above = self.region_above(region);
        if self.is_breaks(region) {
            self.extent = None;
        }
        match (below, above) {
            (None, _) => self.lowest = above.map(|above| above.first),
            // SAFETY: the header is the fencepost of the region below; `above` begins with `first`.
            (Some(below), Some(above)) => unsafe { below.fencepost.lead_to(above.first) },
            // SAFETY: the header is the fencepost of the region below, which becomes the last one.
            (Some(below), None) => unsafe { below.fencepost.lead_nowhere() },
        }
        if above.is_none() {
            self.last = below.filter(|below| !self.is_breaks(below)).map(|below| below.fencepost);
        }
        let len = region.end - region.start;
        self.granted -= len;
        let lead = region.first.addr() - region.start;
        // SAFETY: the cell lies in the region, `lead` bytes above its start.
        let start = unsafe { region.first.payload().sub(lead + WORD) };
        // SAFETY: the region is what one grant was; the caller gives it up.
        unsafe { self.source.give_back(NonNull::slice_from_raw_parts(start, len)) };
    }
}
