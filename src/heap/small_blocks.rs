//! Small blocks: from the front cache, from runs, or as cells (C9).
//!
//! ```text
//!   allocate ─► cache ──(empty)──► a run with a free block ──► a new run ──► a cell ──► the break moves up ──► a larger class
//!                                  some blocks at once         once enough blocks of the class are cells
//!   deallocate ─► cache ──(full)──► its run, or its cell                                                (small_returns.rs)
//!   reallocate ─► the cache's next block of the new class; else see small_resize.rs
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::growth::Growth;
use super::{Heap, Request};
use crate::cell::WORD;
use crate::provider::{Break, Map};
use crate::small::{Class, Run, len_of};

pub(super) use super::check_small::SmallTally;
pub(super) use super::kept::Kept;

/// Blocks that are taken from a run at once.
const MOST_AT_ONCE: usize = 8;

/// A leaf of the page map may always be so long, in bytes; a longer one is worth having if it is at
/// most this share of the heap.
const LEAST_LEAF: usize = 1024;
const LEAF_SHARE: usize = 512;

impl Request {
    /// The cell for a run of `len` bytes, header included, whose payload is aligned to `len`.
    ///
    /// `None` if `len` is no length of a run: not a power of two, or shorter than a cell.
    fn for_run(len: usize) -> Option<Self> {
        Some(Self::new(Layout::from_size_align(len.checked_sub(WORD)?, len).ok()?))
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// The class of a layout if its blocks may come from a run.
    #[inline]
    pub(super) fn small_class_of(&self, layout: Layout) -> Option<Class> {
        Class::of(layout).or_else(|| Class::of_unusual(layout)).filter(|_| self.small.has_runs())
    }

    /// Allocates a small block when the cache has none.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_small(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if !self.small.has_runs() {
            return self.allocate_cell(Request::new(layout), growth);
        }
        self.small.missed();
        let layout = class.in_full(layout);
        if let Some(block) = self.take_small(class, layout) {
            return Some(block);
        }
        if growth == Growth::Allowed
            && let Some(block) = self.grow_for_small(class, layout)
        {
            return Some(block);
        }
        // Nothing is left but what the cache keeps from other classes, and blocks that are larger
        // than need be.
        self.flush();
        self.take_small(class, layout).or_else(|| self.borrow(class, layout))
    }

    /// Allocates a small block that is more aligned than every cell is.
    pub(super) fn allocate_aligned(
        &mut self,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        self.small
            .cache
            .pop_aligned(class, layout.align())
            .or_else(|| self.allocate_small(class, layout, growth))
    }

    /// A small block from what the heap has: a run with a free block, a new run, or a cell. The
    /// layout is as long as the class's blocks.
    fn take_small(&mut self, class: Class, layout: Layout) -> Option<NonNull<u8>> {
        if let Some(run) = self.small.partial[class.index()].head {
            // SAFETY: it is in the list of its class.
            return unsafe { self.take_from_run(run, class) };
        }
        let request = Request::new(layout);
        if self.small.has_earned_run(class, request.usual_size())
            && let Some(run) = self.begin_run(class)
        {
            // SAFETY: it is in the list of its class.
            return unsafe { self.take_from_run(run, class) };
        }
        let payload = self.take(request)?;
        Some(self.note_small_cell(class, payload))
    }

    /// Moves the break for a small block.
    fn grow_for_small(&mut self, class: Class, layout: Layout) -> Option<NonNull<u8>> {
        let request = Request::new(layout);
        if self.small.has_earned_run(class, request.usual_size())
            && self.make_room(Request::for_run(len_of(class))?).is_ok()
            && let Some(block) = self.take_small(class, layout)
        {
            return Some(block);
        }
        self.make_room(request).ok()?;
        let payload = self.take(request)?;
        Some(self.note_small_cell(class, payload))
    }

    /// A block of a larger class, from a run that has one free.
    fn borrow(&mut self, class: Class, layout: Layout) -> Option<NonNull<u8>> {
        let serves = |larger: Class| {
            class.is_served_by(larger) && larger.size().is_multiple_of(layout.align())
        };
        let mut larger = class.larger().filter(|&larger| serves(larger));
        let (larger, run) =
            larger.find_map(|larger| Some((larger, self.small.partial[larger.index()].head?)))?;
        self.small.cache.note_passed_by(class);
        let mut taken = None;
        #[cfg(feature = "checked")]
        // SAFETY: it is in the list of its class.
        unsafe {
            self.watch_run(run, larger, 1);
        }
        // SAFETY: it is in the list of its class.
        unsafe { run.take(larger, 1, |block| taken = Some(block)) };
        // SAFETY: the same.
        unsafe { self.unlist_if_full(run, larger) };
        taken
    }

    /// A cell of its own was taken for a small block.
    fn note_small_cell(&mut self, class: Class, payload: NonNull<u8>) -> NonNull<u8> {
        self.small.cache.note_passed_by(class);
        self.small.note_cell(class);
        payload
    }

    /// Begins a run, if there is a place for it without moving the break.
    fn begin_run(&mut self, class: Class) -> Option<Run> {
        let len = len_of(class);
        let payload = self.take(Request::for_run(len)?)?;
        if !self.provide_leaf(payload) {
            // SAFETY: the cell was just taken.
            unsafe { self.free_cell(payload) };
            return None;
        }
        self.small.pages.set(payload.addr().get(), len, class);
        self.small.note_run(class);
        // SAFETY: the cell was taken for this, with this alignment.
        let run = unsafe { Run::begin(payload, class) };
        // SAFETY: it is new.
        unsafe { self.small.partial[class.index()].insert(run, class) };
        Some(run)
    }

    /// Sees to it that the page map reaches a run at `payload`.
    fn provide_leaf(&mut self, payload: NonNull<u8>) -> bool {
        let Some(lowest) = self.regions.lowest else { return false };
        let address = payload.addr().get();
        let Some(len) = self.small.pages.missing_leaf(address, lowest.addr()) else { return false };
        if len == 0 {
            return true;
        }
        // Where holes are large a leaf may describe little else: that is not worth it.
        if len > LEAST_LEAF.max(self.region_bytes() / LEAF_SHARE) {
            return false;
        }
        let request = Layout::from_size_align(len, 1).ok().map(Request::new);
        let Some(memory) = request.and_then(|request| self.take(request)) else { return false };
        // SAFETY: a new cell, which holds `len` bytes.
        unsafe { self.small.pages.provide(address, memory) };
        true
    }

    /// Takes a block from a run, and some more for the cache.
    ///
    /// # Safety
    ///
    /// `run` is a run of this class, in its list.
    unsafe fn take_from_run(&mut self, run: Run, class: Class) -> Option<NonNull<u8>> {
        // The cache may have blocks, if none was aligned as asked.
        let (room, len) = (self.small.cache.room(class), self.small.cache.len(class));
        let more = (room / 2).min(room - len).min(MOST_AT_ONCE);
        #[cfg(feature = "checked")]
        // SAFETY: the caller's promise.
        unsafe {
            self.watch_run(run, class, more + 1);
        }
        let mut taken = None;
        let supply = |push: &mut dyn FnMut(NonNull<u8>)| {
            // All but the last go to the cache; the last is for the caller.
            // SAFETY: the caller's promise.
            unsafe {
                run.take(class, more + 1, |block| {
                    taken.replace(block).into_iter().for_each(&mut *push)
                })
            };
        };
        // SAFETY: the blocks come from a run, so nobody uses or lists them.
        unsafe { self.small.cache.refill(class, supply) };
        self.small.cache.note_passed_by(class);
        // SAFETY: the caller's promise.
        unsafe { self.unlist_if_full(run, class) };
        taken
    }

    /// # Safety
    ///
    /// `run` is a run of this class, in its list.
    unsafe fn unlist_if_full(&mut self, run: Run, class: Class) {
        // SAFETY: the caller's promise.
        if unsafe { run.is_full(class) } {
            // SAFETY: the caller's promise.
            unsafe { self.small.partial[class.index()].remove(run, class) };
        }
    }
}
