//! Small blocks: what makes them fast, and what makes them tight.
//!
//! ```text
//!   pop, push ──► front cache           a list of free blocks a class; full or empty now and then   cache.rs
//!                     │ ▲               in arenas also of middling blocks, which are cells          front.rs
//!                     ▼ │ some at a time
//!                   runs                whole pages of equal blocks without headers                 run.rs
//!                     │                 which pages are runs, and of what class                     page_map.rs
//!                     │                 the same, and whose they are, for heaps with one parent     segments.rs
//!                     ▼
//!                   cells               of the heap above, which gives pages and takes them back
//! ```
//!
//! Rules of this folder: it knows blocks, runs and pages, and nothing of cells or of the heap that
//! uses it. `class.rs` and `front.rs` are arithmetic. A block in a class's list may be a block of a
//! larger class: where it goes back to is told by the page map, not by the list.

mod cache;
#[deny(unsafe_code)]
mod class;
#[deny(unsafe_code)]
mod front;
#[cfg(feature = "checked")]
pub(crate) mod link_copy;
mod page_map;
mod run;
pub(crate) mod segments;

pub(crate) use cache::Cache;
pub(crate) use class::{CLASSES, Class, SMALL_MAX};
pub(crate) use front::{FRONTS, Front, MIDDLING_MAX};
#[cfg(feature = "checked")]
pub(crate) use link_copy::BrokenLink;
pub(crate) use page_map::{LEAVES, PageMap};
pub(crate) use run::{NOWHERE, Now, PAGE, PartialRuns, Run, blocks_of, len_of};

use segments::Owner;

/// A class gets its first run when what its blocks would save pays for this part of it: for a half,
/// or, where runs are favoured, for a sixteenth.
const RUN_PAYS: u8 = 2;
const FAVOURED_RUN_PAYS: u8 = 16;

/// Some of the cache is freed each time when so many bytes were cut from the top.
const FLUSH_EACH: usize = 512;

/// What a heap keeps for its small blocks; `LISTS` as for its [`Cache`].
#[derive(Debug)]
pub(crate) struct Small<const LISTS: usize> {
    pub(crate) cache: Cache<LISTS>,
    pub(crate) partial: [PartialRuns; CLASSES],
    pub(crate) pages: PageMap,
    /// Whose the heap's memory is, if it is segments of a map.
    pub(crate) owner: Owner,
    /// For each class, how many blocks are cells of their own (a guess where blocks were resized,
    /// or are more than fit).
    pub(crate) cells: [u16; CLASSES],
    /// For each class, how many runs there are; once there were too many to count, this stays.
    runs: [u16; CLASSES],
    /// Bytes that were cut from the top since some of the cache was freed.
    cut: usize,
    /// Number of the class whose blocks are the next to leave the cache for want of memory.
    next_to_flush: u8,
    /// False: every block is a cell.
    has_runs: bool,
    /// What part of a run must be paid for before the first one begins.
    run_pays: u8,
    /// Requests for small blocks that the cache could not serve, modulo 2³².
    misses: u32,
    /// Requests for blocks that are not small, modulo 2³².
    large: u32,
}

impl<const LISTS: usize> Small<LISTS> {
    /// Runs behind a cache of `limit` bytes.
    pub(crate) const fn new(limit: usize) -> Self {
        Self {
            cache: Cache::new(limit),
            partial: [PartialRuns::EMPTY; CLASSES],
            pages: PageMap::new(),
            owner: Owner::NOBODY,
            cells: [0; CLASSES],
            runs: [0; CLASSES],
            cut: 0,
            next_to_flush: 0,
            has_runs: true,
            run_pays: RUN_PAYS,
            misses: 0,
            large: 0,
        }
    }

    /// Neither runs nor a cache.
    pub(crate) const fn none() -> Self {
        Self { has_runs: false, ..Self::new(0) }
    }

    /// Whether small blocks come from runs and the cache; else every block is a cell.
    pub(crate) const fn has_runs(&self) -> bool {
        self.has_runs
    }

    /// A small block was asked for, and the cache had none.
    pub(crate) const fn missed(&mut self) {
        self.misses = self.misses.wrapping_add(1);
    }

    /// How often that was, modulo 2³².
    pub(crate) const fn misses(&self) -> u32 {
        self.misses
    }

    /// A block that is not small was asked for.
    pub(crate) const fn large_requested(&mut self) {
        self.large = self.large.wrapping_add(1);
    }

    /// How often that was, modulo 2³².
    pub(crate) const fn large_requests(&self) -> u32 {
        self.large
    }

    /// Whether the next blocks of a class come from a run: it has runs already, or what they save
    /// pays for what a run may waste.
    ///
    /// A block of a run saves the header and the rounding of a cell. A run wastes the half of
    /// itself, taken over the classes.
    pub(crate) const fn has_earned_run(&self, class: Class, cell_size: usize) -> bool {
        let saved = self.cells[class.index()] as usize * (cell_size - class.size());
        self.runs[class.index()] > 0 || saved >= len_of(class) / self.run_pays as usize
    }

    /// From now on runs begin early: blocks of a run are freed faster, above all by address, and
    /// what a run wastes counts little in memory that comes by the segment.
    pub(crate) const fn favour_runs(&mut self) {
        self.run_pays = FAVOURED_RUN_PAYS;
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
        let due = self.cut >= FLUSH_EACH && self.has_runs;
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

    /// A cell of its own was resized.
    pub(crate) fn change_cell(&mut self, old: Option<Class>, new: Option<Class>) {
        old.into_iter().for_each(|class| self.forget_cell(class));
        new.into_iter().for_each(|class| self.note_cell(class));
    }

    /// Forgets everything: the memory is no longer the heap's.
    pub(crate) const fn abandon(&mut self) {
        *self = Self::none();
    }
}
