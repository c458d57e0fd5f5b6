//! Small and medium blocks of an arena's heap: what makes them fast, and what makes them tight.
//!
//! ```text
//!   pop, push ──► front cache     a list of free blocks a class; full or empty now and then    cache.rs
//!                     │ ▲         also of medium blocks, which are cells                       front.rs
//!                     ▼ │ some at a time
//!                   runs          whole pages of equal blocks without headers                  run.rs
//!                     │           which pages are runs, of what class, and whose               segments.rs
//!                     │           the same for one heap                                        page_map.rs
//!                     ▼
//!                   cells         of the heap below, which gives pages and takes them back
//! ```
//!
//! Rules of this folder: the heap sees it as a [`Layer`]. All of the heap's memory is segments of a
//! map, and no block has a mapping of its own. `front.rs` is arithmetic.
//! A block in a class's list may be a block of a larger class: the page map, not the list, tells
//! where it goes back to.

mod allocate;
mod arena_layer;
mod cache;
mod deallocate;
mod direct;
#[deny(unsafe_code)]
mod front;
mod medium;
mod page_map;
mod resize;
mod run;
pub(crate) mod segments;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::chunks::{Growth, Tuning};
use crate::large::Large;
use crate::layer::{InRun, Layer};
use crate::link_copy::BrokenLink;
use crate::provider::{Map, Source};
use crate::request::Request;
use crate::size_class::{CLASSES, Class};

pub use arena_layer::ArenaLayer;
pub(crate) use cache::Cache;
pub(crate) use front::{FRONTS, Front, MIDDLING_MAX};
pub(crate) use page_map::PageMap;
pub(crate) use run::{NOWHERE, Now, PAGE, PartialRuns, Run, blocks_of, len_of};
use segments::{Owner, SegmentMap};

/// Bytes of freed small blocks that the front cache keeps at most.
const CACHE_LIMIT: usize = 256 << 10;

/// Denominator of the part of a run that a class's blocks must save before its first run begins.
/// Runs begin early: their blocks are freed faster, above all by address, and what a run wastes
/// counts little in memory that comes by the segment.
const RUN_PAYS: usize = 16;

/// Some of the cache is freed each time when so many bytes were cut from the top.
const FLUSH_EACH: usize = 512;

/// What an arena's heap keeps for its small and medium blocks.
#[derive(Debug)]
pub struct SmallBlocks<P: Tuning> {
    pub(crate) cache: Cache<P>,
    pub(crate) partial: [PartialRuns; CLASSES],
    pub(crate) pages: PageMap,
    /// For each class, how many blocks are cells of their own (a guess where blocks were resized,
    /// or are more than fit).
    pub(crate) cells: [u16; CLASSES],
    /// For each class, how many runs there are; once there were too many to count, this stays.
    runs: [u16; CLASSES],
    /// Bytes that were cut from the top since some of the cache was freed.
    cut: usize,
    /// Number of the class whose blocks are the next to leave the cache for want of memory.
    next_to_flush: u8,
}

impl<P: Tuning> SmallBlocks<P> {
    /// Whether the next blocks of a class come from a run: it has runs already, or what they save
    /// pays for what a run may waste.
    ///
    /// A block of a run saves the header and the rounding of a cell. A run wastes the half of
    /// itself, taken over the classes.
    pub(crate) const fn has_earned_run(&self, class: Class, cell_size: usize) -> bool {
        let saved = self.cells[class.index()] as usize * (cell_size - class.size());
        self.runs[class.index()] > 0 || saved >= len_of(class) / RUN_PAYS
    }

    /// A run of this class has begun.
    pub(crate) const fn note_run(&mut self, class: Class) {
        let runs = &mut self.runs[class.index()];
        *runs = runs.saturating_add(1);
    }

    /// A run of this class has ended.
    pub(crate) const fn forget_run(&mut self, class: Class) {
        let runs = &mut self.runs[class.index()];
        *runs -= if *runs == u16::MAX { 0 } else { 1 };
    }

    /// How many runs of a class there are; `None` if there once were too many to count.
    pub(crate) fn counted_runs(&self, class: Class) -> Option<usize> {
        Some(self.runs[class.index()]).filter(|&runs| runs < u16::MAX).map(usize::from)
    }

    /// Whether it is time to free some of the cache before `size` bytes are cut from the top.
    pub(crate) const fn is_flush_due(&mut self, size: usize) -> bool {
        self.cut = self.cut.saturating_add(size);
        let due = self.cut >= FLUSH_EACH;
        if due {
            self.cut = 0;
        }
        due
    }

    /// All classes in turn, the largest first.
    pub(crate) fn next_to_flush(&mut self) -> Class {
        let next = (usize::from(self.next_to_flush) + CLASSES - 1) % CLASSES;
        self.next_to_flush = next as u8;
        Class::from_index(next).expect("less than their number")
    }

    /// A block of this class is a cell of its own from now on.
    pub(crate) const fn note_cell(&mut self, class: Class) {
        let cells = &mut self.cells[class.index()];
        *cells = cells.saturating_add(1);
    }

    /// A block of this class is not a cell of its own any more.
    pub(crate) const fn forget_cell(&mut self, class: Class) {
        let cells = &mut self.cells[class.index()];
        *cells = cells.saturating_sub(1);
    }
}

// SAFETY: a block of a class is one of a run, or a cell, that is as long and as aligned as the class
// says, and is in no list while a caller has it.
unsafe impl<P: Tuning> Layer<P> for SmallBlocks<P> {
    const NEW: Self = Self {
        cache: Cache::new(CACHE_LIMIT),
        partial: [PartialRuns::EMPTY; CLASSES],
        pages: PageMap::NEW,
        cells: [0; CLASSES],
        runs: [0; CLASSES],
        cut: 0,
        next_to_flush: 0,
    };

    const PRESENT: bool = true;

    #[inline(always)]
    fn class_of(layout: Layout) -> Option<Class> {
        Class::of(layout).or_else(|| Class::of_unusual(layout))
    }

    #[inline(always)]
    fn pop(&mut self, class: Class) -> Option<NonNull<u8>> {
        self.cache.pop(class)
    }

    fn allocate<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        class: Class,
        layout: Layout,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        const {
            assert!(!B::CONTIGUOUS && !M::AVAILABLE, "the heap of an arena has segments alone");
        }
        self.allocate_small(large, class, layout, growth)
    }

    #[inline(always)]
    fn pop_aligned(&mut self, class: Class, align: usize) -> Option<NonNull<u8>> {
        self.cache.pop_aligned(class, align)
    }

    #[inline(always)]
    unsafe fn deallocate<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        block: NonNull<u8>,
        class: Class,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_as(large, block, class) };
    }

    #[inline(always)]
    fn allocate_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        self.take_cell_or_grow(large, request, growth)
    }

    #[inline(always)]
    fn take_unfreed<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        request: Request,
        growth: Growth,
    ) -> Option<NonNull<u8>> {
        self.take_unfreed_or_grow(large, request, growth)
    }

    #[inline(always)]
    unsafe fn deallocate_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
    ) {
        // SAFETY: the caller's promise.
        unsafe { self.keep_or_free(large, payload) };
    }

    #[inline(always)]
    unsafe fn reallocate_at_hand<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.reallocate_through_cache(large, payload, layout, new) }
    }

    unsafe fn move_to_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
        layout: Layout,
        old_class: Class,
        request: Request,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.move_to_freed_cell(large, payload, layout, old_class, request) }
    }

    fn note_resized(&mut self, old: Option<Class>, new: Option<Class>) {
        old.into_iter().for_each(|class| self.forget_cell(class));
        new.into_iter().for_each(|class| self.note_cell(class));
    }

    #[inline(always)]
    fn run_at(&self, address: usize) -> Option<Class> {
        self.pages.class_at(address)
    }

    fn flush<B: Source, M: Map>(&mut self, large: &mut Large<B, M, P>) {
        self.give_up_everything(large);
    }

    fn in_run(&self, block: NonNull<u8>) -> Option<InRun> {
        let address = block.addr().get();
        let class = self.pages.class_at(address)?;
        Some(InRun { class, around: Run::of_block(block, class).block_around(class, address) })
    }

    fn is_free_in_run(&self, block: NonNull<u8>, class: Class) -> bool {
        let address = block.addr().get();
        // SAFETY: the page map says that it is a run of this class.
        let is_free = unsafe { Run::of_block(block, class).is_free(class, address) };
        is_free || self.cache.contains(address)
    }

    fn take_broken(&mut self) -> Option<BrokenLink> {
        self.cache.take_broken()
    }
}

impl<P: Tuning> ArenaLayer<P> for SmallBlocks<P> {
    #[inline(always)]
    fn pop_direct(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        self.pop_front(layout)
    }

    #[inline(always)]
    unsafe fn push_direct(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.push_front(block, layout) }
    }

    #[inline(always)]
    unsafe fn push_direct_by_ptr(&mut self, block: NonNull<u8>, run: Option<Class>) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.push_front_by_ptr(block, run) }
    }

    #[inline(always)]
    unsafe fn resize_direct(
        &mut self,
        block: NonNull<u8>,
        class_of_run: Class,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.resize_in_front(block, class_of_run, new) }
    }

    #[inline(always)]
    fn raise_medium_limit(&mut self, limit: usize) {
        if !P::CHECKED {
            self.cache.raise_limit_of_middling(limit);
        }
    }

    unsafe fn rely_on(&mut self, segments: NonNull<SegmentMap>, owner: Owner) {
        // SAFETY: the caller's promise.
        self.pages = unsafe { PageMap::of(segments, owner) };
    }
}
