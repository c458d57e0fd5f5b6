//! A walk over all cells, in the order of addresses.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::NonNull;

use super::Heap;
use crate::cell::{Cell, WORD};
use crate::provider::{Break, Map};

/// What a cell is at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellState {
    /// Somebody owns the payload.
    Used,
    /// In a bin.
    Free,
    /// The free cell that ends at the break.
    Top,
    /// Not ours: somebody else's memory between two of our regions.
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
        let state = match self.state {
            CellState::Used => "used",
            CellState::Free => "free",
            CellState::Top => "top",
            CellState::Hole => "hole",
        };
        write!(f, "{:#x} {:>8} {state}", self.address, self.size)
    }
}

/// The cells of a heap, from [`Heap::cells`].
#[derive(Debug)]
pub struct Cells<'heap> {
    at: Option<Cell>,
    top: Option<Cell>,
    heap: PhantomData<&'heap ()>,
}

impl Iterator for Cells<'_> {
    type Item = CellInfo;

    fn next(&mut self) -> Option<CellInfo> {
        let cell = self.at?;
        // SAFETY: the heap is borrowed, so it does not change, and fences and sizes lead from valid cell to valid cell.
        let header = unsafe { cell.header() };
        if header.size() == 0 {
            self.at = None;
            return None;
        }
        let state = match header {
            header if header.is_fence() => CellState::Hole,
            header if header.is_used() => CellState::Used,
            _ if self.top == Some(cell) => CellState::Top,
            _ => CellState::Free,
        };
        // SAFETY: not the last fence, which has size 0.
        self.at = Some(unsafe { cell.next() });
        Some(CellInfo { address: cell.addr(), size: header.size(), state })
    }
}

impl<B, M> Heap<B, M> {
    /// All cells and holes, in the order of addresses. They tile the heap: each begins where the one before ends.
    ///
    /// A walk of a heap that has [stopped](super::Rule::BreakBelowHeap) is empty.
    #[must_use]
    pub fn cells(&self) -> Cells<'_> {
        let first = self.extent.as_ref().map(super::Extent::first);
        Cells { at: first.filter(|_| self.stopped.is_none()), top: self.top, heap: PhantomData }
    }
}

impl<B: Break, M: Map> Heap<B, M> {
    /// Whether an address lies in memory that the heap holds at its break, in use or not. (Blocks with mappings of their own lie
    /// elsewhere.) O(1), unless there are holes: then O(cells).
    #[must_use]
    pub fn owns(&self, address: *const u8) -> bool {
        let (address, Some(extent)) = (address.addr(), &self.extent) else { return false };
        let inside = extent.first().addr() <= address && address < extent.end().addr().get();
        let in_hole =
            |cell: CellInfo| cell.state == CellState::Hole && (cell.address + WORD..cell.address + cell.size).contains(&address);
        inside && (extent.holes == 0 || !self.cells().any(in_hole))
    }

    /// How many bytes of a block may be used: at least what was asked for.
    ///
    /// # Safety
    ///
    /// `block` is a live block of this heap.
    #[must_use]
    pub unsafe fn usable_size(&self, block: NonNull<u8>) -> usize {
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
