//! A walk over all cells, in the order of addresses.

use core::fmt;
use core::ptr::NonNull;

use super::Heap;
use crate::cell::{Cell, Region, WORD};
use crate::provider::{Break, Map};
use crate::small::{PageMap, Run, blocks_of};

/// What a cell is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellState {
    /// Somebody owns the payload; or the front cache keeps it for the next one.
    Used,
    /// A run: blocks of equal size without headers.
    Run {
        /// Size of each block, in bytes.
        block_size: usize,
        /// Blocks that are in use, or that the front cache keeps.
        live: usize,
        /// Blocks that there is room for.
        total: usize,
    },
    /// The heap's own: a part of the map that tells which pages are runs.
    Internal,
    /// In a bin.
    Free,
    /// The free cell at the end of the break's region.
    Top,
    /// Not ours: somebody else's memory between two of our regions. (With the words of our own that
    /// end the one and begin the other.)
    Hole,
}

/// One step of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellInfo {
    /// Address of the header (of a hole: of the fence that ends the region below).
    pub address: usize,
    /// Bytes to the next cell, header included.
    pub size: usize,
    /// What it is.
    pub state: CellState,
}

impl CellInfo {
    /// Address of the caller's bytes.
    #[must_use]
    pub const fn payload(&self) -> usize {
        self.address + WORD
    }

    /// Bytes that a caller may use.
    #[must_use]
    pub const fn payload_size(&self) -> usize {
        self.size - WORD
    }
}

impl fmt::Display for CellInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x} {:>8} ", self.address, self.size)?;
        match self.state {
            CellState::Used => f.write_str("used"),
            CellState::Run { block_size, live, total } => {
                write!(f, "run of {block_size}: {live} of {total}")
            }
            CellState::Internal => f.write_str("internal"),
            CellState::Free => f.write_str("free"),
            CellState::Top => f.write_str("top"),
            CellState::Hole => f.write_str("hole"),
        }
    }
}

/// The cells of a heap, from [`Heap::cells`]. Prints those that are left of the walk, a line each.
#[derive(Clone, Debug)]
pub struct Cells<'heap> {
    at: Option<Cell>,
    top: Option<Cell>,
    pages: &'heap PageMap,
}

impl Cells<'_> {
    /// What a used cell is used for.
    fn use_of(&self, cell: Cell) -> CellState {
        let payload = cell.payload();
        if let Some(class) = self.pages.class_at(payload.addr().get()) {
            // SAFETY: the page map says so, and no cell but a run's lies in its pages.
            let live = unsafe { Run::of_block(payload, class).live(class) };
            return CellState::Run { block_size: class.size(), live, total: blocks_of(class) };
        }
        if self.pages.is_leaf(payload) { CellState::Internal } else { CellState::Used }
    }
}

impl Iterator for Cells<'_> {
    type Item = CellInfo;

    fn next(&mut self) -> Option<CellInfo> {
        let cell = self.at?;
        // SAFETY: the heap is borrowed, so it does not change, and fences and sizes lead from valid
        // cell to valid cell.
        let header = unsafe { cell.header() };
        if header.is_fence() {
            // SAFETY: a fence; all first cells are exposed.
            self.at = unsafe { cell.behind_hole() };
            return self.at.map(|_| CellInfo {
                address: cell.addr(),
                size: header.size(),
                state: CellState::Hole,
            });
        }
        let state = match header {
            header if header.is_used() => self.use_of(cell),
            _ if self.top == Some(cell) => CellState::Top,
            _ => CellState::Free,
        };
        // SAFETY: no fence.
        self.at = Some(unsafe { cell.next() });
        Some(CellInfo { address: cell.addr(), size: header.size(), state })
    }
}

impl fmt::Display for Cells<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, cell) in self.clone().enumerate() {
            let before = if index == 0 { "" } else { "\n" };
            write!(f, "{before}{cell}")?;
        }
        Ok(())
    }
}

impl<B, M, const LISTS: usize> Heap<B, M, LISTS> {
    /// All cells and holes, in the order of addresses. They tile the heap: each begins where the
    /// one before ends.
    ///
    /// A walk of a heap that has [stopped](super::Rule::BreakBelowHeap) is empty.
    #[must_use]
    pub fn cells(&self) -> Cells<'_> {
        Cells {
            at: self.regions.lowest.filter(|_| self.stopped.is_none()),
            top: self.top,
            pages: &self.small.pages,
        }
    }
}

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Whether an address lies in memory that the heap holds, in use or not: granted by its break,
    /// or added. (Blocks with mappings of their own lie elsewhere.) O(regions), so O(1) unless
    /// there are holes.
    ///
    /// A heap that has [stopped](super::Rule::BreakBelowHeap) owns nothing that it knows of.
    #[must_use]
    pub fn owns(&self, address: *const u8) -> bool {
        let holds = |region: Region| (region.start..region.end).contains(&address.addr());
        self.stopped.is_none() && self.all_regions().any(holds)
    }

    /// How many bytes of a block may be used: at least what was asked for.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap.
    #[must_use]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
        #[cfg(feature = "checked")]
        return self.guarded_usable_size(block);
        #[cfg(not(feature = "checked"))]
        // SAFETY: the caller's promise.
        unsafe {
            self.capacity(block)
        }
    }

    /// How many bytes a block has.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap, or one that the front cache keeps.
    pub(super) unsafe fn capacity(&self, block: NonNull<u8>) -> usize {
        if let Some(class) = self.small.pages.class_at(block.addr().get()) {
            return class.size();
        }
        // SAFETY: the caller's promise.
        if let Some(capacity) = unsafe { self.mapped_capacity(block) } {
            return capacity;
        }
        // SAFETY: the caller's promise.
        let cell = unsafe { Cell::of_payload(block) };
        // SAFETY: the cell of a live block is valid.
        unsafe { cell.header() }.size() - WORD
    }
}
