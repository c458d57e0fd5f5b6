//! The heap's end of the bargain with the break: growing, fencing off what is not ours, giving back.
//!
//! ```text
//!   granted, contiguous       the cell before the old fence, or the fence's own place, becomes a larger top
//!   granted, higher up        somebody else moved the break in between: the fence now bridges a hole   (C14)
//!   granted, lower down       somebody took our memory: the heap stops and says so
//! ```

use core::ptr::NonNull;

use super::bins::Bins;
use super::check::{Corruption, Rule};
use super::{Heap, Request};
use crate::cell::{CELL_ALIGN, Cell, MIN_CELL, WORD};
use crate::provider::{Break, BreakError, Map};

/// How often the heap asks again when somebody else moved the break in between, or a grant fell short.
const ATTEMPTS: usize = 4;

/// When the break moves down, and how far.
///
/// After a `free` has left a top of at least `threshold` bytes, the heap gives back all of it but `keep`. A gap between the two keeps a
/// program that allocates and frees at the edge from moving the break each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trim {
    /// Size of the top, in bytes, from which on a `free` gives memory back; `usize::MAX`: never.
    pub threshold: usize,
    /// Bytes of the top that stay with the heap.
    pub keep: usize,
}

impl Trim {
    /// Give back from 128 KiB on (glibc's `M_TRIM_THRESHOLD`), keep the half.
    pub const DEFAULT: Self = Self { threshold: 128 << 10, keep: 64 << 10 };
}

/// What the provider granted: one region, or several with holes between.
///
/// # Invariants
///
/// * `start ≤ first`, `first` begins the lowest region
/// * `fence` ends the highest region, the one that the break belongs to; `end` is the break as we left it
/// * `fence + WORD ≤ end < fence + WORD + MIN_CELL`
/// * from `fresh` on, the memory of the highest region is as it was granted, except the fence and the word before it
/// * `fresh` lies above the header of the top
#[derive(Debug)]
pub(super) struct Extent {
    start: NonNull<u8>,
    first: Cell,
    fence: Cell,
    end: NonNull<u8>,
    /// Address from which on nothing was written.
    fresh: usize,
    /// Number of fences that bridge a hole.
    pub(super) holes: usize,
    /// Sum of the holes, in bytes.
    hole_bytes: usize,
}

impl Extent {
    pub(super) const fn first(&self) -> Cell {
        self.first
    }

    pub(super) const fn fence(&self) -> Cell {
        self.fence
    }

    pub(super) const fn end(&self) -> NonNull<u8> {
        self.end
    }

    pub(super) const fn fresh(&self) -> usize {
        self.fresh
    }

    /// Memory below `address` may have been written to.
    pub(super) fn not_fresh_below(&mut self, address: usize) {
        self.fresh = self.fresh.max(address);
    }

    /// Bytes granted and not given back.
    pub(super) fn granted(&self) -> usize {
        self.end.addr().get() - self.start.addr().get() - self.hole_bytes
    }
}

impl<B: Break, M: Map> Heap<B, M> {
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

    /// How far the break must move for the top to hold the request, if nobody else moves it meanwhile; 0 if it does already.
    fn missing_for(&self, request: Request) -> Option<usize> {
        let brk = self.brk.end();
        let (cell, end) = match &self.extent {
            // What comes next will be merged with the top.
            Some(extent) if extent.end.as_ptr() == brk => (self.top.unwrap_or(extent.fence).addr(), extent.fence.addr() + WORD),
            // A top that cannot grow must do as it is.
            Some(extent) if self.top.is_some_and(|top| request.fit(top.addr(), extent.fence.addr() - top.addr()).is_some()) => {
                return Some(0);
            }
            _ => (brk.addr().checked_add(Cell::first_offset(brk))?, brk.addr()),
        };
        let needed = cell.checked_add(request.lead(cell)?)?.checked_add(request.size())?.checked_add(WORD)?;
        // The fence may stand up to a cell below the break: what is granted counts from the break on.
        Some(if needed <= end { 0 } else { needed.saturating_sub(brk.addr()).max(1) })
    }

    /// Moves the break up by `missing` bytes or more and takes in what is granted.
    pub(super) fn grow(&mut self, missing: usize) -> Result<(), BreakError> {
        if missing > isize::MAX as usize {
            return Err(BreakError::OutOfAddresses);
        }
        let step = self.round_up_to_granule(missing).unwrap_or(missing);
        let grant = match self.brk.grow(step) {
            // The whole step may be more than there is; what is needed may not.
            Err(_) if step > missing => self.brk.grow(missing)?,
            answer => answer?,
        };
        self.take_in(grant)
    }

    /// The least step that moves the break by `by` or more and leaves it at a multiple of the provider's granule.
    fn round_up_to_granule(&self, by: usize) -> Option<usize> {
        let end = self.brk.end().addr();
        let step = end.checked_add(by)?.checked_next_multiple_of(self.brk.granule())? - end;
        (step <= isize::MAX as usize).then_some(step)
    }

    /// Makes a grant part of the heap.
    fn take_in(&mut self, grant: NonNull<[u8]>) -> Result<(), BreakError> {
        let start = grant.cast::<u8>();
        // SAFETY: one past the end of the grant.
        let end = unsafe { start.byte_add(grant.len()) };
        match &self.extent {
            Some(extent) if start == extent.end => self.extend(end),
            Some(extent) if start < extent.end => {
                let expected = extent.end;
                // SAFETY: the grant was never used. If the provider refuses, the memory stays unused with us.
                let _ = unsafe { self.brk.shrink(grant.len()) };
                return Err(self.stop(expected, start.as_ptr()));
            }
            _ => return self.begin_region(start, end),
        }
        Ok(())
    }

    /// A grant that continues the last region: the top grows, or begins where the fence was.
    fn extend(&mut self, end: NonNull<u8>) {
        let Some(extent) = &mut self.extent else { return };
        extent.end = end;
        let old_fence = extent.fence;
        let space = end.addr().get() - Cell::fence_offset(end.as_ptr()) - old_fence.addr();
        if self.top.is_none() && space < MIN_CELL {
            return;
        }
        // SAFETY: `space` up is still below the new end of the same contiguous memory.
        let fence = unsafe { old_fence.offset(space) };
        extent.fence = fence;
        let top = match self.top.take() {
            Some(top) => {
                // SAFETY: the old top is a valid free cell, and the old fence follows it; both become the inside of the new top.
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
        // SAFETY: from the old top, or else the old fence, to the new fence: all ours, and in no cell but the old top. No free cell
        // precedes it: none precedes a top, and none but a top precedes the last fence.
        unsafe { self.keep(top, fence.addr() - top.addr()) };
    }

    /// A grant that touches nothing of ours: the first one, or one above a hole.
    fn begin_region(&mut self, start: NonNull<u8>, end: NonNull<u8>) -> Result<(), BreakError> {
        let len = end.addr().get() - start.addr().get();
        let lead = Cell::first_offset(start.as_ptr());
        let overhead = lead + Cell::fence_offset(end.as_ptr());
        if len < overhead + MIN_CELL {
            // SAFETY: the grant was never used. If the provider refuses, it becomes a part of the hole.
            let _ = unsafe { self.brk.shrink(len) };
            return Ok(());
        }
        // SAFETY: `lead < len`.
        let first = Cell::at(unsafe { start.byte_add(lead) });
        // SAFETY: `overhead < len`.
        let fence = unsafe { first.offset(len - overhead) };
        // SAFETY: the last whole word of the grant, in no cell. A free cell will precede it.
        unsafe { fence.write_fence(0, false) };
        let fresh = first.addr() + WORD;
        let below = self.extent.take();
        if let Some(below) = &below {
            self.close_region(below.fence, first);
        }
        self.extent = Some(match below {
            None => Extent { start, first, fence, end, fresh, holes: 0, hole_bytes: 0 },
            Some(below) => Extent {
                fence,
                end,
                fresh,
                holes: below.holes + 1,
                hole_bytes: below.hole_bytes + (start.addr().get() - below.end.addr().get()),
                ..below
            },
        });
        // SAFETY: all of the grant between the alignment below and the fence, which is written; nothing precedes it.
        unsafe { self.keep(first, len - overhead) };
        Ok(())
    }

    /// Ends the region that was the last: its fence leads to `next_region`, its top becomes a cell like any other.
    fn close_region(&mut self, fence: Cell, next_region: Cell) {
        let top = self.top.take();
        // SAFETY: the old region's fence, which stays one; the next region's first cell is about to be written.
        unsafe { fence.write_fence(next_region.addr() - fence.addr(), top.is_none()) };
        if let Some(top) = top {
            // SAFETY: valid and free; the top is in no bin.
            unsafe { self.bins.insert(top, fence.addr() - top.addr()) };
        }
    }

    /// Gives back what the setting tells, if the top has become large.
    pub(super) fn trim_if_due(&mut self) {
        if let (Some(top), Some(extent)) = (self.top, &self.extent)
            && extent.fence.addr() - top.addr() >= self.trim.threshold
        {
            self.trim(self.trim.keep);
        }
    }

    /// Sets when a `free` moves the break down. See [`Trim`].
    pub const fn set_trim(&mut self, trim: Trim) {
        self.trim = trim;
    }

    /// Moves the break down as far as the top allows, in the provider's steps, but leaves a top of at least `keep` bytes (if there
    /// is that much). Returns the number of bytes given back.
    ///
    /// An empty heap that keeps nothing gives back all it ever had, unless holes divide it. Nothing is given back if the provider
    /// refuses, or if somebody else's memory lies between our end and the break.
    pub fn trim(&mut self, keep: usize) -> usize {
        if self.watch_the_break().is_err() {
            return 0;
        }
        let (Some(top), Some(extent)) = (self.top, &self.extent) else { return 0 };
        if self.brk.end() != extent.end.as_ptr() {
            return 0;
        }
        let all = top == extent.first && keep == 0;
        let Some(by) = (if all { Some(extent.granted()) } else { self.surplus(top, extent, keep) }) else { return 0 };
        // SAFETY: the `by` bytes below the break are the upper part of the free top and the fence behind it.
        if unsafe { self.brk.shrink(by) }.is_err() {
            return 0;
        }
        self.top = None;
        if all {
            self.extent = None;
        } else {
            self.lower_fence(top, by);
        }
        by
    }

    /// How many bytes can go if `keep` stay in the top, by the provider's steps.
    fn surplus(&self, top: Cell, extent: &Extent, keep: usize) -> Option<usize> {
        let keep = if keep == 0 { 0 } else { keep.checked_next_multiple_of(CELL_ALIGN)?.max(MIN_CELL) };
        let lowest = top.addr().checked_add(keep)?.checked_add(WORD)?;
        let end = lowest.checked_next_multiple_of(self.brk.granule())?;
        extent.end.addr().get().checked_sub(end).filter(|&by| by > 0)
    }

    /// After the break has come down by `by`: what is left of the top is the top, if it is enough for a cell.
    fn lower_fence(&mut self, top: Cell, by: usize) {
        let Some(extent) = &mut self.extent else { return };
        // SAFETY: `by` bytes below the old end lies the new one, above the top's start.
        extent.end = unsafe { extent.end.byte_sub(by) };
        extent.fresh = extent.fresh.min(extent.end.addr().get());
        let left = extent.end.addr().get() - Cell::fence_offset(extent.end.as_ptr()) - top.addr();
        let left = if left < MIN_CELL { 0 } else { left };
        // SAFETY: `left` bytes above the top's start, still below the new end.
        let fence = unsafe { top.offset(left) };
        extent.fence = fence;
        // SAFETY: in the former top, so in no cell. What precedes it is used, unless it is what is left of the top.
        unsafe { fence.write_fence(0, left == 0) };
        if left > 0 {
            // SAFETY: the lower part of the former top, followed by the fence; a used cell precedes it.
            unsafe { self.keep(top, left) };
        }
    }

    /// Sees to it that the break is not below our end.
    fn watch_the_break(&mut self) -> Result<(), BreakError> {
        if self.stopped.is_some() {
            return Err(BreakError::MemoryTaken);
        }
        match &self.extent {
            Some(extent) if self.brk.end() < extent.end.as_ptr() => {
                let expected = extent.end;
                Err(self.stop(expected, self.brk.end()))
            }
            _ => Ok(()),
        }
    }

    /// Our memory above `found` was taken: remembers it for [`check`](Heap::check), and touches nothing from now on.
    fn stop(&mut self, expected: NonNull<u8>, found: *mut u8) -> BreakError {
        let (expected, found) = (expected.addr().get(), found.addr());
        self.stopped = Some(Corruption { at: found, rule: Rule::BreakBelowHeap, expected, found });
        // With no free cell known there is none to be handed out, or to be touched.
        self.bins = Bins::new();
        self.top = None;
        BreakError::MemoryTaken
    }
}
