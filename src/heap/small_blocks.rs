//! Small blocks: from the front cache, from runs, or as cells (C9).
//!
//! ```text
//!   allocate ─► cache ──(empty)──► a run with a free block ──► a new run ──► a cell ──► the break moves up ──► a larger class
//!                                  some blocks at once         once enough blocks of the class are cells
//!   deallocate ─► cache ──(full)──► its run, or its cell
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use super::growth::Growth;
use super::{CACHE_LIMIT, Heap, Request};
use crate::cell::{CELL_ALIGN, WORD};
use crate::provider::{Break, Map};
use crate::raw_heap::move_block;
use crate::small::{Class, Now, Run, len_of};

pub(super) use super::check_small::SmallTally;
pub(super) use super::kept::Kept;

/// How much work it is to put back a block, if its run had other free blocks and still has live ones: one unit. If the run was full, if
/// the block is a cell, and if the run ends, it is more.
const EFFORT_OF_BLOCK: usize = 1;
const EFFORT_OF_LISTING: usize = 3;
const EFFORT_OF_CELL: usize = 5;
const EFFORT_OF_RUN: usize = 12;

/// When a request before which some of the cache is freed has done enough.
const FLUSH_EFFORT: usize = 3;

/// How many classes are looked at each time when some of the cache is freed before the top is cut.
const CLASSES_AHEAD: usize = 4;

/// How many kept cells are freed then at most.
const KEPT_AHEAD: usize = 1;

/// Blocks that are taken from a run at once.
const MOST_AT_ONCE: usize = 8;

/// A leaf of the page map may always be so long, in bytes; a longer one is worth having if it is at most this share of the heap.
const LEAST_LEAF: usize = 1024;
const LEAF_SHARE: usize = 512;

impl Request {
    /// The cell for a run of `len` bytes, header included, whose payload is aligned to `len`.
    ///
    /// `None` if `len` is no length of a run: not a power of two, or shorter than a cell.
    fn for_run(len: usize) -> Option<Self> {
        Self::new(Layout::from_size_align(len.checked_sub(WORD)?, len).ok()?)
    }
}

impl<B: Break, M: Map> Heap<B, M> {
    /// Allocates a small block when the cache has none.
    #[cold]
    #[inline(never)]
    pub(super) fn allocate_small(&mut self, class: Class, layout: Layout, growth: Growth) -> Option<NonNull<u8>> {
        if !self.small.has_runs() {
            return self.allocate_cell(Request::new(layout)?, growth);
        }
        self.small.missed();
        if let Some(block) = self.take_small(class) {
            return Some(block);
        }
        if growth == Growth::Allowed
            && let Some(block) = self.grow_for_small(class)
        {
            return Some(block);
        }
        // Nothing is left but what the cache keeps from other classes, and blocks that are larger than need be.
        self.flush();
        self.take_small(class).or_else(|| self.borrow(class))
    }

    /// A small block from what the heap has: a run with a free block, a new run, or a cell.
    fn take_small(&mut self, class: Class) -> Option<NonNull<u8>> {
        if let Some(run) = self.small.partial[class.index()].head {
            // SAFETY: it is in the list of its class.
            return unsafe { self.take_from_run(run, class) };
        }
        let request = Request::new(class.layout())?;
        if self.small.has_earned_run(class, request.size())
            && let Some(run) = self.begin_run(class)
        {
            // SAFETY: it is in the list of its class.
            return unsafe { self.take_from_run(run, class) };
        }
        let payload = self.take(request)?;
        Some(self.note_small_cell(class, payload))
    }

    /// Moves the break for a small block.
    fn grow_for_small(&mut self, class: Class) -> Option<NonNull<u8>> {
        let request = Request::new(class.layout())?;
        if self.small.has_earned_run(class, request.size())
            && self.make_room(Request::for_run(len_of(class))?).is_ok()
            && let Some(block) = self.take_small(class)
        {
            return Some(block);
        }
        self.make_room(request).ok()?;
        let payload = self.take(request)?;
        Some(self.note_small_cell(class, payload))
    }

    /// A block of a larger class, from a run that has one free.
    fn borrow(&mut self, class: Class) -> Option<NonNull<u8>> {
        let mut larger = class.larger().filter(|&larger| class.is_served_by(larger));
        let (larger, run) = larger.find_map(|larger| Some((larger, self.small.partial[larger.index()].head?)))?;
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
        unsafe { self.small.partial[class.index()].insert(run) };
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
        let request = Layout::from_size_align(len, 1).ok().and_then(Request::new);
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
        let more = (self.small.cache.room(class) / 2).min(MOST_AT_ONCE);
        #[cfg(feature = "checked")]
        // SAFETY: the caller's promise.
        unsafe {
            self.watch_run(run, class, more + 1);
        }
        let mut taken = None;
        let supply = |push: &mut dyn FnMut(NonNull<u8>)| {
            // All but the last go to the cache; the last is for the caller.
            // SAFETY: the caller's promise.
            unsafe { run.take(class, more + 1, |block| taken.replace(block).into_iter().for_each(&mut *push)) };
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
        if unsafe { run.is_full() } {
            // SAFETY: the caller's promise.
            unsafe { self.small.partial[class.index()].remove(run) };
        }
    }

    /// Frees a small block when the cache has no room.
    ///
    /// # Safety
    ///
    /// As for [`Heap::deallocate`]; `class` is that of the layout.
    #[cold]
    #[inline(never)]
    pub(super) unsafe fn deallocate_small(&mut self, class: Class, block: NonNull<u8>) {
        if self.stopped.is_some() {
            return;
        }
        // Not the blocks that are in the list, whose links would have to be read: this one has only to be written to.
        // SAFETY: the caller's promise.
        if unsafe { self.put_back(class, block) } >= EFFORT_OF_CELL {
            self.trim_if_due();
        }
    }

    /// Frees some of what the cache keeps, a few classes at a time in turn: freed memory is used before the top is cut further (C4), and
    /// what is freed may merge with more. True if anything was freed.
    pub(super) fn flush_ahead(&mut self) -> bool {
        let mut effort = 0;
        for _ in 0..CLASSES_AHEAD {
            let class = self.small.next_to_flush();
            while effort < FLUSH_EFFORT
                && let Some(block) = self.small.cache.take_back(class)
            {
                // SAFETY: a block in the cache is free for the caller, and in use for what it came from.
                effort += unsafe { self.put_back(class, block) };
            }
        }
        for _ in 0..KEPT_AHEAD {
            if let Some(cell) = self.kept.evict(CLASSES_AHEAD) {
                // SAFETY: a kept cell is used, and nobody uses it.
                unsafe { self.free_cell(cell.payload()) };
                effort += EFFORT_OF_CELL;
            }
        }
        effort > 0
    }

    /// Gives back all blocks that the front cache keeps, and all runs that are empty: what is free is in free cells then, except in
    /// runs of which some blocks are in use.
    ///
    /// # Time
    ///
    /// O(blocks in the cache + size classes): bounded by the cache's limit, and not by the number of cells.
    pub fn flush(&mut self) {
        while let Some(cell) = self.kept.take_any() {
            // SAFETY: a kept cell is used, and nobody uses it.
            unsafe { self.free_cell(cell.payload()) };
        }
        for class in Class::all() {
            while let Some(block) = self.small.cache.take_back(class) {
                // SAFETY: a block in the cache is free for the caller, and in use for what it came from.
                unsafe { self.put_back(class, block) };
            }
            let list = &mut self.small.partial[class.index()];
            // SAFETY: runs in lists are runs.
            if let Some(run) = list.head.filter(|run| unsafe { run.live() } == 0) {
                // SAFETY: it is the first in the list, and empty.
                unsafe { self.end_run(run, class) };
            }
        }
        #[cfg(feature = "checked")]
        self.report_broken_link();
    }

    /// Sets how many bytes of freed small blocks the front cache keeps at most; 0: none, so that every free block goes back to where it came
    /// from at once. No effect on a [plain](Heap::plain) heap, which has no cache.
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
        let run = Run::of_block(block, class_of_run);
        // SAFETY: the page map says that it is a run of that class, and the block was taken from it.
        match unsafe { run.put(block) } {
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
        // SAFETY: the caller's promise. (A large block that became small where there was no memory to move it to.)
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

    /// Puts a run into the list of its class. If an empty one was kept there for the next request, it is kept no longer.
    ///
    /// # Safety
    ///
    /// A run of this class that has a free block, and is in no list.
    unsafe fn list_run(&mut self, run: Run, class: Class) -> usize {
        let list = &mut self.small.partial[class.index()];
        // SAFETY: runs in lists are runs.
        let empty = list.head.filter(|run| unsafe { run.live() } == 0);
        // SAFETY: the caller's promise.
        unsafe { list.insert(run) };
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
        let is_last = self.small.partial[class.index()].head == Some(run) && unsafe { run.next() }.is_none();
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
        unsafe { self.small.partial[class.index()].remove(run) };
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

    /// The class of a layout if its blocks may come from a run.
    pub(super) fn small_class_of(&self, layout: Layout) -> Option<Class> {
        Class::of(layout).filter(|_| self.small.has_runs())
    }

    /// Changes the size of a block of a run: it stays if the new size is smaller and not by far, else it moves.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](Heap::reallocate); the block lies in a run of class `class_of_run`.
    pub(super) unsafe fn reallocate_in_run(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        new: Layout,
        class_of_run: Class,
    ) -> Option<NonNull<u8>> {
        // A block whose place is aligned by luck is as good as one of a class that always is.
        let is_aligned = payload.addr().get().is_multiple_of(CELL_ALIGN);
        let stays = |class: Class| class.is_served_by(class_of_run) || is_aligned && class <= class_of_run;
        let may_stay = self.small_class_of(new).is_some_and(stays);
        if may_stay && new.size() > class_of_run.size() / 2 {
            return Some(payload);
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(self, payload, layout, new.size()) }.or(may_stay.then_some(payload))
    }
}
