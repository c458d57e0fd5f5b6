//! How much of the heap is in use.

use core::fmt;

use super::{CellState, Heap};
use crate::cell::WORD;
use crate::provider::{Break, Map};

/// What is counted while the heap works.
///
/// # Invariants
///
/// * `live_cells`, `live_bytes`: number and payload bytes of all used cells
/// * `mapped_blocks`, `mapped_bytes`: the same of blocks with mappings of their own
/// * `peak_bytes ≥ live_bytes + mapped_bytes`
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) live_cells: usize,
    pub(super) live_bytes: usize,
    pub(super) mapped_blocks: usize,
    pub(super) mapped_bytes: usize,
    pub(super) peak_bytes: usize,
}

impl Counters {
    pub(super) const fn new() -> Self {
        Self { live_cells: 0, live_bytes: 0, mapped_blocks: 0, mapped_bytes: 0, peak_bytes: 0 }
    }

    /// A cell of `size` bytes, header included, became used.
    pub(super) const fn allocated(&mut self, size: usize) {
        self.live_cells += 1;
        self.live_bytes += size - WORD;
        self.note_peak();
    }

    /// A used cell of `size` bytes became free.
    pub(super) const fn freed(&mut self, size: usize) {
        self.live_cells -= 1;
        self.live_bytes -= size - WORD;
    }

    /// A used cell changed its size.
    pub(super) const fn resized(&mut self, old: usize, new: usize) {
        self.live_bytes = self.live_bytes + new - old;
        self.note_peak();
    }

    /// A block of `capacity` bytes got a mapping of its own.
    pub(super) const fn mapped(&mut self, capacity: usize) {
        self.mapped_blocks += 1;
        self.mapped_bytes += capacity;
        self.note_peak();
    }

    /// The mapping of a block of `capacity` bytes went back.
    pub(super) const fn unmapped(&mut self, capacity: usize) {
        self.mapped_blocks -= 1;
        self.mapped_bytes -= capacity;
    }

    const fn note_peak(&mut self) {
        let live = self.live_bytes + self.mapped_bytes;
        if live > self.peak_bytes {
            self.peak_bytes = live;
        }
    }
}

/// How much of a heap is in use. All sizes are bytes; those of cells are payloads, without the header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Payload of all used cells: what callers may use, so at least what they asked for.
    pub live_bytes: usize,
    /// Number of used cells.
    pub live_cells: usize,
    /// What callers may use of blocks with mappings of their own.
    pub mapped_bytes: usize,
    /// Number of blocks with mappings of their own.
    pub mapped_blocks: usize,
    /// Payload of all free cells, the top included.
    pub free_bytes: usize,
    /// Number of free cells, the top included.
    pub free_cells: usize,
    /// Payload of the largest free cell: the largest block that needs no movement of the break.
    pub largest_free: usize,
    /// The largest `live_bytes + mapped_bytes` that there ever was.
    pub peak_bytes: usize,
    /// What the provider has granted and not taken back.
    pub granted_bytes: usize,
    /// Address of the break as the heap left it; 0 before the first grant.
    pub brk: usize,
    /// Regions of somebody else's memory between ours.
    pub holes: usize,
}

impl fmt::Display for Stats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "live {} B in {} cells (peak {} B), free {} B in {} cells (largest {} B), granted {} B up to {:#x}",
            self.live_bytes,
            self.live_cells,
            self.peak_bytes,
            self.free_bytes,
            self.free_cells,
            self.largest_free,
            self.granted_bytes,
            self.brk
        )?;
        if self.mapped_blocks > 0 {
            write!(f, ", mapped {} B in {} blocks", self.mapped_bytes, self.mapped_blocks)?;
        }
        if self.holes > 0 {
            write!(f, ", holes: {}", self.holes)?;
        }
        Ok(())
    }
}

impl<B: Break, M: Map> Heap<B, M> {
    /// Counts. Looks at every cell: O(cells).
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = Stats {
            live_bytes: self.counters.live_bytes,
            live_cells: self.counters.live_cells,
            mapped_bytes: self.counters.mapped_bytes,
            mapped_blocks: self.counters.mapped_blocks,
            peak_bytes: self.counters.peak_bytes,
            ..Stats::default()
        };
        if let Some(extent) = &self.extent {
            stats.granted_bytes = extent.granted();
            stats.brk = extent.end().addr().get();
            stats.holes = extent.holes;
        }
        for cell in self.cells().filter(|cell| matches!(cell.state, CellState::Free | CellState::Top)) {
            stats.free_cells += 1;
            stats.free_bytes += cell.payload_size();
            stats.largest_free = stats.largest_free.max(cell.payload_size());
        }
        stats
    }
}
