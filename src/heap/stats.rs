//! How much of the heap is in use.

use core::fmt;

use super::{CellInfo, CellState, Heap};
use crate::cell::WORD;
use crate::provider::{Break, Map};
use crate::small::Class;

/// What is counted while the heap works. The fast path counts nothing here.
///
/// # Invariants
///
/// * `used_bytes`: payload bytes of all used cells
/// * `mapped_blocks`, `mapped_bytes`: number and bytes of blocks with mappings of their own
/// * `peak_bytes ≥ used_bytes + mapped_bytes`
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) used_bytes: usize,
    pub(super) mapped_blocks: usize,
    pub(super) mapped_bytes: usize,
    peak_bytes: usize,
}

impl Counters {
    pub(super) const fn new() -> Self {
        Self { used_bytes: 0, mapped_blocks: 0, mapped_bytes: 0, peak_bytes: 0 }
    }

    /// A cell of `size` bytes, header included, became used.
    pub(super) const fn allocated(&mut self, size: usize) {
        self.used_bytes += size - WORD;
        self.note_peak();
    }

    /// A used cell of `size` bytes became free.
    pub(super) const fn freed(&mut self, size: usize) {
        self.used_bytes -= size - WORD;
    }

    /// A used cell changed its size.
    pub(super) const fn resized(&mut self, old: usize, new: usize) {
        self.used_bytes = self.used_bytes + new - old;
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
        let live = self.used_bytes + self.mapped_bytes;
        if live > self.peak_bytes {
            self.peak_bytes = live;
        }
    }
}

/// How much of a heap is in use. All sizes are bytes; those of cells are payloads, without the
/// header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// What callers may use of their blocks, so at least what they asked for.
    pub live_bytes: usize,
    /// Number of blocks that callers have: cells, and blocks of runs.
    pub live_cells: usize,
    /// What the front cache keeps of freed blocks.
    pub cached_bytes: usize,
    /// Number of freed blocks that the front cache keeps.
    pub cached_blocks: usize,
    /// Number of runs.
    pub runs: usize,
    /// Payload of the cells that runs are.
    pub run_bytes: usize,
    /// Blocks of runs that are neither in use nor in the front cache.
    pub free_run_bytes: usize,
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
    /// The most that all used cells and mappings ever had together. (A run counts as one used
    /// cell, whatever is used of it.)
    pub peak_bytes: usize,
    /// What the provider has granted and not taken back.
    pub granted_bytes: usize,
    /// What was added beside it, by `add_region`.
    pub added_bytes: usize,
    /// Address of the break as the heap left it; 0 before the first grant.
    pub brk: usize,
    /// Pieces of somebody else's memory between our regions.
    pub holes: usize,
    /// Requests for small blocks, modulo 2³². [`Heap::small_requests`] tells them apart by size. A
    /// [plain](Heap::plain) heap has none.
    pub small_requests: u32,
    /// Those of them that the front cache served at once.
    pub cache_hits: u32,
    /// Requests for blocks that are not small, modulo 2³².
    pub large_requests: u32,
}

impl Stats {
    /// How divided the free memory is, in thousandths: 1 − largest free cell / all free cells. 0 if
    /// one free cell holds it all.
    #[must_use]
    pub const fn fragmentation(&self) -> usize {
        match self.free_bytes {
            0 => 0,
            // Wide enough: u128 is only needed for heaps that no address space of today holds, but
            // costs nothing here.
            free => 1000 - (self.largest_free as u128 * 1000 / free as u128) as usize,
        }
    }
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
        write!(f, ", fragmentation {}.{} %", self.fragmentation() / 10, self.fragmentation() % 10)?;
        if self.runs > 0 {
            write!(f, ", {} runs of {} B", self.runs, self.run_bytes)?;
        }
        if self.small_requests > 0 {
            let (hits, requests) = (self.cache_hits, self.small_requests);
            write!(
                f,
                ", cache {} B in {} blocks ({hits} hits of {requests})",
                self.cached_bytes, self.cached_blocks
            )?;
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

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Counts. Looks at every region and cell, and at every block in the front cache: O(cells). Of
    /// a heap that has [stopped](super::Rule::BreakBelowHeap) it looks at none, and finds none.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let small_requests =
            self.small_requests().fold(0_u32, |sum, (_, requests)| sum.wrapping_add(requests));
        let mut stats = Stats {
            mapped_bytes: self.counters.mapped_bytes,
            mapped_blocks: self.counters.mapped_blocks,
            peak_bytes: self.counters.peak_bytes,
            small_requests,
            cache_hits: small_requests.wrapping_sub(self.small.misses()),
            large_requests: self.small.large_requests(),
            added_bytes: self.regions.added(),
            ..Stats::default()
        };
        if let Some(extent) = &self.extent {
            stats.brk = extent.brk();
        }
        if self.stopped.is_none() {
            stats.granted_bytes = self.region_bytes() - stats.added_bytes;
            stats.holes = self.all_regions().count().saturating_sub(1);
        }
        self.cells().for_each(|cell| stats.add_cell(cell));
        for block in self.small.cache.all_blocks() {
            // SAFETY: a block in the cache is live for what it came from.
            let size = unsafe { self.capacity(block) };
            // SAFETY: the same.
            stats.add_cached(size, unsafe { self.is_mapped(block) });
        }
        for cell in self.kept.cells() {
            // SAFETY: a kept cell is valid.
            stats.add_cached(unsafe { cell.header() }.size() - WORD, false);
        }
        stats
    }

    /// For each size of small blocks, in bytes, how many were asked for so far, modulo 2³².
    pub fn small_requests(&self) -> impl Iterator<Item = (usize, u32)> {
        Class::all().map(|class| (class.size(), self.small.cache.popped(class)))
    }
}

impl Stats {
    fn add_cell(&mut self, cell: CellInfo) {
        match cell.state {
            CellState::Used => {
                self.live_cells += 1;
                self.live_bytes += cell.payload_size();
            }
            CellState::Run { block_size, live, total } => {
                self.runs += 1;
                self.run_bytes += cell.payload_size();
                self.free_run_bytes += (total - live) * block_size;
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

    /// A block of `size` bytes that was counted as live, or as mapped, is in the cache.
    const fn add_cached(&mut self, size: usize, is_mapped: bool) {
        self.cached_blocks += 1;
        self.cached_bytes += size;
        if is_mapped {
            self.mapped_blocks -= 1;
            self.mapped_bytes -= size;
        } else {
            self.live_cells -= 1;
            self.live_bytes -= size;
        }
    }
}
