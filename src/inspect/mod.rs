//! Inspection of a heap without a change: its cells, statistics and picture.
//!
//! Rules of this folder: it reads the parts of a heap, and no part reads it.

mod cells;
mod picture;
mod stats;

use core::ptr::NonNull;

use crate::cell::WORD;
use crate::chunks::Tuning;
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::slabs::Slabs;
use crate::small::{CLASSES, Class, Layer, NoLayer, Run, SmallBlocks, blocks_of};

pub use cells::{CellInfo, CellState, Cells};
pub use picture::Picture;
pub use stats::Stats;

/// Shared references to the parts of a heap.
pub(crate) struct View<'heap, B, M, P: Tuning, L> {
    /// Layer of small blocks.
    pub(crate) layer: &'heap L,
    /// Blocks with a header.
    pub(crate) large: &'heap Large<B, M, P>,
}

/// Numbers of requests, modulo 2³².
#[derive(Clone, Copy, Debug, Default)]
pub struct Requests {
    /// Requests for small blocks.
    pub(crate) small: u32,
    /// Requests for small blocks that the cache did not serve.
    pub(crate) missed: u32,
    /// Requests for larger blocks.
    pub(crate) large: u32,
}

/// Use of a heap's used cells, as its layer knows it.
pub trait UseOf {
    /// Returns the use of the used cell with this payload.
    fn use_of(&self, payload: NonNull<u8>) -> CellState;
}

/// Inspection of a layer. The default methods are those of a heap without a layer.
pub trait LayerView<P: Tuning>: Layer<P> + UseOf {
    /// Returns the size of each class of small blocks, in bytes, with the number of requests for
    /// it, modulo 2³².
    fn small_requests(&self) -> impl Iterator<Item = (usize, u32)>;

    /// Returns the numbers of requests.
    fn requests(&self) -> Requests {
        Requests::default()
    }

    /// Calls `add` for each freed block in the cache or in a quick list, with its size in bytes,
    /// and with `true` if it has a mapping of its own.
    fn for_each_kept<B: Source, M: Map>(&self, _: &Large<B, M, P>, _: &mut dyn FnMut(usize, bool)) {
    }
}

impl UseOf for NoLayer {
    fn use_of(&self, _: NonNull<u8>) -> CellState {
        CellState::Used
    }
}

impl<P: Tuning> LayerView<P> for NoLayer {
    fn small_requests(&self) -> impl Iterator<Item = (usize, u32)> {
        Class::all().map(|class| (class.size(), 0)).take(0)
    }
}

impl<P: Tuning> UseOf for Slabs<P> {
    fn use_of(&self, payload: NonNull<u8>) -> CellState {
        let Some(at) = self.map.slab_at(payload.addr().get()) else {
            return if self.is_internal(payload) { CellState::Internal } else { CellState::Used };
        };
        // SAFETY: the descriptor of a slab is valid: the invariant of `Slabs`.
        let slab = unsafe { at.as_ref() };
        let class = slab.class.slab_index();
        let at_hand = if self.heads[class] == Some(at) {
            // SAFETY: `index_of` accepts only blocks of the slab.
            let blocks = unsafe {
                self.lists[class].addresses(|address| slab.index_of(address).is_some())
            };
            blocks.count()
        } else {
            0
        };
        CellState::Run {
            block_size: slab.class.size(),
            live: usize::from(slab.taken()) - at_hand,
            total: usize::from(slab.total),
        }
    }
}

impl<P: Tuning> LayerView<P> for Slabs<P> {
    fn small_requests(&self) -> impl Iterator<Item = (usize, u32)> {
        Class::all_of_slabs().map(|class| (class.size(), 0))
    }
}

impl<P: Tuning, const LISTS: usize> UseOf for SmallBlocks<P, LISTS> {
    fn use_of(&self, payload: NonNull<u8>) -> CellState {
        if let Some(class) = self.pages.class_at(payload.addr().get()) {
            // SAFETY: the page map has a class for this page, so the cell is a slab of that class.
            let live = unsafe { Run::of_block(payload, class).live(class) };
            return CellState::Run { block_size: class.size(), live, total: blocks_of(class) };
        }
        if self.pages.is_leaf(payload) { CellState::Internal } else { CellState::Used }
    }
}

impl<P: Tuning, const LISTS: usize> LayerView<P> for SmallBlocks<P, LISTS> {
    fn small_requests(&self) -> impl Iterator<Item = (usize, u32)> {
        Class::all().map(|class| (class.size(), self.cache.popped(class)))
    }

    fn requests(&self) -> Requests {
        let popped =
            (0..CLASSES).filter_map(Class::from_index).map(|class| self.cache.popped(class));
        Requests {
            small: popped.fold(0, u32::wrapping_add),
            missed: self.misses(),
            large: self.large_requests(),
        }
    }

    fn for_each_kept<B: Source, M: Map>(
        &self,
        large: &Large<B, M, P>,
        add: &mut dyn FnMut(usize, bool),
    ) {
        for block in self.cache.all_blocks() {
            if let Some(class) = self.pages.class_at(block.addr().get()) {
                add(class.size(), false);
                continue;
            }
            // SAFETY: the heap below sees a block in the cache as live; this one lies in no slab,
            // so it has a header.
            let (capacity, mapped) =
                unsafe { (large.capacity(block), large.mapped.capacity_of::<P>(block)) };
            add(capacity, mapped.is_some());
        }
        for cell in self.kept.cells() {
            // SAFETY: a cell in a quick list is valid.
            add(unsafe { cell.header() }.size() - WORD, false);
        }
    }
}
