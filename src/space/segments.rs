//! Memory that comes and goes in whole segments, from a source that is not contiguous.
//!
//! ```text
//!   ▐ segment ▌    ▐ segment ▌  ▐ last ▌   ▐ segment ▌      each is a region; the segment granted
//!                                 └─ top                    last takes the place of the break's
//! ```

use core::ptr::NonNull;

use super::Space;
use crate::cell::{Form, Region, WORD};
use crate::provider::Source;

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
