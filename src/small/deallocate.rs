//! Where small blocks go when nobody uses them: to the front cache, and from there to their runs
//! and cells.
//!
//! ```text
//!   deallocate ──(the cache is full)──┐
//!   the top is to be cut ─► some ─────┼─► put_back ─► its run ──(empty)──► a free cell
//!   flush ─► all ─────────────────────┘          └─► its cell
//! ```

use core::ptr::NonNull;

use super::{CLASSES, Class, FRONTS, Now, Run, SmallBlocks, len_of};
use crate::checks::Checks;
use crate::chunks::Tuning;
use crate::large::Large;
use crate::misuse::Misuse;
use crate::provider::{Map, Source};

/// How much work it is to put back a block, if its run had other free blocks and still has live
/// ones: one unit. If the run was full, if the block is a cell, and if the run ends, it is more.
const EFFORT_OF_BLOCK: usize = 1;
const EFFORT_OF_LISTING: usize = 3;
const EFFORT_OF_CELL: usize = 5;
const EFFORT_OF_RUN: usize = 12;

/// When a request before which some of the cache is freed has done enough.
const FLUSH_EFFORT: usize = 3;

/// How many classes are looked at each time when some of the cache is freed before the top is cut.
const CLASSES_AHEAD: usize = 3;

impl<P: Tuning> SmallBlocks<P> {
    /// Frees a block that was allocated for a class, or holds it. O(1), plus at most one call of
    /// the provider for each free segment.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`], with a layout of that class.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_as<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
        class: Class,
    ) {
        // SAFETY: the caller gives the block up, and it holds this class.
        if !unsafe { self.cache.push(class, block) } {
            // SAFETY: the caller's promise.
            unsafe { self.deallocate_small(large, block, class) };
        }
    }

    /// Frees a small block when the cache has no room.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`]; `class` is that of the layout.
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_small<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
        class: Class,
    ) {
        // Not the blocks that are in the list, whose links would have to be read: this one has only
        // to be written to.
        let Some(class_of_run) = self.pages.class_at(block.addr().get()) else {
            // SAFETY: the caller's promise, and the block is in no run.
            return unsafe { self.deallocate_small_cell(large, block, class) };
        };
        let run = Run::of_block(block, class_of_run);
        // SAFETY: the page map says that it is a run of that class, and the block was taken from
        // it.
        match unsafe { run.put::<P>(class_of_run, block) } {
            Now::More => {}
            // SAFETY: the run has become so just now.
            now => unsafe { self.relist_and_trim(large, run, class_of_run, now) },
        }
    }

    /// [`deallocate_small`](SmallBlocks::deallocate_small) of a block that is a cell: a function of
    /// its own, so that the usual path saves no registers.
    ///
    /// # Safety
    ///
    /// As for [`deallocate_small`](SmallBlocks::deallocate_small); the block is in no run.
    #[inline(never)]
    unsafe fn deallocate_small_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
        class: Class,
    ) {
        self.forget_cell(class);
        // SAFETY: the block lies in no run, so it is a used cell, and nothing uses it.
        unsafe { large.chunks.free_and_trim(block) };
    }

    /// Relists a run after a block was put back, and gives memory back if that is due.
    ///
    /// # Safety
    ///
    /// As for [`relist_run`](SmallBlocks::relist_run).
    #[inline(never)]
    unsafe fn relist_and_trim<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
        now: Now,
    ) {
        // SAFETY: this method's own clause.
        if unsafe { self.relist_run(large, run, class, now) } >= EFFORT_OF_RUN {
            large.chunks.trim_if_due();
        }
    }

    /// Frees some of what the cache keeps, a few classes at a time in turn: freed memory is used
    /// before the top is cut further (C4), and what is freed may merge with more. True if anything
    /// was freed.
    pub(crate) fn flush_ahead<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) -> bool {
        if let Some(block) = self.cache.take_back_middling(CLASSES_AHEAD) {
            // SAFETY: a middling block is a cell, which nobody uses.
            unsafe { large.chunks.free(block) };
            return true;
        }
        let mut effort = 0;
        for _ in 0..CLASSES_AHEAD {
            let class = self.next_to_flush();
            while effort < FLUSH_EFFORT {
                let Some(block) = self.cache.pop(class) else { break };
                // SAFETY: a block in the cache is free for the caller, and in use for what it came
                // from.
                effort += unsafe { self.put_back(large, class, block) };
            }
        }
        effort > 0
    }

    /// Gives back all blocks that the front cache keeps, and all runs that are empty: what is free
    /// is in free cells then, except in runs of which some blocks are in use.
    ///
    /// # Time
    ///
    /// O(blocks in the cache + size classes): bounded by the cache's limits, and not by the number
    /// of cells.
    pub(super) fn give_up_everything<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        while let Some(block) = self.cache.take_back_middling(FRONTS - CLASSES) {
            // SAFETY: a middling block is a cell, which nobody uses.
            unsafe { large.chunks.free(block) };
        }
        for class in Class::all() {
            while let Some(block) = self.cache.pop(class) {
                // SAFETY: a block in the cache is free for the caller, and in use for what it came
                // from.
                unsafe { self.put_back(large, class, block) };
            }
            let list = &mut self.partial[class.index()];
            // SAFETY: runs in lists are runs.
            if let Some(run) = list.head.filter(|run| unsafe { run.live(class) } == 0) {
                // SAFETY: it is the first in the list, and empty.
                unsafe { self.end_run(large, run, class) };
            }
        }
        if P::CHECKED {
            if let Some(broken) = self.cache.take_broken() {
                large.chunks.checks_mut().report(&Misuse::from(broken));
            }
        }
    }

    /// Gives a block back to its run, or frees its cell. Returns how much work that was.
    ///
    /// # Safety
    ///
    /// The block was taken for this class, and nobody uses or lists it.
    #[inline]
    unsafe fn put_back<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        block: NonNull<u8>,
    ) -> usize {
        let Some(class_of_run) = self.pages.class_at(block.addr().get()) else {
            // SAFETY: the caller's promise, and the block is in no run.
            return unsafe { self.put_back_cell(large, class, block) };
        };
        // SAFETY: the caller's promise; the page map says so.
        unsafe { self.put_back_to_run(large, class_of_run, block) }
    }

    /// Gives a block back to its run. Returns how much work that was.
    ///
    /// # Safety
    ///
    /// It was taken from a run of this class, and nobody uses or lists it.
    #[inline]
    unsafe fn put_back_to_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class_of_run: Class,
        block: NonNull<u8>,
    ) -> usize {
        let run = Run::of_block(block, class_of_run);
        // SAFETY: the page map says that it is a run of that class, and the block was taken from
        // it.
        match unsafe { run.put::<P>(class_of_run, block) } {
            Now::More => EFFORT_OF_BLOCK,
            // SAFETY: the run has become so just now.
            now => unsafe { self.relist_run(large, run, class_of_run, now) },
        }
    }

    /// Frees the cell of a small block that is in no run.
    ///
    /// # Safety
    ///
    /// As for [`put_back`](SmallBlocks::put_back).
    #[inline(never)]
    unsafe fn put_back_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        block: NonNull<u8>,
    ) -> usize {
        self.forget_cell(class);
        // SAFETY: the block lies in no run, so it is a used cell, and nothing uses it.
        unsafe { large.chunks.free(block) };
        EFFORT_OF_CELL
    }

    /// Puts a run into its list, or ends it, after a block was put back.
    ///
    /// # Safety
    ///
    /// `now` is what has become of this run of this class.
    #[inline(never)]
    unsafe fn relist_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
        now: Now,
    ) -> usize {
        match now {
            Now::More => 0,
            // SAFETY: it was full, so in no list.
            Now::Partial => unsafe { self.list_run(large, run, class) },
            // SAFETY: it is in its list, because it was partial before: no run has only one block.
            Now::Empty => unsafe { self.end_run_unless_last(large, run, class) },
        }
    }

    /// Puts a run into the list of its class. If an empty one was kept there for the next request,
    /// it is kept no longer.
    ///
    /// # Safety
    ///
    /// A run of this class that has a free block, and is in no list.
    unsafe fn list_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
    ) -> usize {
        let list = &mut self.partial[class.index()];
        // SAFETY: runs in lists are runs.
        let empty = list.head.filter(|run| unsafe { run.live(class) } == 0);
        // SAFETY: the caller's promise.
        unsafe { list.insert(run, class) };
        // SAFETY: in its list, and empty.
        empty.map_or(EFFORT_OF_LISTING, |empty| unsafe { self.end_run(large, empty, class) })
    }

    /// Ends a run that has become empty, unless it is the only one of its class with a free block.
    ///
    /// # Safety
    ///
    /// A run of this class without live blocks, in its list.
    unsafe fn end_run_unless_last<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
    ) -> usize {
        // SAFETY: the caller's promise.
        let is_last =
            self.partial[class.index()].head == Some(run) && unsafe { run.next(class) }.is_none();
        // SAFETY: the caller's promise.
        if is_last { EFFORT_OF_BLOCK } else { unsafe { self.end_run(large, run, class) } }
    }

    /// Makes a run a free cell again.
    ///
    /// # Safety
    ///
    /// A run of this class without live blocks, in its list.
    unsafe fn end_run<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        run: Run,
        class: Class,
    ) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.partial[class.index()].remove(run, class) };
        self.forget_run(class);
        let payload = run.payload();
        self.pages.set_class(payload.addr().get(), len_of(class), None);
        // SAFETY: the run was the only user of its cell.
        unsafe { large.chunks.free(payload) };
        EFFORT_OF_RUN
    }
}
