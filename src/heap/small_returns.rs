//! Where small blocks go when nobody uses them: to the front cache, and from there to their runs
//! and cells.
//!
//! ```text
//!   deallocate ──(the cache is full)──┐
//!   the top is to be cut ─► some ─────┼─► put_back ─► its run ──(empty)──► a free cell
//!   flush ─► all ─────────────────────┘          └─► its cell
//! ```

use core::ptr::NonNull;

use super::{CACHE_LIMIT, Heap};
use crate::provider::{Break, Map};
use crate::small::{CLASSES, Class, FRONTS, Now, Run, len_of};

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

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Frees a block that was allocated for a class, or holds it. O(1), plus at most one call of
    /// the provider.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`], with a layout of that class.
    #[inline(always)]
    pub(crate) unsafe fn deallocate_as(&mut self, block: NonNull<u8>, class: Class) {
        // SAFETY: the caller gives the block up, and it holds this class.
        if !unsafe { self.small.cache.push(class, block) } {
            // SAFETY: the caller's promise.
            unsafe { self.deallocate_small(class, block) };
        }
    }

    /// Frees a small block when the cache has no room.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`]; `class` is that of the layout.
    #[cold]
    #[inline(never)]
    unsafe fn deallocate_small(&mut self, class: Class, block: NonNull<u8>) {
        if self.stopped.is_some() {
            return;
        }
        // Not the blocks that are in the list, whose links would have to be read: this one has only
        // to be written to.
        let Some(class_of_run) = self.small.pages.class_at(block.addr().get()) else {
            // SAFETY: the caller's promise. (A large block that became small where there was no
            // memory to move it to.)
            if !unsafe { self.deallocate_mapped(block) } {
                self.small.forget_cell(class);
                // SAFETY: a used cell: what is in no run and has no mapping is a cell.
                unsafe { self.free_cell_and_trim(block) };
            }
            return;
        };
        // SAFETY: the caller's promise; the page map says so.
        if unsafe { self.put_back_to_run(class_of_run, block) } >= EFFORT_OF_RUN {
            self.trim_if_due();
        }
    }

    /// Frees a kept cell, or, if there is none in a few classes, some of what the cache keeps, a
    /// few classes at a time in turn: freed memory is used before the top is cut further (C4),
    /// and what is freed may merge with more. True if anything was freed.
    pub(super) fn flush_ahead(&mut self) -> bool {
        if let Some(cell) = self.kept.evict(CLASSES_AHEAD) {
            // SAFETY: a kept cell is used, and nobody uses it.
            unsafe { self.free_cell(cell.payload()) };
            return true;
        }
        if let Some(block) = self.small.cache.take_back_middling(CLASSES_AHEAD) {
            // SAFETY: a middling block is a cell, which nobody uses.
            unsafe { self.free_cell(block) };
            return true;
        }
        let mut effort = 0;
        for _ in 0..CLASSES_AHEAD {
            let class = self.small.next_to_flush();
            while effort < FLUSH_EFFORT
                && let Some(block) = self.small.cache.take_back(class)
            {
                // SAFETY: a block in the cache is free for the caller, and in use for what it came
                // from.
                effort += unsafe { self.put_back(class, block) };
            }
        }
        effort > 0
    }

    /// Gives back all blocks that the front cache keeps, and all runs that are empty: what is free
    /// is in free cells then, except in runs of which some blocks are in use.
    ///
    /// # Time
    ///
    /// O(blocks in the cache + size classes): bounded by the cache's limit, and not by the number
    /// of cells.
    pub fn flush(&mut self) {
        while let Some(cell) = self.kept.take_any() {
            // SAFETY: a kept cell is used, and nobody uses it.
            unsafe { self.free_cell(cell.payload()) };
        }
        while let Some(block) = self.small.cache.take_back_middling(FRONTS - CLASSES) {
            // SAFETY: a middling block is a cell, which nobody uses.
            unsafe { self.free_cell(block) };
        }
        for class in Class::all() {
            while let Some(block) = self.small.cache.take_back(class) {
                // SAFETY: a block in the cache is free for the caller, and in use for what it came
                // from.
                unsafe { self.put_back(class, block) };
            }
            let list = &mut self.small.partial[class.index()];
            // SAFETY: runs in lists are runs.
            if let Some(run) = list.head.filter(|run| unsafe { run.live(class) } == 0) {
                // SAFETY: it is the first in the list, and empty.
                unsafe { self.end_run(run, class) };
            }
        }
        #[cfg(feature = "checked")]
        self.report_broken_link();
    }

    /// Sets how many bytes of freed small blocks the front cache keeps at most; 0: none, so that
    /// every free block goes back to where it came from at once. No effect on a
    /// [plain](Heap::plain) heap, which has no cache.
    pub fn set_cache_limit(&mut self, bytes: usize) {
        if self.small.has_runs() && self.stopped.is_none() {
            self.flush();
            self.small.cache.set_limit(bytes.min(CACHE_LIMIT));
            self.kept.set_limit(bytes.saturating_sub(CACHE_LIMIT));
        }
    }

    /// Gives a block back to its run, or frees its cell. Returns how much work that was.
    ///
    /// # Safety
    ///
    /// The block was taken for this class, and nobody uses or lists it.
    #[inline]
    unsafe fn put_back(&mut self, class: Class, block: NonNull<u8>) -> usize {
        let Some(class_of_run) = self.small.pages.class_at(block.addr().get()) else {
            // SAFETY: the caller's promise, and the block is in no run.
            return unsafe { self.put_back_cell(class, block) };
        };
        // SAFETY: the caller's promise; the page map says so.
        unsafe { self.put_back_to_run(class_of_run, block) }
    }

    /// Gives a block back to its run. Returns how much work that was.
    ///
    /// # Safety
    ///
    /// It was taken from a run of this class, and nobody uses or lists it.
    #[inline]
    unsafe fn put_back_to_run(&mut self, class_of_run: Class, block: NonNull<u8>) -> usize {
        let run = Run::of_block(block, class_of_run);
        // SAFETY: the page map says that it is a run of that class, and the block was taken from
        // it.
        match unsafe { run.put(class_of_run, block) } {
            Now::More => EFFORT_OF_BLOCK,
            // SAFETY: the run has become so just now.
            now => unsafe { self.relist_run(run, class_of_run, now) },
        }
    }

    /// Frees the cell of a small block that is in no run.
    ///
    /// # Safety
    ///
    /// As for [`put_back`](Heap::put_back).
    #[inline(never)]
    unsafe fn put_back_cell(&mut self, class: Class, block: NonNull<u8>) -> usize {
        // SAFETY: the caller's promise. (A large block that became small where there was no memory
        // to move it to.)
        if !unsafe { self.deallocate_mapped(block) } {
            self.small.forget_cell(class);
            // SAFETY: a used cell: what is in no run and has no mapping is a cell.
            unsafe { self.free_cell(block) };
        }
        EFFORT_OF_CELL
    }

    /// Puts a run into its list, or ends it, after a block was put back.
    ///
    /// # Safety
    ///
    /// `now` is what has become of this run of this class.
    #[inline(never)]
    unsafe fn relist_run(&mut self, run: Run, class: Class, now: Now) -> usize {
        match now {
            Now::More => 0,
            // SAFETY: it was full, so in no list.
            Now::Partial => unsafe { self.list_run(run, class) },
            // SAFETY: it is in its list, because it was partial before: no run has only one block.
            Now::Empty => unsafe { self.end_run_unless_last(run, class) },
        }
    }

    /// Puts a run into the list of its class. If an empty one was kept there for the next request,
    /// it is kept no longer.
    ///
    /// # Safety
    ///
    /// A run of this class that has a free block, and is in no list.
    unsafe fn list_run(&mut self, run: Run, class: Class) -> usize {
        let list = &mut self.small.partial[class.index()];
        // SAFETY: runs in lists are runs.
        let empty = list.head.filter(|run| unsafe { run.live(class) } == 0);
        // SAFETY: the caller's promise.
        unsafe { list.insert(run, class) };
        // SAFETY: in its list, and empty.
        empty.map_or(EFFORT_OF_LISTING, |empty| unsafe { self.end_run(empty, class) })
    }

    /// Ends a run that has become empty, unless it is the only one of its class with a free block.
    ///
    /// # Safety
    ///
    /// A run of this class without live blocks, in its list.
    unsafe fn end_run_unless_last(&mut self, run: Run, class: Class) -> usize {
        // SAFETY: the caller's promise.
        let is_last = self.small.partial[class.index()].head == Some(run)
            && unsafe { run.next(class) }.is_none();
        // SAFETY: the caller's promise.
        if is_last { EFFORT_OF_BLOCK } else { unsafe { self.end_run(run, class) } }
    }

    /// Makes a run a free cell again.
    ///
    /// # Safety
    ///
    /// A run of this class without live blocks, in its list.
    unsafe fn end_run(&mut self, run: Run, class: Class) -> usize {
        // SAFETY: the caller's promise.
        unsafe { self.small.partial[class.index()].remove(run, class) };
        self.small.forget_run(class);
        let payload = run.payload();
        if let Some(leaf) = self.small.pages.clear(payload.addr().get(), len_of(class)) {
            // SAFETY: a leaf is a used cell, which the map has given up.
            unsafe { self.free_cell(leaf) };
        }
        // SAFETY: the run was the only user of its cell.
        unsafe { self.free_cell(payload) };
        EFFORT_OF_RUN
    }
}
