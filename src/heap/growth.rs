//! The heap's end of the bargain with the break: growing, and fencing off what is not ours. (Giving
//! back: trim.rs.)
//!
//! ```text
//!   granted, contiguous       the cell before the old fence, or the fence's own place, becomes a larger top
//!   granted, higher up        somebody else moved the break in between: a fence now bridges a hole   (C14)
//!   granted, lower down       somebody took our memory: the heap stops and says so
//!   granted, and above it     memory that was added: join.rs
//!   granted by a scattered    a region more, wherever it lies; one that becomes one free cell goes back: pieces.rs
//!   provider
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

#[cfg(feature = "checked")]
use super::checked::guarded_layout;
use super::extent::{Extent, Taken};
use super::request::round_up;
use super::{Heap, Request};
use crate::cell::{Cell, MIN_CELL, Region, WORD};
use crate::provider::{Break, BreakError, Map};

/// How often the heap asks again when somebody else moved the break in between, or a grant fell
/// short.
const ATTEMPTS: usize = 4;

/// A heap that has runs moves the break up by so many bytes at least, if it can.
const GROWTH_STEP: usize = 64 << 10;

/// Whether an allocation may move the break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Growth {
    Allowed,
    Forbidden,
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Makes sure that a block of `bytes` bytes can be allocated without moving the break, by
    /// moving it now if need be. A fresh heap is then one single free cell that holds them
    /// (C2).
    ///
    /// # Errors
    ///
    /// What the provider answers. The heap is as it was, or has a larger top.
    ///
    /// # Time
    ///
    /// O(1), plus a few calls of the provider.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), BreakError> {
        let layout = Layout::from_size_align(bytes, 1).map_err(|_| BreakError::OutOfAddresses)?;
        #[cfg(feature = "checked")]
        let layout = guarded_layout(layout).ok_or(BreakError::OutOfAddresses)?;
        // A small block that is a cell has the size of its class.
        let layout = self.small_class_of(layout).map_or(layout, |class| class.in_full(layout));
        let request = Request::new(layout);
        if self.bins.holds(request) {
            return Ok(());
        }
        self.make_room(request)
    }

    /// Moves the break up until the top holds the request.
    pub(super) fn make_room(&mut self, request: Request) -> Result<(), BreakError> {
        for attempt in 0..=ATTEMPTS {
            self.watch_the_break()?;
            let missing = self.missing_for(request).ok_or(BreakError::OutOfAddresses)?;
            if missing == 0 {
                return Ok(());
            }
            if attempt < ATTEMPTS {
                self.grow(missing)?;
            }
        }
        Err(BreakError::Refused)
    }

    /// How far the break must move for the top to hold the request, if nobody else moves it
    /// meanwhile; 0 if it does already.
    fn missing_for(&self, request: Request) -> Option<usize> {
        if B::SCATTERED {
            return self.missing_anywhere(request);
        }
        let brk = self.brk.end();
        let (cell, end) = match &self.extent {
            // What comes next will be merged with the top.
            Some(extent) if extent.end() == brk.addr() => {
                (self.top.unwrap_or(extent.fence()).addr(), extent.fence().addr() + WORD)
            }
            // A top that cannot grow must do as it is.
            Some(extent)
                if self.top.is_some_and(|top| {
                    request.fit(top.addr(), extent.fence().addr() - top.addr()).is_some()
                }) =>
            {
                return Some(0);
            }
            _ => (brk.addr().checked_add(Cell::first_offset(brk.addr()))?, brk.addr()),
        };
        let needed =
            cell.checked_add(request.lead(cell))?.checked_add(request.size())?.checked_add(WORD)?;
        // The fence may stand up to a cell below the break: what is granted counts from the break
        // on.
        Some(if needed <= end { 0 } else { needed.saturating_sub(brk.addr()).max(1) })
    }

    /// Moves the break up by `missing` bytes or more and takes in what is granted.
    pub(super) fn grow(&mut self, missing: usize) -> Result<(), BreakError> {
        if missing > isize::MAX as usize {
            return Err(BreakError::OutOfAddresses);
        }
        let rounded = self.round_up_to_granule(missing).unwrap_or(missing);
        // Small blocks come often, and pages of them want room: a heap that has runs does not move
        // the break for a page.
        let generous = if self.small.has_runs() && !B::SCATTERED {
            self.round_up_to_granule(missing.max(GROWTH_STEP))
        } else {
            None
        };
        let mut step = generous.unwrap_or(rounded);
        let grant = loop {
            match self.brk.grow(step) {
                // The whole step may be more than there is; what is needed may not.
                Err(_) if step > rounded => step = rounded,
                Err(_) if step > missing => step = missing,
                answer => break answer?,
            }
        };
        self.take_in(grant)
    }

    /// The least step that moves the break by `by` or more and leaves it at a multiple of the
    /// provider's granule.
    fn round_up_to_granule(&self, by: usize) -> Option<usize> {
        let end = self.brk.end().addr();
        let step = round_up(end.checked_add(by)?, self.brk.granule())? - end;
        (step <= isize::MAX as usize).then_some(step)
    }

    /// Makes a grant part of the heap.
    ///
    /// O(1), or, if memory was added above the break's region, O(regions) above it.
    fn take_in(&mut self, grant: NonNull<[u8]>) -> Result<(), BreakError> {
        let (start, len) = (grant.cast::<u8>(), grant.len());
        let from = start.addr().get();
        match &self.extent {
            #[cfg(not(feature = "tiny"))]
            _ if B::SCATTERED => {
                self.regions.pieces += len;
                self.take_in_among_added(start, len);
            }
            Some(extent) if from < extent.end() => {
                // SAFETY: the grant was never used. If the provider refuses, the memory stays
                // unused with us.
                let _ = unsafe { self.brk.shrink(len) };
                return Err(self.stop(from));
            }
            #[cfg(not(feature = "tiny"))]
            _ if self.regions.last.is_some() => self.take_in_among_added(start, len),
            Some(extent) if from == extent.end() => self.extend(from + len),
            _ => self.begin_region(start, len),
        }
        Ok(())
    }

    /// A grant that continues the break's region, above which there is nothing: the top grows, or
    /// begins where the fence was.
    fn extend(&mut self, end: usize) {
        let Some(extent) = &mut self.extent else { return };
        let old_fence = extent.fence();
        let space = end - Cell::fence_offset(end) - old_fence.addr();
        if self.top.is_none() && space < MIN_CELL {
            return extent.end_at(old_fence, end);
        }
        // SAFETY: `space` up is still below the new end of the same contiguous memory.
        let fence = unsafe { old_fence.offset(space) };
        extent.end_at(fence, end);
        let top = match self.top.take() {
            Some(top) => {
                // SAFETY: the old top is a valid free cell, and the old fence follows it; both
                // become the inside of the new top.
                unsafe { old_fence.erase_with_size_before() };
                top
            }
            None => {
                extent.not_fresh_below(old_fence.addr() + WORD);
                old_fence
            }
        };
        // SAFETY: the last whole word of the grant, in no cell. A free cell will precede it.
        unsafe { fence.write_fence(0, false) };
        // SAFETY: from the old top, or else the old fence, to the new fence: all ours, and in no
        // cell but the old top. No free cell precedes it: none precedes a top, and none but
        // a top precedes the fence of the break's region.
        unsafe { self.keep(top, fence.addr() - top.addr()) };
    }

    /// A grant that touches nothing of ours, and has nothing above: the first one, or one above a
    /// hole.
    fn begin_region(&mut self, start: NonNull<u8>, len: usize) {
        let (from, end) = (start.addr().get(), start.addr().get() + len);
        let lead = Cell::first_offset(from);
        let overhead = lead + Cell::fence_offset(end);
        if len < overhead + MIN_CELL {
            // SAFETY: the grant was never used. If the provider refuses, it becomes a part of the
            // hole.
            let _ = unsafe { self.brk.shrink(len) };
            return;
        }
        // SAFETY: `lead < len`.
        let first = Cell::at(unsafe { start.byte_add(lead) });
        // SAFETY: `overhead < len`.
        let fence = unsafe { first.offset(len - overhead) };
        // SAFETY: the last whole word of the grant, in no cell. A free cell will precede it.
        unsafe { fence.write_fence(0, false) };
        first.expose();
        match self.extent.replace(Extent::new(Region { start: from, first, fence, end })) {
            None => self.regions.lowest = Some(first),
            Some(old) => {
                self.leave(&old);
                // SAFETY: the fence of what was the highest region; `first` is about to be written.
                unsafe { old.fence().lead_to(first) };
            }
        }
        // SAFETY: all of the grant between the head and the fence, which is written; nothing
        // precedes it.
        unsafe { self.keep(first, len - overhead) };
    }

    /// What was the break's region is one like any other: its top becomes a cell like any other.
    pub(super) fn leave(&mut self, old: &Extent) {
        let region = old.region();
        // SAFETY: all of it is this heap's.
        unsafe { region.record() };
        if let Some(top) = self.top.take() {
            // SAFETY: valid and free; the top is in no bin.
            unsafe { self.bins.insert(top, region.fence.addr() - top.addr()) };
        }
    }

    /// Sees to it that the break is not below our end.
    pub(super) fn watch_the_break(&mut self) -> Result<(), BreakError> {
        if self.stopped.is_some() {
            return Err(BreakError::MemoryTaken);
        }
        let brk = self.brk.end().addr();
        match &self.extent {
            Some(extent) if brk < extent.brk() => Err(self.stop(brk)),
            _ => Ok(()),
        }
    }

    /// Our memory above `found` was taken: remembers it for [`check`](Heap::check), and touches
    /// nothing from now on.
    #[cold]
    fn stop(&mut self, found: usize) -> BreakError {
        self.stopped = Taken::at(found);
        // With no free cell known there is none to be handed out, or to be touched.
        self.bins.clear();
        self.top = None;
        self.small.abandon();
        self.kept.abandon();
        BreakError::MemoryTaken
    }
}
