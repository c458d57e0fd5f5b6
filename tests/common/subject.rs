//! A heap under test: what the driver asks of it beside allocating.

use brkalloc::{Break, BreakError, CellState, Heap, RawHeap, SimpleHeap, Trim};

use super::oracle::Oracle;
use super::test_break::{BadBreak, TestBreak};

/// A heap over a [`TestBreak`].
pub trait Subject<const ZEROED: bool = false>: RawHeap {
    fn new(brk: BadBreak<ZEROED>) -> Self;

    fn brk(&mut self) -> &mut BadBreak<ZEROED>;

    /// Every cell: address and size, and whether it is free.
    fn map(&self) -> Vec<(usize, usize, bool)>;

    /// Asserts every invariant that can be seen.
    fn verify(&self, oracle: &Oracle);

    /// Asserts, with no block live, that each region is one free cell.
    fn assert_one_free_cell_a_region(&self);

    /// Size of the largest block that can be had without moving the break.
    fn largest(&self) -> usize;

    fn trim(&mut self, _keep: usize) {}

    fn set_trim(&mut self, _trim: Trim) {}

    fn reserve(&mut self, _bytes: usize) -> Result<(), BreakError> {
        Err(BreakError::Refused)
    }
}

impl<const ZEROED: bool> Subject<ZEROED> for Heap<BadBreak<ZEROED>> {
    fn new(brk: BadBreak<ZEROED>) -> Self {
        Heap::new(brk)
    }

    fn brk(&mut self) -> &mut BadBreak<ZEROED> {
        self.provider_mut()
    }

    fn map(&self) -> Vec<(usize, usize, bool)> {
        self.cells().map(|cell| (cell.address, cell.size, matches!(cell.state, CellState::Free | CellState::Top))).collect()
    }

    fn verify(&self, oracle: &Oracle) {
        if let Err(corruption) = self.check() {
            panic!("{corruption}");
        }
        let stats = self.stats();
        assert_eq!(stats.granted_bytes, self.provider().granted(), "the heap and its provider disagree on what was granted");
        assert_eq!(stats.live_cells, oracle.blocks().count());
        assert!(stats.live_bytes >= oracle.blocks().map(|block| block.layout.size()).sum());
        let used: Vec<_> = self.cells().filter(|cell| cell.state == CellState::Used).collect();
        for (cell, block) in used.iter().zip(oracle.blocks()) {
            assert_eq!(cell.payload(), block.range().start, "a used cell is not the next block");
            assert!(cell.payload_size() >= block.layout.size());
        }
    }

    fn assert_one_free_cell_a_region(&self) {
        // A region that was given back down to its fence has no cell at all.
        let states: Vec<_> = self.cells().map(|cell| cell.state).collect();
        for (index, region) in states.split(|state| *state == CellState::Hole).enumerate() {
            let is_last = index == states.iter().filter(|state| **state == CellState::Hole).count();
            let expected = if is_last { CellState::Top } else { CellState::Free };
            assert!(region.is_empty() || region == [expected], "with nothing live, region {index} of {states:?}");
        }
    }

    fn largest(&self) -> usize {
        self.stats().largest_free
    }

    fn trim(&mut self, keep: usize) {
        let before = self.provider().granted();
        let returned = Heap::trim(self, keep);
        assert_eq!(before - self.provider().granted(), returned);
    }

    fn set_trim(&mut self, trim: Trim) {
        Heap::set_trim(self, trim);
    }

    fn reserve(&mut self, bytes: usize) -> Result<(), BreakError> {
        Heap::reserve(self, bytes)
    }
}

impl Subject for SimpleHeap<TestBreak> {
    fn new(brk: TestBreak) -> Self {
        SimpleHeap::new(brk)
    }

    fn brk(&mut self) -> &mut TestBreak {
        self.provider_mut()
    }

    fn map(&self) -> Vec<(usize, usize, bool)> {
        self.free_cells().map(|(address, size)| (address, size, true)).collect()
    }

    fn verify(&self, oracle: &Oracle) {
        let unit = 2 * size_of::<usize>();
        let cells: Vec<_> = self.free_cells().map(|(address, size)| address..address + size).collect();
        for pair in cells.windows(2) {
            assert!(pair[0].end < pair[1].start, "free cells {pair:x?} are out of order, or were not merged");
        }
        for cell in &cells {
            assert!(cell.start % unit == 0 && cell.len() % unit == 0 && !cell.is_empty(), "free cell {cell:x?}");
            assert!(self.provider().owns(cell.clone()), "free cell {cell:x?} was not granted");
            for block in oracle.blocks() {
                let with_header = block.range().start - unit..block.range().end;
                assert!(with_header.end <= cell.start || cell.end <= with_header.start, "{block:?} lies in free cell {cell:x?}");
            }
        }
    }

    fn assert_one_free_cell_a_region(&self) {
        // What is not on the list again: a unit where a region begins, and less than one at either end of a grant.
        let brk = self.provider();
        let bound = 2 * size_of::<usize>() * 3 * brk.grants();
        let lost = brk.granted() - self.free_cells().map(|(_, size)| size).sum::<usize>();
        assert!(lost <= bound, "{lost} of {} bytes in {} grants were not found again", brk.granted(), brk.grants());
    }

    fn largest(&self) -> usize {
        let header = 2 * size_of::<usize>();
        self.free_cells().map(|(_, size)| size - header).max().unwrap_or(0)
    }
}

/// The break's end, for what the driver compares.
pub fn brk_of<const ZEROED: bool>(heap: &mut impl Subject<ZEROED>) -> *mut u8 {
    heap.brk().end()
}
