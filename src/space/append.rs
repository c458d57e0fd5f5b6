//! How a grant becomes part of a space to which nothing was added, as most are: the short form of
//! [`join`](Space::join), in less time and less code.

use core::ptr::NonNull;

use super::extent::fresh_above_header;
use super::{Extent, Space};
use crate::cell::{Cell, Form, MIN_CELL, Region};
use crate::provider::Source;

impl<B: Source, F: Form> Space<B, F> {
    /// Appends a grant to the break's region if it touches it, else makes it a region of its own.
    /// Returns the place of the first cell of what is free now, and its size: `top`, if there is
    /// one and the grant touches the region, is part of it. `None`: the grant is too short for a
    /// cell.
    ///
    /// # Safety
    ///
    /// The grant is memory of the heap's now that nothing uses. No memory was added beside the
    /// break's, the grant lies above all regions, and pointers may be moved between it and the
    /// break's region if they touch. `top` is the free cell at the end of that region, and in no
    /// bin.
    pub(crate) unsafe fn append(
        &mut self,
        grant: NonNull<[u8]>,
        top: Option<Cell<F>>,
    ) -> Option<(Cell<F>, usize)> {
        let start = grant.cast::<u8>();
        let from = start.addr().get();
        let end = from + grant.len();
        let highest = end - Cell::<F>::fencepost_offset(end);
        if let Some(extent) = self.extent.as_mut().filter(|extent| extent.end() == from) {
            (extent.region.end, extent.brk) = (end, end);
            let old = extent.fencepost();
            let length = highest - old.addr();
            if top.is_none() && length < MIN_CELL {
                return None;
            }
            // SAFETY: `length` bytes above the former fencepost, below the end of the grant.
            let fencepost = unsafe { old.offset(length) };
            extent.region.fencepost = fencepost;
            let cell = match top {
                Some(top) => {
                    // SAFETY: the former fencepost, which becomes the inside of the top.
                    unsafe { old.erase_with_size_before() };
                    top
                }
                None => {
                    extent.fresh = fresh_above_header(old, extent.fresh);
                    old
                }
            };
            // SAFETY: the last whole word of the grant, in no cell. A free cell will precede it.
            unsafe { fencepost.write_fencepost(0, false) };
            return Some((cell, fencepost.addr() - cell.addr()));
        }
        let lead = Cell::<F>::first_offset(from);
        let length = highest.wrapping_sub(from + lead);
        if !(MIN_CELL..grant.len()).contains(&length) {
            self.decline(grant);
            return None;
        }
        // SAFETY: the grant is longer than the lead.
        let first = Cell::at(unsafe { start.byte_add(lead) });
        // SAFETY: `length` bytes above the first cell, below the end of the grant.
        let fencepost = unsafe { first.offset(length) };
        // SAFETY: the last whole word of the grant, in no cell. A free cell will precede it.
        unsafe { fencepost.write_fencepost(0, false) };
        first.expose();
        let region = Region { start: from, first, fencepost, end };
        let fresh = fresh_above_header(first, from);
        match self.extent.replace(Extent { region, floor: from, brk: end, fresh }) {
            None => self.lowest = Some(first),
            Some(old) => {
                // SAFETY: all of it is memory of the heap.
                unsafe { old.region.record() };
                // SAFETY: its fencepost.
                unsafe { old.region.fencepost.lead_to(first) };
            }
        }
        Some((first, length))
    }
}
