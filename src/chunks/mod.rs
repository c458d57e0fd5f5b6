//! The documents' heap: cells on free lists, over the memory of a [`Space`]. Complete without any
//! layer above it.
//!
//! ```text
//!   allocate ──► bins ──(nothing fits)──► top ──(too small)──► the break moves up     allocate.rs
//!                  └ a free cell is split (C3)                                        split.rs
//!   free ──────► coalesced with free neighbours (C6) ──► a bin, or the top            split.rs
//!                                   └──(the top is large)──► the break moves down     trim.rs
//!   dissolve ──► one used cell becomes those of the blocks that are live in it        dissolve.rs
//!   resize ────► in place: next cell, break, previous cell                            resize.rs
//!   checked: neighbours and links are verified before they are used    neighbours.rs, links.rs
//! ```
//!
//! Freed memory is searched first (C4) and stays with the heap (C5). The *top*, the free cell that
//! ends at the break, is used last and is in no bin, so that the break can come down (C8).
//!
//! Rules of this folder: it reaches memory through [`crate::cell`] only. No operation takes longer
//! for a heap of more cells, except a search before a request is refused, copying and zeroing.

mod allocate;
mod dissolve;
mod links;
mod neighbours;
mod resize;
mod split;
mod trim;

use core::ptr::NonNull;

use crate::bins::{Binning, Bins};
use crate::cell::{Cell, WORD};
use crate::checks::Checks;
use crate::slab_tuning::SlabTuning;
use crate::space::{Origin, RegionError, Space};

pub use allocate::Growth;
pub(crate) use dissolve::Blocks;
pub(crate) use links::links_of;
pub(crate) use neighbours::{after, broken_header};
pub(crate) use resize::Way;
pub use trim::Trim;

/// How a heap's cells are served: the part of a profile that this folder knows.
pub trait Tuning: Binning {
    /// The break moves up by this many bytes at least, if it can.
    const GROWTH_STEP: usize;

    /// State of a checked heap beside its cells: it receives the reports of misuse.
    type Checks: Checks;

    /// Sizes of slabs, if small blocks come from slabs.
    type Slabs: SlabTuning;
}

/// The cells of a heap.
///
/// # Invariants
///
/// [`Heap::check`](crate::Heap::check) verifies all of them; [`Rule`](crate::Rule) names each.
///
/// * every region begins with a head, is tiled by cells and ends with a fencepost
/// * `PREV_USED` of a cell `⟺` the cell before it is used; a free cell has its size at its end
/// * no two free cells are neighbours
/// * a free cell is in the bin of its class and nowhere else; or it is `top`, and in no bin
/// * `top = Some(c) ⟺ c` is free and the fencepost of the break's region follows it
/// * the counters say what a walk finds
/// * once the space has stopped, bins and top are empty
#[derive(Debug)]
pub struct Chunks<B, P: Tuning> {
    space: Space<B, P>,
    bins: Bins<P>,
    /// The free cell that ends at the fencepost of the break's region.
    top: Option<Cell<P>>,
    pub(crate) counters: Counters,
    trim: Trim,
    /// The state of a checked heap beside its cells.
    pub(crate) checks: P::Checks,
    take_in: Option<TakeIn<B, P>>,
}

/// Makes memory part of a heap beside regions that were added. Returns how many bytes of cells the
/// heap gained, if it was added.
///
/// A heap has this function once memory may be added: a program that never adds memory does not
/// link it, and needs less than half of the code to grow.
///
/// # Errors
///
/// The memory cannot be used. The heap is as it was.
///
/// # Safety
///
/// The memory was granted by the provider, or fulfils the contract of
/// [`Heap::add_region`](crate::Heap::add_region). Pointers may be moved between it and regions that
/// it touches.
type TakeIn<B, P> =
    unsafe fn(&mut Chunks<B, P>, NonNull<[u8]>, Origin) -> Result<usize, RegionError>;

// SAFETY: the cells belong to this heap alone and go with it.
unsafe impl<B: Send, P: Tuning> Send for Chunks<B, P> {}

impl<B, P: Tuning> Chunks<B, P> {
    pub(crate) const fn new(source: B) -> Self {
        Self {
            space: Space::new(source),
            bins: Bins::new(),
            top: None,
            counters: Counters::new(),
            trim: Trim::DEFAULT,
            checks: P::Checks::NEW,
            take_in: None,
        }
    }

    /// Returns the memory.
    #[inline(always)]
    pub(crate) const fn space(&self) -> &Space<B, P> {
        &self.space
    }

    /// Returns the provider.
    pub(crate) const fn source_mut(&mut self) -> &mut B {
        &mut self.space.source
    }

    /// Returns the bins: all free cells except the top.
    pub(crate) const fn bins(&self) -> &Bins<P> {
        &self.bins
    }

    /// Returns the free cell at the break.
    #[inline(always)]
    pub(crate) const fn top(&self) -> Option<Cell<P>> {
        self.top
    }

    /// Returns whether the heap has stopped: it touches no memory any more.
    #[inline(always)]
    pub(crate) const fn has_stopped(&self) -> bool {
        self.space.has_stopped()
    }

    /// Sets when a `free` moves the break down.
    pub(crate) const fn set_trim(&mut self, trim: Trim) {
        self.trim = trim;
    }

    /// Returns the parts, so that a test can break one.
    #[cfg(test)]
    pub(crate) fn parts(&mut self) -> Parts<'_, B, P> {
        let Self { space, bins, top, counters, .. } = self;
        Parts { space, bins, top, below_peak: &mut counters.below_peak }
    }

    /// Forgets all free cells, when the space has stopped: the heap must not touch them any more.
    #[cold]
    #[inline(never)]
    fn abandon(&mut self) {
        self.bins.clear();
        self.top = None;
    }
}

/// Parts of a heap's cells, for tests that break one.
#[cfg(test)]
pub(crate) struct Parts<'chunks, B, P: Tuning> {
    pub(crate) space: &'chunks mut Space<B, P>,
    pub(crate) bins: &'chunks mut Bins<P>,
    pub(crate) top: &'chunks mut Option<Cell<P>>,
    pub(crate) below_peak: &'chunks mut usize,
}

/// Counters of bytes in use.
///
/// # Invariants
///
/// * `below_peak`: `peak_bytes`, less the payload bytes of all used cells, less `mapped_bytes`
/// * `mapped_bytes`: bytes of blocks with mappings of their own
/// * `peak_bytes`: the most that both were together
#[derive(Debug)]
pub(crate) struct Counters {
    below_peak: usize,
    mapped_bytes: usize,
    peak_bytes: usize,
}

impl Counters {
    const fn new() -> Self {
        Self { below_peak: 0, mapped_bytes: 0, peak_bytes: 0 }
    }

    pub(crate) const fn used_bytes(&self) -> usize {
        self.peak_bytes.wrapping_sub(self.below_peak).wrapping_sub(self.mapped_bytes)
    }

    pub(crate) const fn mapped_bytes(&self) -> usize {
        self.mapped_bytes
    }

    pub(crate) const fn peak_bytes(&self) -> usize {
        self.peak_bytes
    }

    /// Counts a cell of `size` bytes, header included, that became used.
    #[inline(always)]
    const fn allocated(&mut self, size: usize) {
        self.add(size - WORD);
    }

    /// Counts a used cell of `size` bytes that became free.
    #[inline(always)]
    const fn freed(&mut self, size: usize) {
        self.below_peak += size - WORD;
    }

    /// Counts a used cell that changed its size.
    #[inline(always)]
    const fn resized(&mut self, old: usize, new: usize) {
        self.below_peak += old;
        self.add(new);
    }

    /// Counts a block of `capacity` bytes that got a mapping of its own.
    pub(crate) const fn mapped(&mut self, capacity: usize) {
        self.mapped_bytes += capacity;
        self.add(capacity);
    }

    /// Counts a mapping of a block of `capacity` bytes that was given back.
    pub(crate) const fn unmapped(&mut self, capacity: usize) {
        self.mapped_bytes -= capacity;
        self.below_peak += capacity;
    }

    /// Counts bytes that came into use.
    const fn add(&mut self, bytes: usize) {
        let (below_peak, is_peak) = self.below_peak.overflowing_sub(bytes);
        self.below_peak = below_peak;
        if is_peak {
            self.peak_bytes = self.peak_bytes.wrapping_sub(below_peak);
            self.below_peak = 0;
        }
    }
}
