//! Blocks that are cells: kept ones, cells from the bins, the top.
//!
//! ```text
//!   allocate ─► a kept cell ──(none)──► the bins ──(nothing fits)──► the top ──(too small)──► the break moves up
//!   deallocate ─► kept, or merged with its neighbours
//! ```
//!
//! Most requests end with the first two steps, for which nothing is looked up twice: the size class
//! of a request is passed on.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::bins::Fit;
use super::growth::Growth;
use super::size_class::{class_of, class_of_long};
use super::{Heap, Request};
use crate::TINY;
use crate::cell::{CELL_ALIGN, Cell};
use crate::provider::{Break, Map};
use crate::small::SMALL_MAX;

/// The shortest block, in bytes, that is not small.
const LARGE: usize = SMALL_MAX + 1;

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Allocates a block that is not small, or more aligned than most. Whatever it calls, it calls
    /// last, so that no register has to be saved.
    #[inline(never)]
    pub(super) fn allocate_unusual(
        &mut self,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if TINY || layout.align() > CELL_ALIGN || layout.size() < LARGE {
            return self.allocate_odd(layout, growth);
        }
        let request = Request::of_long(layout);
        self.small.large_requested();
        if growth == Growth::Allowed
            && self.wants_mapping(layout)
            && let Some(payload) = self.allocate_mapped(layout)
        {
            return Some(payload);
        }
        let class = class_of_long(request.size());
        match self.take_kept(request, class) {
            Some(cell) => Some(cell.payload()),
            None => self.allocate_free(request, class, growth),
        }
    }

    /// Allocates a block that has no bytes, or is more aligned than most.
    #[cold]
    #[inline(never)]
    fn allocate_odd(&mut self, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        if let Some(class) = self.small_class_of(layout) {
            return self.allocate_aligned(class, layout, growth);
        }
        let request = Request::new(layout);
        self.small.large_requested();
        if growth == Growth::Allowed
            && self.wants_mapping(layout)
            && let Some(payload) = self.allocate_mapped(layout)
        {
            return Some(payload);
        }
        self.allocate_cell(request, growth)
    }

    /// Allocates a block that is a cell.
    #[inline]
    pub(super) fn allocate_cell(
        &mut self,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        self.take_freed(request).or_else(|| self.allocate_from_top(request, growth))
    }

    /// Allocates a block that is a cell, and may lie anywhere, if no kept cell fits; `class` is
    /// that of its size.
    #[cfg_attr(not(feature = "tiny"), inline(never))]
    fn allocate_free(
        &mut self,
        request: Request,
        class: usize,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        match self.take_free_inline(request, class) {
            Some(payload) => Some(payload),
            None => self.allocate_from_top(request, growth),
        }
    }

    /// Allocates a block that is a cell, if no freed one fits. If there is no memory left for it,
    /// what the front cache keeps is freed, and the heap looks again.
    #[inline(never)]
    fn allocate_from_top(&mut self, request: Request, growth: Growth) -> Option<NonNull<u8>> {
        if let Some(payload) = self.take_unfreed(request) {
            return Some(payload);
        }
        if growth == Growth::Allowed && self.make_room(request).is_ok() {
            return self.take_from_top(request);
        }
        self.take_flushed(request)
    }

    /// Takes a cell for the request once all that is kept of freed blocks is freed. (A plain heap
    /// keeps nothing, but may have got a region before it was refused more.)
    pub(super) fn take_flushed(&mut self, request: Request) -> Option<NonNull<u8>> {
        self.flush();
        self.take(request)
    }

    /// Takes a cell for the request from the bins or the top, without a call of the provider.
    pub(super) fn take(&mut self, request: Request) -> Option<NonNull<u8>> {
        self.take_freed(request).or_else(|| self.take_unfreed(request))
    }

    /// Takes a cell for the request from what was freed before: a kept one, or one from the bins.
    #[cfg_attr(not(feature = "tiny"), inline(never))]
    pub(super) fn take_freed(&mut self, request: Request) -> Option<NonNull<u8>> {
        // One search for all, if code is to be small.
        if TINY || request.is_over_aligned() {
            return self.take_from_bins(request);
        }
        let class = class_of(request.size());
        match self.take_kept(request, class) {
            Some(cell) => Some(cell.payload()),
            None => self.take_free(request, class),
        }
    }

    /// Takes a kept cell for the request, if it may lie anywhere; `class` is that of its size.
    #[inline(always)]
    fn take_kept(&mut self, request: Request, class: usize) -> Option<Cell> {
        // Where memory comes in pieces, blocks that are as long are in the front cache:
        // middling.rs.
        if B::SCATTERED { None } else { self.kept.take(request.size(), class) }
    }

    /// Takes a cell for the request from the bins, if it may lie anywhere; `class` is that of its
    /// size.
    #[cfg_attr(not(feature = "tiny"), inline(never))]
    fn take_free(&mut self, request: Request, class: usize) -> Option<NonNull<u8>> {
        self.take_free_inline(request, class)
    }

    /// The same, where it is worth having it twice.
    #[inline(always)]
    fn take_free_inline(&mut self, request: Request, class: usize) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        self.watch_lists(request);
        // SAFETY: the class is that of the size.
        let (cell, size) = unsafe { self.bins.take(request.size(), class) }?;
        // SAFETY: a free cell that is large enough, now in no bin.
        Some(unsafe { self.carve(Fit { cell, size, lead: 0 }, request, false) })
    }

    /// Takes a cell for the request from the bins, whatever its alignment.
    #[cfg_attr(not(feature = "tiny"), inline(never))]
    fn take_from_bins(&mut self, request: Request) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        self.watch_lists(request);
        let fit = self.bins.find(request)?;
        // SAFETY: it was found in its bin.
        unsafe { self.bins.remove(fit.cell, fit.size) };
        // SAFETY: a free cell that holds the request, now in no bin.
        Some(unsafe { self.carve(fit, request, false) })
    }

    /// Takes a cell for the request from the top, if it is large enough. As it is cut away, what
    /// the front cache keeps is freed bit by bit, and looked at first.
    fn take_unfreed(&mut self, request: Request) -> Option<NonNull<u8>> {
        if self.small.is_flush_due(request.size()) && self.flush_ahead() {
            // What is still kept does not fit: that was looked at before.
            let freed = if request.is_over_aligned() {
                self.take_from_bins(request)
            } else {
                self.take_free(request, class_of(request.size()))
            };
            if freed.is_some() {
                return freed;
            }
        }
        self.take_from_top(request)
    }

    /// Takes a cell for the request from the top, if it is large enough.
    pub(super) fn take_from_top(&mut self, request: Request) -> Option<NonNull<u8>> {
        let cell = self.top?;
        // SAFETY: the top is a valid cell.
        let size = unsafe { cell.header() }.size();
        let lead = request.fit(cell.addr(), size)?;
        self.top = None;
        // SAFETY: a free cell that holds the request, in no bin; it was the top.
        Some(unsafe { self.carve(Fit { cell, size, lead }, request, true) })
    }

    /// Frees a block that is not small, or more aligned than most.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate).
    #[inline(never)]
    pub(super) unsafe fn deallocate_unusual(&mut self, payload: NonNull<u8>, layout: Layout) {
        if layout.align() > CELL_ALIGN || layout.size() < LARGE {
            // SAFETY: the caller's promise.
            return unsafe { self.deallocate_odd(payload, layout) };
        }
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_large(payload) };
    }

    /// Frees a block that has no bytes, or is more aligned than most.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate).
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_odd(&mut self, payload: NonNull<u8>, layout: Layout) {
        match self.small_class_of(layout) {
            // SAFETY: the caller gives the block up, and it was allocated for this class.
            Some(class) => unsafe { self.deallocate_as(payload, class) },
            // SAFETY: the caller's promise.
            None => unsafe { self.deallocate_large(payload) },
        }
    }

    /// Frees a block that is a cell, or has a mapping of its own.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate).
    #[inline]
    pub(super) unsafe fn deallocate_large(&mut self, payload: NonNull<u8>) {
        // SAFETY: the caller's promise.
        if self.stopped.is_some() || unsafe { self.deallocate_mapped(payload) } {
            return;
        }
        // SAFETY: the caller's promise: the block is no small one, and has no mapping, so it is a
        // cell.
        unsafe { self.deallocate_cell(payload) };
    }

    /// Frees a block that is a cell, for its caller, and gives memory back if that is due.
    ///
    /// # Safety
    ///
    /// As for [`free_cell`](Heap::free_cell).
    #[cfg_attr(not(feature = "tiny"), inline(never))]
    pub(super) unsafe fn free_cell_and_trim(&mut self, payload: NonNull<u8>) {
        // SAFETY: the caller's promise.
        if unsafe { self.free_cell_inline(payload) } {
            self.trim_if_due();
        }
    }

    /// Makes a used cell a free one. True if the top has grown.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell, and nobody uses it any more.
    #[cfg(not(feature = "tiny"))]
    pub(super) unsafe fn free_cell(&mut self, payload: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.free_cell_inline(payload) }
    }

    /// The same, where it is worth having it twice.
    ///
    /// # Safety
    ///
    /// As for [`free_cell`](Heap::free_cell).
    #[inline(always)]
    unsafe fn free_cell_inline(&mut self, payload: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        let cell = unsafe { Cell::of_payload(payload) };
        #[cfg(feature = "checked")]
        if !self.is_sound(cell) {
            return false;
        }
        // SAFETY: as above.
        let header = unsafe { cell.header() };
        self.counters.freed(header.size());
        #[cfg(feature = "checked")]
        // SAFETY: as above.
        unsafe {
            cell.mark_freed();
        }
        // SAFETY: a used cell of this heap, which the caller gives up.
        unsafe { self.release(cell, header.size(), header.is_prev_used()) }
    }
}
