//! Small blocks: from the front cache, from runs, or as cells (C9).
//!
//! ```text
//!   allocate ─► cache ──(empty)──► a run with a free block ──► a new run ──► a cell ──► a new segment ──► a larger class
//!                                  some blocks at once         once enough blocks of the class are cells
//!   deallocate ─► cache ──(full)──► its run, or its cell                                                (deallocate.rs)
//!   reallocate ─► the cache's next block of the new class                                               (resize.rs)
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Class, Run, SmallBlocks, len_of};
use crate::cell::WORD;
use crate::checks::Checks;
use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::request::Request;

/// Blocks that are taken from a run at once.
const MOST_AT_ONCE: usize = 8;

impl Request {
    /// The cell for a run of `len` bytes, header included, whose payload is aligned to `len`.
    ///
    /// `None` if `len` is no length of a run: not a power of two, or shorter than a cell.
    fn for_run(len: usize) -> Option<Self> {
        Some(Self::new(Layout::from_size_align(len.checked_sub(WORD)?, len).ok()?))
    }
}

impl<P: Tuning> SmallBlocks<P> {
    /// Allocates a small block when the cache has none.
    #[inline(always)]
    pub(crate) fn allocate_small<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        let layout = class.in_full(layout);
        match self.take_small(large, class, layout) {
            Some(block) => Some(block),
            None => self.allocate_missed(large, class, layout, growth),
        }
    }

    /// Allocates a small block that nothing at hand serves; the layout is as long as the class's
    /// blocks.
    #[inline(never)]
    fn allocate_missed<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if growth == Growth::Allowed {
            if let Some(block) = self.grow_for_small(large, class, layout) {
                return Some(block);
            }
        }
        // Nothing is left but what the cache keeps from other classes, and blocks that are larger
        // than need be.
        self.give_up_everything(large);
        let block = self.take_small(large, class, layout);
        let block = block.or_else(|| self.borrow(large, class, layout));
        if block.is_some() {
            return block;
        }
        let payload = large.allocate_last(layout, Request::new(layout), growth)?;
        Some(self.note_small_cell(class, payload))
    }

    /// A small block from what the heap has: a run with a free block, a new run, or a cell. The
    /// layout is as long as the class's blocks.
    fn take_small<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        if let Some(run) = self.partial[class.index()].head {
            // SAFETY: it is in the list of its class.
            return unsafe { self.take_from_run(large, run, class) };
        }
        let request = Request::new(layout);
        if self.has_earned_run(class, request.usual_size()) {
            if let Some(run) = self.begin_run(large, class) {
                // SAFETY: it is in the list of its class.
                return unsafe { self.take_from_run(large, run, class) };
            }
        }
        let payload = self.take_cell(large, request)?;
        Some(self.note_small_cell(class, payload))
    }

    /// Obtains a segment for a small block.
    fn grow_for_small<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let request = Request::new(layout);
        if self.has_earned_run(class, request.usual_size())
            && large.chunks.make_room(Request::for_run(len_of(class))?).is_ok()
        {
            if let Some(block) = self.take_small(large, class, layout) {
                return Some(block);
            }
        }
        large.chunks.make_room(request).ok()?;
        let payload = self.take_cell(large, request)?;
        Some(self.note_small_cell(class, payload))
    }

    /// A block of a larger class, from a run that has one free.
    fn borrow<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        let serves =
            |larger: Class| class.is_served_by(larger) && larger.size() % layout.align() == 0;
        let mut larger = class.larger().filter(|&larger| serves(larger));
        let (larger, run) =
            larger.find_map(|larger| Some((larger, self.partial[larger.index()].head?)))?;
        let mut taken = None;
        if P::CHECKED {
            // SAFETY: it is in the list of its class.
            unsafe { self.watch_run(large, run, larger, 1) };
        }
        // SAFETY: it is in the list of its class.
        unsafe { run.take(larger, 1, |block| taken = Some(block)) };
        // SAFETY: the same.
        unsafe { self.unlist_if_full(run, larger) };
        taken
    }

    /// A cell of its own was taken for a small block.
    fn note_small_cell(&mut self, class: Class, payload: NonNull<u8>) -> NonNull<u8> {
        self.note_cell(class);
        payload
    }

    /// Begins a run, if there is a place for it without a new segment.
    fn begin_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
    ) -> Option<Run> {
        let len = len_of(class);
        let payload = self.take_cell(large, Request::for_run(len)?)?;
        self.pages.set_class(payload.addr().get(), len, Some(class));
        self.note_run(class);
        // SAFETY: the cell was taken for this, with this alignment.
        let run = unsafe { Run::begin(payload, class) };
        // SAFETY: it is new.
        unsafe { self.partial[class.index()].insert(run, class) };
        Some(run)
    }

    /// Takes a block from a run, and some more for the cache.
    ///
    /// # Safety
    ///
    /// `run` is a run of this class, in its list.
    unsafe fn take_from_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
    ) -> Option<NonNull<u8>> {
        // The cache may have blocks, if none was aligned as asked.
        let (room, len) = (self.cache.room(class), self.cache.len(class));
        let more = (room / 2).min(room - len).min(MOST_AT_ONCE);
        if P::CHECKED {
            // SAFETY: the caller's promise.
            unsafe { self.watch_run(large, run, class, more + 1) };
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
        unsafe { self.cache.refill(class, supply) };
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
            unsafe { self.partial[class.index()].remove(run, class) };
        }
    }

    /// Sees to it that the next `most` blocks of a run can be taken.
    ///
    /// # Safety
    ///
    /// `run` is a run of this class.
    unsafe fn watch_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
        most: usize,
    ) {
        // SAFETY: the caller's promise.
        if let Err(broken) = unsafe { run.watch(class, most) } {
            large.chunks.checks_mut().report(&broken.into());
        }
    }

    /// Takes a cell without a call of the provider: one from the bins, or one from the top.
    fn take_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
    ) -> Option<NonNull<u8>> {
        let freed = large.chunks.take_freed(request);
        freed.or_else(|| self.take_unfreed(large, request))
    }

    /// The same, and obtains a segment if need be and allowed.
    #[inline]
    pub(super) fn take_cell_or_grow<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        if let Some(payload) = large.chunks.take_freed(request) {
            return Some(payload);
        }
        self.take_unfreed_or_grow(large, request, growth)
    }

    /// Takes a cell from the top, for which the break moves up if necessary and allowed. A part of
    /// its callers, which save the same registers as it would.
    #[inline]
    pub(super) fn take_unfreed_or_grow<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        let payload = self.take_unfreed(large, request);
        payload.or_else(|| large.chunks.take_new(request, growth))
    }

    /// Takes a cell from the top, if it is large enough. As the top is split, what the front cache
    /// keeps is freed bit by bit, and looked at first.
    fn take_unfreed<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
    ) -> Option<NonNull<u8>> {
        if self.is_flush_due(request.size()) && self.flush_ahead(large) {
            // What is still kept does not fit: it was looked at before.
            let freed = large.chunks.take_freed(request);
            if freed.is_some() {
                return freed;
            }
        }
        large.chunks.take_top(request)
    }
}
