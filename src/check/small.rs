//! The invariants of an arena's small blocks, verified one by one: the runs, and their lists.
//!
//! ```text
//!   check_before   each segment has its entries (segments.rs)      so that the map can be read
//!   check_use      beside the walk, each used cell: is it what     so that runs can be read, and what is counted
//!                  the page map says?
//!   check_after    lists against what the walk counted; then the front cache (cache.rs)
//! ```

use core::ptr::NonNull;

use super::corruption::{Corruption, Rule, verify};
use crate::cell::{Cell, MIN_CELL, WORD};
use crate::chunks::{Chunks, Tuning};
use crate::layer::{Layer, NoLayer};
use crate::provider::Source;
use crate::size_class::{CLASSES, Class};
use crate::small::{NOWHERE, PAGE, Run, SmallBlocks, blocks_of, len_of};

/// The rules of a layer. The default is that of a layer which is not there.
pub trait LayerRules<P: Tuning>: Layer<P> {
    /// What a walk over all cells finds of the layer.
    type Tally: Default;

    /// Verifies what must be known before the walk.
    fn check_before<B: Source>(&self, _: &Chunks<B, P>) -> Result<(), Corruption> {
        Ok(())
    }

    /// Verifies a used cell, beside the walk.
    fn check_use<B: Source>(
        &self,
        _: &Chunks<B, P>,
        _: Cell<P>,
        _: usize,
        _: &mut Self::Tally,
    ) -> Result<(), Corruption> {
        Ok(())
    }

    /// Verifies everything else, after the walk. `at`: address of the lowest cell.
    fn check_after<B: Source>(
        &self,
        _: &Chunks<B, P>,
        _at: usize,
        _: &Self::Tally,
    ) -> Result<(), Corruption> {
        Ok(())
    }
}

impl<P: Tuning> LayerRules<P> for NoLayer {
    type Tally = ();
}

/// What a walk over all cells found of runs.
pub struct SmallTally {
    runs: [usize; CLASSES],
    /// Runs that have a free block.
    partial: usize,
}

impl Default for SmallTally {
    fn default() -> Self {
        Self { runs: [0; CLASSES], partial: 0 }
    }
}

impl<P: Tuning> LayerRules<P> for SmallBlocks<P> {
    type Tally = SmallTally;

    /// The segments are where they should be.
    fn check_before<B: Source>(&self, chunks: &Chunks<B, P>) -> Result<(), Corruption> {
        self.check_segments(chunks)
    }

    /// A used cell: if it lies in pages of a run it is that run, and all is well in it.
    fn check_use<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        cell: Cell<P>,
        size: usize,
        tally: &mut SmallTally,
    ) -> Result<(), Corruption> {
        let payload = cell.payload();
        let at = payload.addr().get();
        let Some(class) = self.pages.class_at(at) else { return Ok(()) };
        let len = len_of(class);
        verify(at, Rule::RunCell, at / len * len, at)?;
        // What is left when a cell is cut, and is too short for one, stays with it.
        if size.wrapping_sub(len) >= MIN_CELL {
            return Err(Corruption { at, rule: Rule::RunCell, expected: len, found: size });
        }
        for page in (at..at + len).step_by(PAGE) {
            let class_of_page = self.pages.class_at(page).map_or(CLASSES, Class::index);
            verify(page, Rule::PageMap, class.index(), class_of_page)?;
        }
        tally.runs[class.index()] += 1;
        let run = Run::of_block(payload, class);
        // SAFETY: the pages of a used cell of the heap, which the page map says is a run.
        if unsafe { self.check_run(chunks, run, class) }? {
            tally.partial += 1;
        }
        Ok(())
    }

    /// The page map, the lists of runs, and the front cache, after the walk.
    fn check_after<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        at: usize,
        tally: &SmallTally,
    ) -> Result<(), Corruption> {
        self.check_pages(chunks)?;
        for class in Class::all() {
            let runs = tally.runs[class.index()];
            verify(at, Rule::Runs, self.counted_runs(class).unwrap_or(runs), runs)?;
        }
        self.check_partial(chunks, at, tally)?;
        self.check_cache(chunks)
    }
}

impl<P: Tuning> SmallBlocks<P> {
    /// The blocks of a run, and what leads to it. True if it has a free block.
    ///
    /// # Safety
    ///
    /// The run's pages lie in the heap.
    unsafe fn check_run<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        run: Run,
        class: Class,
    ) -> Result<bool, Corruption> {
        let at = run_addr(Some(run));
        // SAFETY: the caller's promise.
        let (_, fresh) = unsafe { run.free_and_fresh(class) };
        let total = blocks_of(class);
        let taken_once = match fresh {
            _ if fresh == usize::from(NOWHERE) => total,
            _ => index_of(class, fresh).ok_or(Corruption {
                at,
                rule: Rule::RunBlocks,
                expected: total,
                found: fresh,
            })?,
        };
        let mut free = 0;
        // SAFETY: the caller's promise.
        for offset in unsafe { free_blocks(run, class) } {
            if index_of(class, offset).is_none_or(|index| index >= taken_once) || free == total {
                return Err(Corruption { at, rule: Rule::RunList, expected: 0, found: offset });
            }
            free += 1;
        }
        // SAFETY: the caller's promise.
        let live = unsafe { run.live(class) };
        verify(at, Rule::RunBlocks, total, live + free + (total - taken_once))?;
        let has_free = live < total;
        if has_free {
            // SAFETY: the caller's promise.
            let next = unsafe { run.next(class) };
            // SAFETY: the caller's promise.
            let prev = unsafe { run.prev(class) };
            let to_here = match prev {
                None => self.partial[class.index()].head,
                // SAFETY: a run of this class, whose pages lie in the heap.
                Some(prev) if self.is_run(chunks, prev, class) => unsafe { prev.next(class) },
                Some(outside) => Some(outside),
            };
            verify(at, Rule::RunLinks, at, run_addr(to_here))?;
            verify(
                at,
                Rule::EmptyRun,
                0,
                usize::from(live == 0 && (next.is_some() || prev.is_some())),
            )?;
        }
        Ok(has_free)
    }

    /// Follows every list of runs: they are runs of its class with a free block, and there are as
    /// many as the walk found.
    fn check_partial<B: Source>(
        &self,
        chunks: &Chunks<B, P>,
        at: usize,
        tally: &SmallTally,
    ) -> Result<(), Corruption> {
        let mut seen = 0;
        for class in Class::all() {
            let (mut next, mut before) = (self.partial[class.index()].head, None);
            while let Some(run) = next {
                let is_run = self.is_run(chunks, run, class);
                // SAFETY: a run of this class, whose pages lie in the heap.
                if seen == tally.partial || !is_run || unsafe { run.is_full(class) } {
                    let (at, found) = (run_addr(before), run_addr(Some(run)));
                    return Err(Corruption { at, rule: Rule::RunLinks, expected: 0, found });
                }
                seen += 1;
                before = Some(run);
                // SAFETY: the same.
                next = unsafe { run.next(class) };
            }
        }
        verify(at, Rule::Partial, tally.partial, seen)
    }

    /// Whether the pages of a run lie in the heap, and the map says that they are a run of this
    /// class.
    pub(super) fn is_run<B: Source>(&self, chunks: &Chunks<B, P>, run: Run, class: Class) -> bool {
        let at = run_addr(Some(run));
        at % len_of(class) == 0
            && is_payload(chunks, at, len_of(class) - WORD)
            && self.pages.class_at(at) == Some(class)
    }
}

/// Returns whether `len` bytes from `at` on can be in a payload of this heap: aligned for a word,
/// behind a header, and below the region's fencepost.
pub(super) fn is_payload<B: Source, P: Tuning>(
    chunks: &Chunks<B, P>,
    at: usize,
    len: usize,
) -> bool {
    at % WORD == 0 && len <= room_from(chunks, at)
}

/// Returns how many bytes there are from `at` to the fencepost of its region, if a payload can
/// begin there.
pub(crate) fn room_from<B, P: Tuning>(chunks: &Chunks<B, P>, at: usize) -> usize {
    let mut places = chunks
        .space()
        .regions()
        .map(|region| (region.first.addr() + WORD, region.fencepost.addr()));
    places
        .find(|&(first, fencepost)| first <= at && at <= fencepost)
        .map_or(0, |(_, fencepost)| fencepost - at)
}

/// The number of the block that begins so many bytes above the start of a run, if one does.
pub(super) const fn index_of(class: Class, offset: usize) -> Option<usize> {
    let index = offset / class.size();
    if offset % class.size() == 0 && index < blocks_of(class) { Some(index) } else { None }
}

/// The places of a run's free blocks, as its list leads through them; what is no place of a block
/// is the last.
///
/// # Safety
///
/// The run's pages lie in the heap.
pub(super) unsafe fn free_blocks(run: Run, class: Class) -> impl Iterator<Item = usize> {
    // SAFETY: the caller's promise.
    let (first, _) = unsafe { run.free_and_fresh(class) };
    core::iter::successors(Some(first), move |&offset| {
        index_of(class, offset)?;
        // SAFETY: the place of a block, inside the run.
        let block = unsafe { run.payload().add(offset) };
        // SAFETY: as above; any bits are a number.
        Some(usize::from(unsafe { block.cast::<u16>().read() }))
    })
    .take_while(|&offset| offset != usize::from(NOWHERE))
}

pub(super) fn addr(block: Option<NonNull<u8>>) -> usize {
    block.map_or(0, |block| block.addr().get())
}

pub(super) fn run_addr(run: Option<Run>) -> usize {
    addr(run.map(Run::payload))
}
