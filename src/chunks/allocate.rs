//! Allocates and frees cells, and makes new memory part of the heap.
//!
//! ```text
//!   take_freed ─► the bins        take_top ─► the top        make_room ─► the break moves up
//!   take_any   ─► all of the bins: the last search before a request is refused
//!   free       ─► coalesced, into a bin or the top
//! ```

use core::ptr::NonNull;

use super::{Chunks, Tuning};
use crate::bins::{ALL, Classes, Fit};
use crate::cell::{Cell, WORD};
use crate::provider::{BreakError, Source};
use crate::request::Request;
use crate::space::{Extent, Origin, RegionError};

/// How often the heap asks again when foreign code moved the break in between, or a grant fell
/// short.
const ATTEMPTS: usize = 4;

/// Whether an allocation may move the break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    Allowed,
    Forbidden,
}

impl<B: Source, P: Tuning> Chunks<B, P> {
    /// Takes a cell for the request from the bins or the top, without a call of the provider.
    pub(crate) fn take(&mut self, request: Request) -> Option<NonNull<u8>> {
        self.take_freed(request).or_else(|| self.take_top(request))
    }

    /// Takes a cell for the request. Moves the break up if necessary and allowed.
    pub(crate) fn allocate(&mut self, request: Request, growth: Growth) -> Option<NonNull<u8>> {
        self.take(request).or_else(|| self.take_new(request, growth))
    }

    /// Moves the break up for the request, and takes a cell for it from the top.
    pub(crate) fn take_new(&mut self, request: Request, growth: Growth) -> Option<NonNull<u8>> {
        if growth == Growth::Forbidden || self.make_room(request).is_err() {
            return None;
        }
        self.take_top(request)
    }

    /// Takes a cell for the request from all of the bins: the last search before a refusal. O(free
    /// cells that are long enough).
    pub(crate) fn take_any(&mut self, request: Request) -> Option<NonNull<u8>> {
        self.take_fitting(request, ALL)
    }

    /// Takes a cell for the request from the bins.
    #[inline(never)]
    pub(crate) fn take_freed(&mut self, request: Request) -> Option<NonNull<u8>> {
        // Compact code has one search for all requests.
        if P::COMPACT || request.is_over_aligned() {
            return self.take_fitting(request, P::Classes::PLACES_TRIED);
        }
        self.take_free(request, P::Classes::class_of(request.size()))
    }

    /// Takes a cell for the request from the bins, if it may lie anywhere; `class` is that of its
    /// size.
    #[inline(always)]
    pub(crate) fn take_free(&mut self, request: Request, class: usize) -> Option<NonNull<u8>> {
        if P::CHECKED {
            self.watch_lists(request);
        }
        // SAFETY: `class` is the class of the request's size: the parameter's meaning.
        let (cell, size) = unsafe { self.bins.take(request.size(), class) }?;
        // SAFETY: `take` returns a free cell that holds the request and is in no bin any more. It
        // was in a bin, so it is not the top.
        Some(unsafe { self.split(Fit { cell, size, lead: 0 }, request, false) })
    }

    /// [`take`](Chunks::take) as a part of its caller, for a request that may lie anywhere.
    #[inline(always)]
    pub(crate) fn take_at_once(&mut self, request: Request) -> Option<NonNull<u8>> {
        let block = self.take_free(request, P::Classes::class_of(request.size()));
        if block.is_some() {
            return block;
        }
        let cell = self.top?;
        // SAFETY: the top is a valid free cell: the type's invariant.
        let size = unsafe { cell.header() }.size();
        if size < request.size() {
            return None;
        }
        self.top = None;
        // SAFETY: the free cell holds the request, and was the top, which is in no bin.
        Some(unsafe { self.split(Fit { cell, size, lead: 0 }, request, true) })
    }

    /// Takes a cell for the request from the bins, whatever its alignment. Looks at `places` cells
    /// of each class.
    #[inline(never)]
    fn take_fitting(&mut self, request: Request, places: usize) -> Option<NonNull<u8>> {
        if P::CHECKED && places != ALL {
            self.watch_lists(request);
        }
        let fit = self.find(request, places)?;
        // SAFETY: the search found the free cell in its bin.
        unsafe { self.bins.remove(fit.cell, fit.size) };
        // SAFETY: the free cell holds the request by `fit`, is in no bin any more, and is not the
        // top, which never was in one.
        Some(unsafe { self.split(fit, request, false) })
    }

    /// Finds a free cell for the request in the bins. Looks at `places` cells of each class.
    #[inline(always)]
    fn find(&self, request: Request, places: usize) -> Option<Fit<P>> {
        if P::COMPACT || places == ALL {
            self.bins.search(request, places)
        } else {
            self.bins.find(request)
        }
    }

    /// Returns whether the bins have a cell for the request that a bounded search finds.
    pub(crate) fn has_freed(&self, request: Request) -> bool {
        self.find(request, P::Classes::PLACES_TRIED).is_some()
    }

    /// Returns whether the bins have a cell for the request. O(free cells that are long enough).
    pub(crate) fn has_any(&self, request: Request) -> bool {
        self.find(request, ALL).is_some()
    }

    /// Takes a cell for the request from the top, if it is large enough.
    pub(crate) fn take_top(&mut self, request: Request) -> Option<NonNull<u8>> {
        let cell = self.top?;
        // SAFETY: the top is a valid free cell: the type's invariant.
        let size = unsafe { cell.header() }.size();
        let lead = request.fit(cell.addr(), size)?;
        self.top = None;
        // SAFETY: the free cell holds the request by `fit`, and was the top, which is in no bin.
        Some(unsafe { self.split(Fit { cell, size, lead }, request, true) })
    }

    /// Takes a cell for the request from the top, and zeroes the first `size` bytes of its payload,
    /// as far as they are not fresh: fresh memory that reads as zero is not written to (C7). Moves
    /// the break up if necessary.
    pub(crate) fn take_top_zeroed(&mut self, request: Request, size: usize) -> Option<NonNull<u8>> {
        let fresh_now = |chunks: &Self| chunks.space.extent().map(Extent::fresh);
        let mut fresh = fresh_now(self);
        let payload = match self.take_top(request) {
            Some(payload) => payload,
            None => {
                self.make_room(request).ok()?;
                fresh = fresh_now(self);
                self.take_top(request)?
            }
        };
        // The block was split off the top when everything from `fresh` on was zero, except the last
        // word of the top.
        let start = payload.addr().get();
        let fresh = fresh.filter(|_| B::ZEROED);
        let dirty = fresh.map_or(size, |fresh| fresh.saturating_sub(start).min(size));
        // If the block took the whole top, its last word is the former size at the top's end.
        let end = self.space.extent().map_or(0, |extent| extent.fencepost().addr());
        let last_word = end.saturating_sub(WORD).saturating_sub(start).max(dirty);
        // SAFETY: the block is new, and both ranges lie inside its `size` bytes: `dirty ≤ size`,
        // and `last_word < size` where it is used.
        unsafe {
            payload.write_bytes(0, dirty);
            if last_word < size {
                payload.add(last_word).write_bytes(0, size - last_word);
            }
        }
        Some(payload)
    }

    /// Moves the break up until the top holds the request.
    ///
    /// # Errors
    ///
    /// The provider's answer. The heap is as it was, or has a larger top.
    #[inline(never)]
    pub(crate) fn make_room(&mut self, request: Request) -> Result<(), BreakError> {
        for attempt in 0..ATTEMPTS + 1 {
            if let Err(error) = self.space.watch_the_break() {
                self.abandon();
                return Err(error);
            }
            let missing =
                self.space.missing_for(request, self.top).ok_or(BreakError::OutOfAddresses)?;
            if missing == 0 {
                return Ok(());
            }
            if attempt < ATTEMPTS {
                self.grow(missing)?;
            }
        }
        Err(BreakError::Refused)
    }

    /// `true` if a grant is appended until memory is added: it can lie above the heap only.
    const APPENDS: bool = B::CONTIGUOUS && !P::CHECKED;

    /// Moves the break up by `missing` bytes or more, and makes the grant part of the heap.
    pub(super) fn grow(&mut self, missing: usize) -> Result<(), BreakError> {
        let generous = if B::CONTIGUOUS { P::GROWTH_STEP } else { 0 };
        let grant = match self.space.grow(missing, generous) {
            Ok(grant) => grant,
            Err(error) => {
                if error == BreakError::MemoryTaken {
                    self.abandon();
                }
                return Err(error);
            }
        };
        let taken_in = match self.take_in {
            // SAFETY: the provider granted the memory, contiguous with what it touches.
            _ if !Self::APPENDS => unsafe { self.take_in_anywhere(grant, Origin::Granted) },
            // SAFETY: the provider granted the memory, contiguous with what it touches.
            Some(take_in) => unsafe { take_in(self, grant, Origin::Granted) },
            None => {
                // SAFETY: the provider granted it, contiguous with what it touches. Nothing was
                // added beside it: `add_region` sets `take_in`.
                unsafe { self.append(grant) };
                return Ok(());
            }
        };
        if P::CHECKED && taken_in.is_err() {
            self.space.decline(grant);
            return Err(BreakError::Refused);
        }
        Ok(())
    }

    /// Makes a grant part of a heap to which no memory was added.
    ///
    /// # Safety
    ///
    /// The provider granted the memory. Pointers may be moved between it and the break's region if
    /// the two touch.
    unsafe fn append(&mut self, grant: NonNull<[u8]>) {
        let touches = |extent: &Extent<P>| extent.end() == grant.addr().get();
        let is_continued = self.space.extent().is_some_and(touches);
        // SAFETY: the grant lies above the break's region (`Space::grow`), which is the highest:
        // nothing was added. The top ends at that region's fencepost, and is in no bin.
        if let Some((cell, size)) = unsafe { self.space.append(grant, self.top) } {
            if !is_continued {
                // A grant above a hole has begun another region of the break.
                self.demote_top();
            }
            // SAFETY: the span is free, in no cell but the former top, and followed by the new
            // fencepost, which says so. A used cell or nothing precedes it: no two free cells are
            // neighbours.
            unsafe { self.keep_as(cell, size, true) };
        }
    }

    /// Makes memory part of the heap, wherever it lies. Returns how many bytes of cells the heap
    /// gained, if it was added.
    ///
    /// # Safety
    ///
    /// The clauses of [`TakeIn`](super::TakeIn).
    unsafe fn take_in_anywhere(
        &mut self,
        memory: NonNull<[u8]>,
        origin: Origin,
    ) -> Result<usize, RegionError> {
        let (piece, gained) = match origin {
            Origin::Granted => (self.space.piece(memory), 0),
            Origin::Added => self.space.piece_to_add(memory)?,
        };
        if P::CHECKED && !self.can_join(piece.touching()) {
            return Err(RegionError::Overwritten);
        }
        let is_continued = |extent: &Extent<P>| extent.end() == piece.start();
        if origin == Origin::Granted && !self.space.extent().is_some_and(is_continued) {
            // The grant begins another region of the break.
            self.demote_top();
        }
        // SAFETY: the piece is the heap's, and pointers may be moved between it and what it
        // touches: `TakeIn`'s clauses. If the break's region does not continue, its top is in a bin
        // now.
        if let Some(joined) = unsafe { self.space.join(&piece, origin) } {
            // SAFETY: `join` returned the span, and the heap has not changed since.
            unsafe { self.fill(&joined) };
        }
        self.promote_top();
        Ok(gained)
    }

    /// Allows memory to be added from now on: see [`TakeIn`](super::TakeIn).
    pub(crate) const fn expect_regions(&mut self) {
        self.take_in = Some(Self::take_in_anywhere);
    }

    /// Adds memory, if that is [expected](Chunks::expect_regions). Returns whether the heap has it.
    ///
    /// # Safety
    ///
    /// The clauses of [`add_region`](Chunks::add_region).
    pub(crate) unsafe fn add_expected(&mut self, memory: NonNull<[u8]>) -> bool {
        // SAFETY: the memory fulfils `add_region`'s contract: this method's clause.
        self.take_in.is_some_and(|take_in| unsafe { take_in(self, memory, Origin::Added) }.is_ok())
    }

    /// Adds memory beside the break's. Returns how many bytes of cells the heap gained.
    ///
    /// # Errors
    ///
    /// The memory cannot be used. The heap is as it was.
    ///
    /// # Safety
    ///
    /// The clauses of [`Heap::add_region`](crate::Heap::add_region).
    pub(crate) unsafe fn add_region(
        &mut self,
        base: *mut u8,
        len: usize,
    ) -> Result<usize, RegionError> {
        let start = NonNull::new(base).ok_or(RegionError::Null)?;
        self.expect_regions();
        // SAFETY: the memory fulfils `Heap::add_region`'s contract: this method's clause.
        unsafe { self.take_in_anywhere(NonNull::slice_from_raw_parts(start, len), Origin::Added) }
    }

    /// Frees a cell, and gives memory back if that is due.
    ///
    /// # Safety
    ///
    /// The clause of [`free`](Chunks::free).
    #[inline(never)]
    pub(crate) unsafe fn free_and_trim(&mut self, payload: NonNull<u8>) {
        // SAFETY: the payload is that of a used cell which nothing uses: this method's clause.
        if unsafe { self.free_inline(payload) } {
            self.trim_if_due();
        }
    }

    /// Frees a cell. Returns whether memory may be due to be given back.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell that nothing uses any more.
    #[inline(never)]
    pub(crate) unsafe fn free(&mut self, payload: NonNull<u8>) -> bool {
        // SAFETY: the payload is that of a used cell which nothing uses: this method's clause.
        unsafe { self.free_inline(payload) }
    }

    /// [`free`](Chunks::free) as a part of its caller, where a copy of the code pays.
    ///
    /// # Safety
    ///
    /// The clause of [`free`](Chunks::free).
    #[inline(always)]
    pub(crate) unsafe fn free_inline(&mut self, payload: NonNull<u8>) -> bool {
        // SAFETY: the payload is that of a valid cell: this method's clause.
        let cell = unsafe { Cell::<P>::of_payload(payload) };
        if P::CHECKED && !self.is_sound(cell) {
            return false;
        }
        // SAFETY: the cell is valid: this method's clause.
        let header = unsafe { cell.header() };
        self.counters.freed(header.size());
        // Also where its header will lie inside another cell: a second free finds it.
        // SAFETY: the cell is valid, and is about to be coalesced.
        unsafe { cell.mark_freed() };
        // SAFETY: the cell is used, and nothing uses its memory: this method's clause.
        unsafe { self.coalesce(cell, header.size(), header.is_prev_used()) }
    }
}
