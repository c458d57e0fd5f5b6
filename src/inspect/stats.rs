//! Statistics of a heap.

use core::fmt;

use super::{CellInfo, CellState, LayerView, View};
use crate::chunks::Tuning;
use crate::provider::{Map, Source};
use crate::space::Extent;

/// Statistics of a heap. All sizes are in bytes; the size of a cell is that of its payload, without
/// the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Usable size of all live blocks in cells and slabs: at least the requested sizes.
    pub live_bytes: usize,
    /// Number of live blocks in cells and slabs.
    pub live_cells: usize,
    /// Number of slabs.
    pub slabs: usize,
    /// Payload of the slabs' cells.
    pub slab_bytes: usize,
    /// Size of all blocks of slabs that are not live.
    pub free_slab_bytes: usize,
    /// Usable size of all live blocks with mappings of their own.
    pub mapped_bytes: usize,
    /// Number of blocks with mappings of their own.
    pub mapped_blocks: usize,
    /// Payload of all free cells, the top included.
    pub free_bytes: usize,
    /// Number of free cells, the top included.
    pub free_cells: usize,
    /// Payload of the largest free cell: the largest block that the heap can allocate without a
    /// move of the break.
    pub largest_free: usize,
    /// Maximum that the size of all used cells and mappings has had. A slab counts as one used
    /// cell.
    pub peak_bytes: usize,
    /// Memory that the provider has granted and the heap has not given back.
    pub granted_bytes: usize,
    /// Memory that was added by [`Heap::add_region`](crate::Heap::add_region).
    pub added_bytes: usize,
    /// Address of the break after the heap's last move; 0 before the first grant.
    pub brk: usize,
    /// Number of holes: foreign memory between regions of the heap.
    pub holes: usize,
}

impl Stats {
    /// Returns the fragmentation of the free memory, in thousandths: 1 − largest free cell / all
    /// free cells. 0 if there is at most one free cell.
    #[must_use]
    pub const fn fragmentation(&self) -> usize {
        match self.free_bytes {
            0 => 0,
            // `u128`, because the product may overflow a `usize`.
            free => 1000 - (self.largest_free as u128 * 1000 / free as u128) as usize,
        }
    }
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { live_bytes, live_cells, peak_bytes, free_bytes, free_cells, .. } = self;
        write!(f, "live {live_bytes} B in {live_cells} cells (peak {peak_bytes} B), ")?;
        write!(f, "free {free_bytes} B in {free_cells} cells (largest {} B), ", self.largest_free)?;
        write!(f, "granted {} B up to {:#x}", self.granted_bytes, self.brk)?;
        write!(f, ", fragmentation {}.{} %", self.fragmentation() / 10, self.fragmentation() % 10)?;
        if self.slabs > 0 {
            write!(f, ", {} slabs of {} B", self.slabs, self.slab_bytes)?;
        }
        if self.added_bytes > 0 {
            write!(f, ", added {} B", self.added_bytes)?;
        }
        if self.mapped_blocks > 0 {
            write!(f, ", mapped {} B in {} blocks", self.mapped_bytes, self.mapped_blocks)?;
        }
        if self.holes > 0 {
            write!(f, ", holes: {}", self.holes)?;
        }
        Ok(())
    }
}

impl<B: Source, M: Map, P: Tuning, L: LayerView> View<'_, B, M, P, L> {
    /// Implements [`Heap::stats`](crate::Heap::stats).
    pub(crate) fn stats(&self) -> Stats {
        let chunks = &self.large.chunks;
        let mut stats = Stats {
            mapped_bytes: chunks.counters.mapped_bytes(),
            mapped_blocks: self.large.mapped.blocks(),
            peak_bytes: chunks.counters.peak_bytes(),
            added_bytes: chunks.space().added(),
            brk: chunks.space().extent().map_or(0, Extent::brk),
            ..Stats::default()
        };
        if !chunks.has_stopped() {
            stats.granted_bytes = chunks.space().granted();
            stats.holes = chunks.space().regions().count().saturating_sub(1);
        }
        self.cells().for_each(|cell| stats.add_cell(cell));
        stats
    }
}

impl Stats {
    /// Adds a cell or hole of the walk.
    fn add_cell(&mut self, cell: CellInfo) {
        match cell.state {
            CellState::Used => {
                self.live_cells += 1;
                self.live_bytes += cell.payload_size();
            }
            CellState::Slab { block_size, live, total } => {
                self.slabs += 1;
                self.slab_bytes += cell.payload_size();
                self.free_slab_bytes += (total - live) * block_size;
                self.live_cells += live;
                self.live_bytes += live * block_size;
            }
            CellState::Free | CellState::Top => {
                self.free_cells += 1;
                self.free_bytes += cell.payload_size();
                self.largest_free = self.largest_free.max(cell.payload_size());
            }
            CellState::Internal | CellState::Hole => {}
        }
    }
}
