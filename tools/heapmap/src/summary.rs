//! Totals of some cells.

use crate::cell::{Cell, State};

/// How many cells of each kind there are, and how large they are.
///
/// # Invariants
///
/// The cells that were counted do not overlap, so that no sum is too large for a number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Cells, by [`State::kind`].
    pub cells: [u64; State::KINDS],
    /// Their bytes, headers included, by [`State::kind`].
    pub bytes: [u64; State::KINDS],
    /// Bytes of live blocks in slabs.
    pub live_in_slabs: u64,
    /// Bytes of all blocks in slabs.
    pub blocks_in_slabs: u64,
    /// Bytes of the largest free cell, the top included.
    pub largest_free: u64,
}

impl Summary {
    /// Of all these cells.
    #[must_use]
    pub fn of(cells: &[Cell]) -> Self {
        let mut summary = Self::default();
        cells.iter().for_each(|cell| summary.add(cell, cell.size));
        summary
    }

    /// Counts a cell of which `bytes` bytes are meant.
    pub fn add(&mut self, cell: &Cell, bytes: u64) {
        let kind = cell.state.kind();
        self.cells[kind] += 1;
        self.bytes[kind] += bytes;
        match cell.state {
            State::Free | State::Top => self.largest_free = self.largest_free.max(bytes),
            state => {
                let (live, all) = state.blocks().unwrap_or_default();
                self.live_in_slabs += live;
                self.blocks_in_slabs += all;
            }
        }
    }

    /// Counts what `other` counted.
    pub fn merge(&mut self, other: &Self) {
        for kind in 0..State::KINDS {
            self.cells[kind] += other.cells[kind];
            self.bytes[kind] += other.bytes[kind];
        }
        self.live_in_slabs += other.live_in_slabs;
        self.blocks_in_slabs += other.blocks_in_slabs;
        self.largest_free = self.largest_free.max(other.largest_free);
    }

    /// Cells of the heap: all but the holes.
    #[must_use]
    pub fn own_cells(&self) -> u64 {
        self.cells.iter().sum::<u64>() - self.cells[State::Hole.kind()]
    }

    /// Bytes of the heap: all but the holes.
    #[must_use]
    pub fn own_bytes(&self) -> u64 {
        self.bytes.iter().sum::<u64>() - self.bytes[State::Hole.kind()]
    }

    /// Bytes of free cells, the top included.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.bytes[State::Free.kind()] + self.bytes[State::Top.kind()]
    }

    /// Which part of the free cells is not in the largest of them; `None` if no cell is free.
    #[must_use]
    pub fn fragmentation(&self) -> Option<f64> {
        let free = self.free_bytes();
        (free > 0).then(|| 1.0 - self.largest_free as f64 / free as f64)
    }

    /// Which part of the blocks in slabs is live; `None` if there is no slab.
    #[must_use]
    pub fn occupancy(&self) -> Option<f64> {
        (self.blocks_in_slabs > 0).then(|| self.live_in_slabs as f64 / self.blocks_in_slabs as f64)
    }

    /// The kind that most bytes are of. Of equal shares the first counts, so that what is used is
    /// seen.
    #[must_use]
    pub fn most(&self) -> usize {
        (0..State::KINDS).rev().max_by_key(|&kind| self.bytes[kind]).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragmentation_is_what_the_largest_free_cell_leaves() {
        let cell = |address, size, state| Cell { address, size, state };
        let mut cells = vec![cell(0, 100, State::Used)];
        assert_eq!(Summary::of(&cells).fragmentation(), None);
        cells.push(cell(100, 300, State::Top));
        assert_eq!(Summary::of(&cells).fragmentation(), Some(0.0));
        cells.push(cell(400, 100, State::Free));
        cells.push(cell(500, 1 << 40, State::Hole));
        let summary = Summary::of(&cells);
        assert_eq!(summary.fragmentation(), Some(0.25));
        assert_eq!((summary.own_bytes(), summary.own_cells(), summary.largest_free), (500, 3, 300));
    }

    #[test]
    fn slabs_count_their_blocks() {
        let slab = |address, live| Cell {
            address,
            size: 4096,
            state: State::Slab { block: 64, live, total: 60 },
        };
        let summary = Summary::of(&[slab(0, 15), slab(4096, 45)]);
        assert_eq!(summary.occupancy(), Some(0.5));
        assert_eq!((summary.live_in_slabs, summary.blocks_in_slabs), (60 * 64, 120 * 64));
        assert_eq!(summary.most(), State::Slab { block: 1, live: 0, total: 1 }.kind());
    }
}
