//! The heap: cells, bins, top, over a break. For one owner at a time.
//!
//! ```text
//!   allocate ─► Request ─► bins ──(nothing fits)──► top ──(too small)──► the break moves up
//!            (request.rs)  (bins.rs, size_class.rs)                      (growth.rs)
//!               a free cell is cut ◄─┴───────────────┘
//!               (cut_and_merge.rs)
//!   deallocate ─► merged with free neighbours ─► a bin, or the top ──(large)──► the break moves down
//!   reallocate    (resize.rs)          both by address alone: by_address.rs
//!   add_region ─► memory beside the break's (add_region.rs, join.rs)
//!
//!   look, do not touch:  cells() (walk.rs) · picture() · stats() · check()
//! ```
//!
//! Freed memory is searched first (C4) and stays with the heap (C5). The *top*, the free cell that ends at the break, is
//! used last and is in no bin, so that the break can come down (C8). Neighbouring free cells are always merged (C6).
//!
//! Rules of this folder: `request.rs` and `size_class.rs` are arithmetic; all else reaches memory through [`crate::cell`]
//! only. No operation takes longer for a heap of more cells, except the copy in `reallocate`, zeroing, and those that look at
//! everything. Large blocks can have mappings of their own (mapped.rs).

#[cfg(not(feature = "tiny"))]
mod add_region;
mod bins;
mod by_address;
mod check;
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
mod mapped;
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
mod stats;
mod walk;
mod zeroed;

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::cell::Cell;
use crate::provider::{Break, BreakError, Map, NoMap};
use crate::raw_heap::RawHeap;
use crate::small::{Class, Small};

use bins::{Bins, Fit};
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
pub(crate) use checked::size_on_record;
#[cfg(feature = "checked")]
pub use checked::{Decision, Misuse, MisuseHook, MisuseKind};
pub use growth::Trim;
pub use mapped::MapThreshold;
pub use picture::Picture;
pub use stats::Stats;
pub use walk::{CellInfo, CellState, Cells};

/// A heap over a break.
///
/// It has no lock: see [`LockedHeap`](crate::LockedHeap) for one that can be shared and be the global allocator.
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
/// * every region begins with a head, is tiled by cells and ends with a fence; fences lead from region to region in ascending order
/// * `PREV_USED` of a cell `⟺` the cell before it is used; a free cell has its size at its end
/// * no two free cells are neighbours
/// * a free cell is in the bin of its class and nowhere else; or it is `top`, and in no bin
/// * `top = Some(c) ⟺ c` is free and the fence of the break's region follows it
/// * the counters say what a walk finds
#[derive(Debug)]
pub struct Heap<B, M = NoMap> {
    brk: B,
    map: M,
    bins: Bins,
    /// The free cell that ends at the fence of the break's region.
    top: Option<Cell>,
    /// All memory that the heap has.
    regions: Regions,
    /// What the provider has granted of it; `None` before the first grant and after everything went back.
    extent: Option<Extent>,
    counters: Counters,
    trim: Trim,
    map_threshold: MapThreshold,
    small: Small,
    kept: Kept,
    /// Set once the break was found below our memory. From then on the heap touches nothing: bins and top are empty.
    stopped: Option<Taken>,
    #[cfg(feature = "checked")]
    guard: checked::Guard,
}

// SAFETY: the cells belong to this heap alone and go with it.
unsafe impl<B: Send, M: Send> Send for Heap<B, M> {}

/// Bytes of freed small blocks that the front cache keeps at most, unless [told](Heap::set_cache_limit) otherwise.
const CACHE_LIMIT: usize = 256 << 10;

impl<B> Heap<B> {
    /// An empty heap. The break is not moved, nor looked at, before the first allocation.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self::with_map(brk, NoMap)
    }

    /// An empty heap of the documents' kind: every block is a cell, and a cell that is freed is merged with its neighbours at once.
    /// Slower and looser than [`new`](Heap::new) for small blocks, and there is nothing in it but what a walk shows.
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

    /// An empty heap of the documents' kind, see [`plain`](Heap::plain), that gives large blocks mappings of their own.
    #[must_use]
    pub const fn plain_with_map(brk: B, map: M) -> Self {
        Self::build(brk, map, Small::none(), Kept::none())
    }

    const fn build(brk: B, map: M, small: Small, kept: Kept) -> Self {
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

    /// The provider, for settings of its own. Moving the break through it counts as a foreign movement.
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

impl<B: Break, M: Map> Heap<B, M> {
    /// Allocates a block: from the freed cells, else from the top, else by moving the break. A large block gets a mapping of its own
    /// if the heap has a provider of mappings.
    ///
    /// A block of no bytes is a block like any other, with an address of its own. The contents are unspecified.
    ///
    /// # Errors
    ///
    /// `None` if nothing fits and the provider does not grant more. The heap then serves smaller requests as before.
    ///
    /// # Time
    ///
    /// O(1), plus at most a few calls of the provider.
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
            Some(class) => self.small.cache.pop(class).or_else(|| self.allocate_small(class, layout, Growth::Allowed)),
            None => self.allocate_large(layout),
        }
    }

    /// [`allocate`](Heap::allocate) that never calls the provider: for callers who hold what the provider may need.
    ///
    /// # Errors
    ///
    /// `None` if nothing that the heap has fits. [`reserve`](Heap::reserve) makes sure of more beforehand.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](Heap::allocate).
    #[must_use]
    pub unsafe fn try_allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_allocate(layout, Growth::Forbidden));
        match Class::of(layout) {
            Some(class) => self.small.cache.pop(class).or_else(|| self.allocate_small(class, layout, Growth::Forbidden)),
            None => {
                let request = Request::new(layout)?;
                self.small.large_requested();
                self.allocate_cell(request, Growth::Forbidden)
            }
        }
    }

    /// Frees a block: merges its cell with free neighbours and keeps it in a bin, or as the top. If the top has outgrown the
    /// [trim](Trim) setting, the break moves down.
    ///
    /// # Time
    ///
    /// O(1), plus at most one call of the provider.
    ///
    /// # Safety
    ///
    /// `payload` came from this heap with this layout, was not freed since, and is not used any more.
    #[inline]
    pub unsafe fn deallocate(&mut self, payload: NonNull<u8>, layout: Layout) {
        #[cfg(feature = "checked")]
        guarded!(self.guarded_deallocate(payload, layout));
        let Some(class) = Class::of(layout) else {
            // SAFETY: the caller's promise.
            return unsafe { self.deallocate_large(payload) };
        };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        if !unsafe { self.small.cache.push(class, payload) } {
            // SAFETY: the caller's promise.
            unsafe { self.deallocate_small(class, payload) };
        }
    }

    /// Allocates a block that is not small: on a mapping of its own, or as a cell.
    #[inline(never)]
    fn allocate_large(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        let request = Request::new(layout)?;
        self.small.large_requested();
        if self.wants_mapping(layout)
            && let Some(payload) = self.allocate_mapped(layout)
        {
            return Some(payload);
        }
        self.allocate_cell(request, Growth::Allowed)
    }

    /// Allocates a block that is a cell. If there is no memory left for it, what the front cache keeps is freed, and the heap looks again.
    fn allocate_cell(&mut self, request: Request, growth: Growth) -> Option<NonNull<u8>> {
        if let Some(payload) = self.take(request) {
            return Some(payload);
        }
        if growth == Growth::Allowed && self.make_room(request).is_ok() {
            return self.take_from_top(request);
        }
        self.take_flushed(request)
    }

    /// Takes a cell for the request once all that is kept of freed blocks is freed. (A plain heap keeps nothing, but may have got a region
    /// before it was refused more.)
    fn take_flushed(&mut self, request: Request) -> Option<NonNull<u8>> {
        self.flush();
        self.take(request)
    }

    /// Frees a block that is not small.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate).
    #[inline(never)]
    unsafe fn deallocate_large(&mut self, payload: NonNull<u8>) {
        // SAFETY: the caller's promise.
        if self.stopped.is_some() || unsafe { self.deallocate_mapped(payload) } {
            return;
        }
        // SAFETY: the caller's promise: the block is no small one, and has no mapping, so it is a cell.
        if !unsafe { self.keep_cell(payload) } && unsafe { self.free_cell(payload) } {
            self.trim_if_due();
        }
    }

    /// Makes a used cell a free one. True if the top has grown.
    ///
    /// # Safety
    ///
    /// `payload` is that of a valid used cell, and nobody uses it any more.
    unsafe fn free_cell(&mut self, payload: NonNull<u8>) -> bool {
        // SAFETY: the caller's promise.
        let cell = unsafe { Cell::of_payload(payload) };
        #[cfg(feature = "checked")]
        if !self.is_sound(cell) {
            return false;
        }
        // SAFETY: as above.
        let header = unsafe { cell.header() };
        self.counters.freed(header.size());
        #[cfg(feature = "checked")]
        // SAFETY: as above.
        unsafe {
            cell.mark_freed();
        }
        // SAFETY: a used cell of this heap, which the caller gives up.
        unsafe { self.release(cell, header.size(), header.is_prev_used()) }
    }

    /// Makes sure that a block of `bytes` bytes can be allocated without moving the break, by moving it now if need be. A fresh heap
    /// is then one single free cell that holds them (C2).
    ///
    /// # Errors
    ///
    /// What the provider answers. The heap is as it was, or has a larger top.
    pub fn reserve(&mut self, bytes: usize) -> Result<(), BreakError> {
        let layout = Layout::from_size_align(bytes, 1).map_err(|_| BreakError::OutOfAddresses)?;
        #[cfg(feature = "checked")]
        let layout = checked::guarded_layout(layout).ok_or(BreakError::OutOfAddresses)?;
        // A small block that is a cell has the size of its class.
        let layout = Class::of(layout).filter(|_| self.small.has_runs()).map_or(layout, Class::layout);
        let request = Request::new(layout).ok_or(BreakError::OutOfAddresses)?;
        if self.bins.find(request).is_some() {
            return Ok(());
        }
        self.make_room(request)
    }

    /// Takes a cell for the request from the bins or the top, without a call of the provider. The top comes last: as it is cut
    /// away, what the front cache keeps is freed bit by bit, and looked at first.
    fn take(&mut self, request: Request) -> Option<NonNull<u8>> {
        if let Some(payload) = self.take_freed(request) {
            return Some(payload);
        }
        if self.small.is_flush_due(request.size())
            && self.flush_ahead()
            && let Some(payload) = self.take_from_bins(request)
        {
            return Some(payload);
        }
        self.take_from_top(request)
    }

    /// Takes a cell for the request from what was freed before: a kept one, or one from the bins.
    fn take_freed(&mut self, request: Request) -> Option<NonNull<u8>> {
        self.kept.take(request).map(Cell::payload).or_else(|| self.take_from_bins(request))
    }

    /// Takes a cell for the request from the bins.
    fn take_from_bins(&mut self, request: Request) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        self.watch_lists(request);
        let fit = self.bins.find(request)?;
        // SAFETY: it was found in its bin.
        unsafe { self.bins.remove(fit.cell, fit.size) };
        // SAFETY: a free cell that holds the request, now in no bin.
        Some(unsafe { self.carve(fit, request, false) })
    }

    /// Takes a cell for the request from the top, if it is large enough.
    fn take_from_top(&mut self, request: Request) -> Option<NonNull<u8>> {
        let cell = self.top?;
        // SAFETY: the top is a valid cell.
        let size = unsafe { cell.header() }.size();
        let lead = request.fit(cell.addr(), size)?;
        self.top = None;
        // SAFETY: a free cell that holds the request, in no bin; it was the top.
        Some(unsafe { self.carve(Fit { cell, size, lead }, request, true) })
    }
}

// SAFETY: blocks are disjoint (each is the payload of one used cell, and cells tile the heap), hold what the request asks
// for (`Request::new`, `Request::fit`), and stay where they are until freed.
unsafe impl<B: Break, M: Map> RawHeap for Heap<B, M> {
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

    unsafe fn reallocate(&mut self, block: NonNull<u8>, layout: Layout, new_size: usize) -> Option<NonNull<u8>> {
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
