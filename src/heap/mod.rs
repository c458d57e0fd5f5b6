//! The heap: cells, bins, top, over a break. For one owner at a time.
//!
//! ```text
//!   allocate ───┬ small ─► front cache ──(empty)──► a run, or a cell                                  small_blocks.rs
//!               └ else ──► a kept cell ──► bins ──(nothing fits)──► top ──(too small)──► the break moves up
//!                          kept.rs         bins.rs, size_class.rs                        growth.rs    (all: large_blocks.rs)
//!                                          a free cell is cut: cut_and_merge.rs
//!   deallocate ─┬ small ─► front cache ──(full)──► its run, or its cell                               small_returns.rs
//!               └ else ──► kept, or merged with free neighbours ─► a bin, or the top ──(large)──► the break moves down
//!                                                                                        trim.rs
//!   reallocate ──► resize.rs, small_resize.rs          all of them by address alone: by_address.rs
//!   add_region ──► memory beside the break's: add_region.rs, join.rs
//!
//!   look, do not touch:  cells() (walk.rs) · picture() · stats() · check()
//! ```
//!
//! Freed memory is searched first (C4) and stays with the heap (C5). The *top*, the free cell that
//! ends at the break, is used last and is in no bin, so that the break can come down (C8).
//! Neighbouring free cells are always merged (C6).
//!
//! Rules of this folder: `request.rs` and `size_class.rs` are arithmetic; all else reaches memory
//! through [`crate::cell`] only. No operation takes longer for a heap of more cells, except the
//! copy in `reallocate`, zeroing, and those that look at everything. Large blocks can have mappings
//! of their own (mapped.rs).

#[cfg(not(feature = "tiny"))]
mod add_region;
mod bins;
mod by_address;
mod check;
#[cfg(not(feature = "tiny"))]
mod check_cache;
#[cfg(not(feature = "tiny"))]
mod check_segments;
#[cfg(not(feature = "tiny"))]
mod check_small;
#[cfg(feature = "checked")]
mod checked;
mod cut_and_merge;
mod extent;
#[cfg(not(feature = "tiny"))]
mod front;
mod growth;
#[cfg(not(feature = "tiny"))]
mod join;
#[cfg(not(feature = "tiny"))]
mod kept;
mod large_blocks;
mod mapped;
#[cfg(not(feature = "tiny"))]
mod middling;
mod picture;
#[cfg_attr(feature = "tiny", path = "no_pieces.rs")]
mod pieces;
mod regions;
#[deny(unsafe_code)]
mod request;
mod resize;
#[deny(unsafe_code)]
mod size_class;
#[cfg_attr(feature = "tiny", path = "no_small_blocks.rs")]
mod small_blocks;
#[cfg(not(feature = "tiny"))]
mod small_resize;
#[cfg(not(feature = "tiny"))]
mod small_returns;
mod stats;
mod trim;
mod unused;
mod walk;
mod zeroed;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::Cell;
use crate::provider::{Break, Map, NoMap};
use crate::raw_heap::RawHeap;
use crate::small::{CLASSES, Class, Small};

use bins::Bins;
#[cfg(feature = "checked")]
use checked::guarded;
use extent::{Extent, Taken};
use growth::Growth;
use regions::Regions;
use request::Request;
use small_blocks::Kept;
use stats::Counters;

#[cfg(not(feature = "tiny"))]
pub use add_region::RegionError;
pub use check::{Corruption, Rule};
#[cfg(feature = "checked")]
pub use checked::{Decision, Misuse, MisuseHook, MisuseKind};
#[cfg(feature = "checked")]
pub(crate) use checked::{examine_foreign, guarded_layout, relabel, send, size_on_record};
pub use mapped::MapThreshold;
pub use picture::Picture;
pub use stats::Stats;
pub use trim::Trim;
pub use walk::{CellInfo, CellState, Cells};

/// A heap over a break.
///
/// It has no lock: see [`LockedHeap`](crate::LockedHeap) for one that can be shared and be the
/// global allocator.
///
/// `LISTS` is how many lists the front cache has: more than usual in the heaps that an
/// [`ArenaHeap`](crate::ArenaHeap) consists of, and there alone.
///
/// ```
/// use brkalloc::{FixedBreak, Heap};
/// use core::alloc::Layout;
///
/// let memory = Box::leak(Box::new([0; 4096]));
/// let mut heap = Heap::new(FixedBreak::from_array(memory));
/// let layout = Layout::from_size_align(100, 8).unwrap();
/// // SAFETY: the heap outlives the block; the block is freed once, with its own layout.
/// unsafe {
///     let block = heap.allocate(layout).expect("4 KiB hold 100 bytes");
///     heap.deallocate(block, layout);
/// }
/// assert_eq!(heap.stats().live_cells, 0);
/// ```
///
/// # Invariants
///
/// [`check`](Heap::check) verifies all of them; [`Rule`] names each.
///
/// * every region begins with a head, is tiled by cells and ends with a fence; fences lead from
///   region to region in ascending order
/// * `PREV_USED` of a cell `⟺` the cell before it is used; a free cell has its size at its end
/// * no two free cells are neighbours
/// * a free cell is in the bin of its class and nowhere else; or it is `top`, and in no bin
/// * `top = Some(c) ⟺ c` is free and the fence of the break's region follows it
/// * the counters say what a walk finds
#[derive(Debug)]
pub struct Heap<B, M = NoMap, const LISTS: usize = CLASSES> {
    brk: B,
    map: M,
    bins: Bins,
    /// The free cell that ends at the fence of the break's region.
    top: Option<Cell>,
    /// All memory that the heap has.
    regions: Regions,
    /// What the provider has granted of it; `None` before the first grant and after everything
    /// went back.
    extent: Option<Extent>,
    counters: Counters,
    trim: Trim,
    map_threshold: MapThreshold,
    /// The front cache, runs, and which pages are runs.
    small: Small<LISTS>,
    /// Freed cells that are kept as they are.
    kept: Kept,
    /// Set once the break was found below our memory. From then on the heap touches nothing: bins
    /// and top are empty.
    stopped: Option<Taken>,
    #[cfg(feature = "checked")]
    guard: checked::Guard,
}

// SAFETY: the cells belong to this heap alone and go with it.
unsafe impl<B: Send, M: Send, const LISTS: usize> Send for Heap<B, M, LISTS> {}

/// Bytes of freed small blocks that the front cache keeps at most, unless
/// [told](Heap::set_cache_limit) otherwise.
const CACHE_LIMIT: usize = 256 << 10;

impl<B> Heap<B> {
    /// An empty heap. The break is not moved, nor looked at, before the first allocation.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self::with_map(brk, NoMap)
    }

    /// An empty heap of the documents' kind: every block is a cell, and a cell that is freed is
    /// merged with its neighbours at once. Slower and looser than [`new`](Heap::new) for small
    /// blocks, and there is nothing in it but what a walk shows.
    #[must_use]
    pub const fn plain(brk: B) -> Self {
        Self::plain_with_map(brk, NoMap)
    }
}

impl<B, M> Heap<B, M> {
    /// An empty heap that gives large blocks mappings of their own (C15). See [`MapThreshold`].
    #[must_use]
    pub const fn with_map(brk: B, map: M) -> Self {
        Self::build(brk, map, Small::new(CACHE_LIMIT), Kept::new())
    }

    /// An empty heap of the documents' kind, see [`plain`](Heap::plain), that gives large blocks
    /// mappings of their own.
    #[must_use]
    pub const fn plain_with_map(brk: B, map: M) -> Self {
        Self::build(brk, map, Small::none(), Kept::none())
    }
}

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    const fn build(brk: B, map: M, small: Small<LISTS>, kept: Kept) -> Self {
        Self {
            small,
            kept,
            brk,
            map,
            bins: Bins::new(),
            top: None,
            regions: Regions::new(),
            extent: None,
            counters: Counters::new(),
            trim: Trim::DEFAULT,
            map_threshold: MapThreshold::DEFAULT,
            stopped: None,
            #[cfg(feature = "checked")]
            guard: checked::Guard::new(),
        }
    }

    /// The provider.
    pub const fn provider(&self) -> &B {
        &self.brk
    }

    /// The provider, for settings of its own. Moving the break through it counts as a foreign
    /// movement.
    pub const fn provider_mut(&mut self) -> &mut B {
        &mut self.brk
    }

    /// The provider of mappings.
    pub const fn map_provider(&self) -> &M {
        &self.map
    }

    /// The provider of mappings, for settings of its own.
    pub const fn map_provider_mut(&mut self) -> &mut M {
        &mut self.map
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Allocates a block. A small one comes from the front cache, from a run, or is a cell. Any
    /// other is a cell: a freed one, else one that is cut from the top, for which the break
    /// moves up if need be. A large block gets a mapping of its own if the heap has a provider of
    /// mappings.
    ///
    /// A block of no bytes is a block like any other, with an address of its own. The contents are
    /// unspecified.
    ///
    /// # Errors
    ///
    /// `None` if nothing fits and the provider does not grant more. The heap then serves smaller
    /// requests as before.
    ///
    /// # Time
    ///
    /// O(1), plus at most a few calls of the provider. Before the answer is `None`, a
    /// [`flush`](Heap::flush).
    ///
    /// # Safety
    ///
    /// The heap, and with it its provider, lives until the last use of the block.
    #[must_use]
    #[inline]
    pub unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_allocate(layout, Growth::Allowed));
        match Class::of(layout) {
            Some(class) => self
                .small
                .cache
                .pop(class)
                .or_else(|| self.allocate_small(class, layout, Growth::Allowed)),
            None => self.allocate_unusual(layout, Growth::Allowed),
        }
    }

    /// [`allocate`](Heap::allocate) that never calls the provider: for callers who hold what the
    /// provider may need.
    ///
    /// # Errors
    ///
    /// `None` if nothing that the heap has fits. [`reserve`](Heap::reserve) makes sure of more
    /// beforehand.
    ///
    /// # Time
    ///
    /// O(1). Before the answer is `None`, a [`flush`](Heap::flush).
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_allocate(layout, Growth::Forbidden));
        match Class::of(layout) {
            Some(class) => self
                .small
                .cache
                .pop(class)
                .or_else(|| self.allocate_small(class, layout, Growth::Forbidden)),
            None => self.allocate_unusual(layout, Growth::Forbidden),
        }
    }

    /// Frees a block. It is kept for the next request of its size, as far as [the
    /// limit](Heap::set_cache_limit) allows. Otherwise a block of a run goes back to the run; a
    /// cell is merged with its free neighbours, and goes into a bin, or is the top. If the top has
    /// outgrown the [trim](Trim) setting, the break moves down. A block with a mapping of its
    /// own takes that along.
    ///
    /// # Time
    ///
    /// O(1), plus at most one call of the provider.
    ///
    /// # Safety
    ///
    /// `payload` came from this heap with this layout, was not freed since, and is not used any
    /// more.
    #[inline]
    pub unsafe fn deallocate(&mut self, payload: NonNull<u8>, layout: Layout) {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_deallocate(payload, layout));
        let Some(class) = Class::of(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { self.deallocate_unusual(payload, layout) };
        };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        unsafe { self.deallocate_as(payload, class) };
    }
}

// SAFETY: blocks are disjoint (each is the payload of one used cell, and cells tile the heap), hold
// what the request asks for (`Request::new`, `Request::fit`), and stay where they are until freed.
unsafe impl<B: Break, M: Map, const LISTS: usize> RawHeap for Heap<B, M, LISTS> {
    unsafe fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.allocate(layout) }
    }

    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.allocate_zeroed(layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.deallocate(block, layout) }
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.reallocate(block, layout, new_size) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::FixedBreak;

    #[test]
    fn the_state_of_an_empty_heap_is_small() {
        let most = match usize::BITS {
            32 if crate::TINY => 128,
            _ if cfg!(feature = "checked") => 8192,
            _ => 4096,
        };
        assert!(size_of::<Heap<FixedBreak>>() <= most, "{} bytes", size_of::<Heap<FixedBreak>>());
    }
}
