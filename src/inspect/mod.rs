//! Inspection of a heap without a change: its cells, statistics and picture.
//!
//! Rules of this folder: it reads the parts of a heap, and no part reads it.

mod cells;
mod picture;
mod stats;

use core::ptr::NonNull;

use crate::chunks::Tuning;
use crate::large::Large;
use crate::layer::{Layer, NoLayer};
use crate::size_class::Class;
use crate::slabs::{SlabMap, Slabs};

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

/// Inspection of a layer.
pub trait LayerView {
    /// Returns the use of the used cell with this payload.
    fn use_of(&self, payload: NonNull<u8>) -> CellState;

    /// Returns the sizes of blocks of slabs, in bytes, the smallest first.
    fn block_sizes() -> impl Iterator<Item = usize>
    where
        Self: Sized;
}

impl LayerView for NoLayer {
    fn use_of(&self, _: NonNull<u8>) -> CellState {
        CellState::Used
    }

    fn block_sizes() -> impl Iterator<Item = usize> {
        core::iter::empty()
    }
}

impl<P: Tuning, G: SlabMap<P::Slabs>, const N: usize> LayerView for Slabs<P, G, N> {
    fn use_of(&self, payload: NonNull<u8>) -> CellState {
        let Some(at) = self.map.slab_at(payload.addr().get()) else {
            return if self.is_internal(payload) { CellState::Internal } else { CellState::Used };
        };
        // SAFETY: the descriptor of a slab is valid: the invariant of `Slabs`.
        let slab = unsafe { at.as_ref() };
        let class = slab.class.index();
        let at_hand = if self.heads[class] == Some(at) {
            // SAFETY: `index_of` accepts only blocks of the slab.
            let blocks =
                unsafe { self.lists[class].addresses(|address| slab.index_of(address).is_some()) };
            blocks.count()
        } else {
            0
        };
        CellState::Slab {
            block_size: slab.class.size(),
            live: usize::from(slab.taken::<P::Slabs>()) - at_hand,
            total: usize::from(slab.total),
        }
    }

    fn block_sizes() -> impl Iterator<Item = usize> {
        Class::all::<N>().map(Class::size)
    }
}
