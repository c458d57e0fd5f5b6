//! Walk over all cells of a heap, in the order of addresses.

use core::fmt;

use super::{LayerView, View};
use crate::cell::{Cell, Form, WORD};
use crate::chunks::Tuning;

/// Current use of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellState {
    /// A caller's block.
    Used,
    /// A slab: blocks of equal size without headers.
    Slab {
        /// Size of each block, in bytes.
        block_size: usize,
        /// Number of blocks that are live.
        live: usize,
        /// Number of blocks in the slab.
        total: usize,
    },
    /// Memory of the heap itself: a leaf of the page map.
    Internal,
    /// A free cell in a bin.
    Free,
    /// The free cell at the end of the break's region.
    Top,
    /// Foreign memory between two regions of the heap, with the fencepost in front of it, and the
    /// head and slack around it.
    Hole,
}

/// Cell or hole in a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellInfo {
    /// Address of the header; for a hole, of the fencepost that ends the region below.
    pub address: usize,
    /// Size in bytes, header included: the distance to the next cell.
    pub size: usize,
    /// Current use.
    pub state: CellState,
}

impl CellInfo {
    /// Returns the address of the payload.
    #[must_use]
    pub const fn payload(&self) -> usize {
        self.address + WORD
    }

    /// Returns the size of the payload, in bytes.
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
            CellState::Slab { block_size, live, total } => {
                write!(f, "slab of {block_size}: {live} of {total}")
            }
            CellState::Internal => f.write_str("internal"),
            CellState::Free => f.write_str("free"),
            CellState::Top => f.write_str("top"),
            CellState::Hole => f.write_str("hole"),
        }
    }
}

/// Form for reading headers of any heap: a header without check bits has zeros in their place.
#[derive(Debug)]
enum AnyForm {}

impl Form for AnyForm {
    const CHECKED: bool = true;
    const COMPACT: bool = true;
}

/// Iterator over the cells and holes of a heap, from [`Heap::cells`](crate::Heap::cells). `Display`
/// prints the remaining ones, one on each line.
#[derive(Clone)]
pub struct Cells<'heap> {
    at: Option<Cell<AnyForm>>,
    top: Option<Cell<AnyForm>>,
    layer: &'heap dyn LayerView,
}

impl fmt::Debug for Cells<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

impl Iterator for Cells<'_> {
    type Item = CellInfo;

    fn next(&mut self) -> Option<CellInfo> {
        let cell = self.at?;
        // SAFETY: `at` is a valid cell or fencepost: the heap is borrowed, so it does not change,
        // and the walk follows sizes and fenceposts.
        let header = unsafe { cell.header() };
        if header.is_fencepost() {
            // SAFETY: the header is a fencepost; all first cells are exposed (the invariant of
            // `Space`).
            self.at = unsafe { cell.behind_hole() };
            return self.at.map(|_| CellInfo {
                address: cell.addr(),
                size: header.size(),
                state: CellState::Hole,
            });
        }
        let state = match header {
            header if header.is_used() => self.layer.use_of(cell.payload()),
            _ if self.top == Some(cell) => CellState::Top,
            _ => CellState::Free,
        };
        // SAFETY: the cell is valid, and no fencepost.
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

impl<'heap, B, M, P: Tuning, L: LayerView> View<'heap, B, M, P, L> {
    /// Implements [`Heap::cells`](crate::Heap::cells).
    pub(crate) fn cells(&self) -> Cells<'heap> {
        let chunks = &self.large.chunks;
        Cells {
            at: chunks.space().lowest().filter(|_| !chunks.has_stopped()).map(Cell::in_form),
            top: chunks.top().map(Cell::in_form),
            layer: self.layer,
        }
    }
}
