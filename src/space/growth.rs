//! Moves the break up.
//!
//! ```text
//!   granted, contiguous       the region becomes longer
//!   granted, higher up        foreign code has moved the break: a fencepost bridges a hole (C14)
//!   granted, lower down       foreign code took memory of the heap: the heap stops and says so
//!   granted, and above it     memory that was added: it may become one region with the grant
//!   a segment                 a region more, wherever it lies
//! ```

use core::ptr::NonNull;

use super::extent::fresh_above_header;
use super::{Extent, Space};
use crate::cell::{CELL_ALIGN, Cell, Form, MIN_CELL, Region, WORD};
use crate::provider::{BreakError, Source};
use crate::request::Request;

impl<B: Source, F: Form> Space<B, F> {
    /// Returns by how much the break must move for a cell at the end of its region to hold the
    /// request, if no foreign code moves it meanwhile; 0 if one does already. `top` is the free
    /// cell at the end. `None`: no address space is large enough.
    pub(crate) fn missing_for(&self, request: Request, top: Option<Cell<F>>) -> Option<usize> {
        let fits = |top: Cell<F>, fencepost: Cell<F>| {
            request.fit(top.addr(), fencepost.addr() - top.addr()).is_some()
        };
        if !B::CONTIGUOUS {
            if let (Some(top), Some(extent)) = (top, &self.extent) {
                if fits(top, extent.fencepost()) {
                    return Some(0);
                }
            }
            // At most that much is lost at either end, with head and fencepost.
            return request.size_anywhere()?.checked_add(2 * (CELL_ALIGN + WORD));
        }
        let brk = self.source.brk().addr();
        let (cell, end) = match &self.extent {
            // The next grant is merged with the top.
            Some(extent) if extent.end() == brk => {
                (top.unwrap_or(extent.fencepost()).addr(), extent.fencepost().addr() + WORD)
            }
            // A top that cannot grow must do as it is.
            Some(extent) if top.is_some_and(|top| fits(top, extent.fencepost())) => return Some(0),
            _ => (brk.checked_add(Cell::<F>::first_offset(brk))?, brk),
        };
        let needed =
            cell.checked_add(request.lead(cell))?.checked_add(request.size())?.checked_add(WORD)?;
        // The fencepost may stand up to a cell below the break: a grant counts from the break on.
        Some(if needed <= end { 0 } else { needed.saturating_sub(brk).max(1) })
    }

    /// Has at least `missing` bytes granted, and `generous` if the provider has as much. The grant
    /// is not part of the heap yet: see [`join`](Space::join).
    ///
    /// # Errors
    ///
    /// The provider's answer; or [`BreakError::MemoryTaken`] if the grant begins below the heap's
    /// end: the heap has stopped.
    pub(crate) fn grow(
        &mut self,
        missing: usize,
        generous: usize,
    ) -> Result<NonNull<[u8]>, BreakError> {
        if missing > isize::MAX as usize {
            return Err(BreakError::OutOfAddresses);
        }
        let rounded = self.round_up_to_step(missing);
        let mut by = if generous > missing { self.round_up_to_step(generous) } else { rounded };
        let grant = loop {
            match self.source.obtain(by) {
                // The whole step may be more than there is, and the missing bytes may not.
                Err(_) if by > rounded => by = rounded,
                Err(_) if by > missing => by = missing,
                answer => break answer?,
            }
        };
        let from = grant.cast::<u8>().addr().get();
        if B::CONTIGUOUS && self.extent.as_ref().is_some_and(|extent| from < extent.brk()) {
            self.refuse(grant);
            return Err(self.stop(from));
        }
        self.granted += grant.len();
        Ok(grant)
    }

    /// Appends a grant to the break's region if it touches it, else makes it a region of its own:
    /// the short form of [`join`](Space::join), in less time and less code, for a space to which
    /// nothing was added, as most are.
    ///
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

    /// Moves the fencepost of the break's region up to the last place in the region. Returns by how
    /// many bytes.
    ///
    /// # Safety
    ///
    /// The cell before the fencepost is used. The caller makes it longer, up to the new fencepost.
    pub(crate) unsafe fn raise_fencepost(&mut self) -> usize {
        let Some(extent) = &mut self.extent else { return 0 };
        let (end, old) = (extent.region.end, extent.fencepost());
        let slack = end - Cell::<F>::fencepost_offset(end) - old.addr();
        // SAFETY: the fencepost of a region; all first cells are exposed.
        let above = unsafe { old.behind_hole() };
        // SAFETY: the last place for a fencepost in the region.
        let fencepost = unsafe { old.offset(slack) };
        let hole = above.map_or(0, |above| above.addr() - fencepost.addr());
        // SAFETY: the word lies in the slack, or is the fencepost; the cell before it is used: this
        // method's clause.
        unsafe { fencepost.write_fencepost(hole, true) };
        extent.region.fencepost = fencepost;
        extent.fresh = fresh_above_header(fencepost, extent.fresh);
        slack
    }

    /// Gives a grant back that became no part of the heap, and counts as granted.
    pub(crate) fn decline(&mut self, grant: NonNull<[u8]>) {
        self.granted -= grant.len();
        self.refuse(grant);
    }

    /// Gives a grant back that the heap has no use for. If the provider refuses, it stays unused.
    fn refuse(&mut self, grant: NonNull<[u8]>) {
        if B::CONTIGUOUS {
            // SAFETY: the grant was never used, and ends at the break.
            let _ = unsafe { self.source.lower(grant.len()) };
        } else {
            // SAFETY: the grant was never used.
            unsafe { self.source.give_back(grant) };
        }
    }

    /// Returns the least distance of `by` or more that leaves the break at a multiple of the
    /// provider's step, but at most `isize::MAX`.
    fn round_up_to_step(&self, by: usize) -> usize {
        let (end, mask) = (self.source.brk().addr(), self.source.step() - 1);
        // The sum may wrap; the distance does not, and the provider refuses one that is too long.
        let distance = (end.wrapping_add(by).wrapping_add(mask) & !mask).wrapping_sub(end);
        distance.min(isize::MAX as usize)
    }
}
