//! Which free cell a request gets: exact where classes are exact, the best of a few above, and for
//! the over-aligned one that fits.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellState, Heap, NoMap};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::test_break::TestBreak;

const PAGE: usize = 4096;

/// A heap whose free cells are laid out by hand, each between used ones, with the top behind.
struct Bench<P: Variant> {
    heap: Heap<TestBreak, NoMap, P>,
}

impl<P: Variant> Bench<P> {
    fn new() -> Self {
        let mut heap = Heap::with_profile(TestBreak::new(1 << 20, 0), NoMap);
        heap.reserve(500_000).unwrap();
        Self { heap }
    }

    fn allocate(&mut self, layout: Layout) -> NonNull<u8> {
        // SAFETY: the heap outlives the case.
        unsafe { self.heap.try_allocate(layout) }.expect("room was reserved")
    }

    /// A used cell of `size` bytes.
    fn used(&mut self, size: usize) -> NonNull<u8> {
        self.allocate(layout_of_cell::<P>(size))
    }

    /// Used cells of these sizes whose payloads lie `offset` bytes above a page boundary, each
    /// behind a used one.
    fn place(&mut self, cells: &[(usize, usize)]) -> Vec<(NonNull<u8>, usize)> {
        let mut placed = Vec::new();
        for &(offset, size) in cells {
            let top = self.heap.cells().last().unwrap();
            let spacer = (offset + 2 * PAGE - top.payload() % PAGE) % PAGE;
            self.used(if spacer < P::cell_for(0) { spacer + PAGE } else { spacer });
            let block = self.used(size);
            assert_eq!(block.addr().get() % PAGE, offset);
            placed.push((block, size));
        }
        self.used(P::cell_for(0));
        placed
    }

    /// Makes them free cells, the last one first in its list.
    fn free(&mut self, cells: &[(NonNull<u8>, usize)]) {
        for &(block, size) in cells {
            // SAFETY: placed, and live until now.
            unsafe { self.heap.deallocate(block, layout_of_cell::<P>(size)) };
        }
        self.heap.check().unwrap();
    }

    /// Free cells of these sizes, wherever.
    fn free_cells(&mut self, sizes: &[usize]) -> Vec<NonNull<u8>> {
        let cells: Vec<_> = sizes.iter().map(|&size| (UNIT, size)).collect();
        let placed = self.place(&cells);
        self.free(&placed);
        placed.into_iter().map(|(block, _)| block).collect()
    }

    fn count(&self, state: CellState) -> usize {
        self.heap.cells().filter(|cell| cell.state == state).count()
    }
}

fn layout_of_cell<P: Variant>(size: usize) -> Layout {
    Layout::from_size_align(P::asking_for(size - WORD), 1).unwrap()
}

#[case(Plain, Small, Checked<Plain>)]
fn a_small_request_gets_the_smallest_class_that_holds_it<P: Variant>() {
    let mut bench = Bench::<P>::new();
    let cells = bench.free_cells(&[10 * UNIT, 6 * UNIT, 8 * UNIT]);
    assert_eq!(bench.used(6 * UNIT), cells[1]);
    assert_eq!(bench.used(7 * UNIT), cells[2]);
    assert_eq!(bench.used(7 * UNIT), cells[0]);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_large_request_gets_the_best_of_its_class<P: Variant>() {
    // All of one class, in an order in which neither the first nor the last is the best.
    let mut bench = Bench::<P>::new();
    let base = 64 * UNIT;
    let cells = bench.free_cells(&[
        base + 2 * UNIT,
        base + 5 * UNIT,
        base + 3 * UNIT,
        base + 7 * UNIT,
        base + 6 * UNIT,
    ]);
    assert_eq!(bench.used(base + 3 * UNIT), cells[2], "the exact one");
    assert_eq!(bench.used(base + 4 * UNIT), cells[1], "the best one");
    assert_eq!(bench.used(base + 4 * UNIT), cells[4], "the best of those left");
    assert_eq!(bench.used(base + UNIT), cells[0]);
}

#[case(Plain, Small, Checked<Plain>)]
fn of_equal_cells_the_last_freed_comes_first<P: Variant>() {
    for size in [8 * UNIT, 70 * UNIT] {
        let mut bench = Bench::<P>::new();
        let cells = bench.free_cells(&[size; 3]);
        for cell in cells.iter().rev() {
            assert_eq!(bench.used(size), *cell);
        }
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_class_whose_cells_are_too_small_is_passed_over<P: Variant>() {
    let mut bench = Bench::<P>::new();
    let base = 64 * UNIT;
    let mut sizes = vec![base; 20];
    sizes.push(2 * base);
    let cells = bench.free_cells(&sizes);
    assert_eq!(bench.used(base + UNIT), cells[20]);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_rest_of_minimum_size_becomes_a_free_cell<P: Variant>() {
    let mut bench = Bench::<P>::new();
    let cells = bench.free_cells(&[20 * UNIT]);
    assert_eq!(bench.used(19 * UNIT), cells[0]);
    assert_eq!(bench.count(CellState::Free), 0, "one unit is no cell: it stays with the block");

    let mut bench = Bench::<P>::new();
    let cells = bench.free_cells(&[20 * UNIT]);
    assert_eq!(bench.used(18 * UNIT), cells[0]);
    assert_eq!(bench.count(CellState::Free), 1);
}

/// An over-aligned request may not take a cell only because it is large: the aligned place must lie
/// in it.
#[case(Plain, Small, Checked<Plain>)]
fn an_over_aligned_request_gets_a_cell_that_it_fits_into<P: Variant>() {
    let page = Layout::from_size_align(P::asking_for(PAGE), PAGE).unwrap();
    let size = PAGE + UNIT;
    // The largest that do not hold it: an aligned place lies `PAGE − offset` bytes in, or a page
    // further if that leaves no cell below.
    let unlucky = [
        (UNIT, size),
        (UNIT, size + 600),
        (UNIT, size + 1200),
        (UNIT, size + 1700),
        (UNIT, size + 2300),
    ];
    let last_class = (PAGE - UNIT, 2 * size - UNIT);
    let unlucky: Vec<_> = unlucky
        .iter()
        .chain([&last_class])
        .map(|&(offset, size)| (offset, size / UNIT * UNIT))
        .collect();

    let mut bench = Bench::<P>::new();
    let placed = bench.place(&unlucky);
    bench.free(&placed);
    let top = bench.heap.cells().last().unwrap().address;
    assert!(bench.allocate(page).addr().get() > top, "no free cell holds it");

    let mut bench = Bench::<P>::new();
    let placed = bench.place(&unlucky);
    let certain = bench.place(&[(PAGE - UNIT, 3 * PAGE)]);
    bench.free(&placed);
    bench.free(&certain);
    let (start, end) = (certain[0].0.addr().get(), certain[0].0.addr().get() + 3 * PAGE);
    assert!(
        (start..end).contains(&bench.allocate(page).addr().get()),
        "the cell that holds it for certain"
    );

    // Within the first two classes the search is for a fit, not for certainty.
    let mut bench = Bench::<P>::new();
    let lucky = bench.place(&[(0, size + 1200)]);
    let placed = bench.place(&unlucky[..1]);
    bench.free(&placed);
    bench.free(&lucky);
    assert_eq!(bench.allocate(page), lucky[0].0);
    bench.heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn an_aligned_request_gets_the_smaller_of_two_cells<P: Variant>() {
    let base = 64 * UNIT;
    for sizes in [[5, 2], [2, 5]] {
        let mut bench = Bench::<P>::new();
        let placed = bench.place(&sizes.map(|units| (8 * UNIT, base + units * UNIT)));
        bench.free(&placed);
        let layout = Layout::from_size_align(P::asking_for(base - WORD), 4 * UNIT).unwrap();
        let smaller = placed.iter().min_by_key(|(_, size)| *size).unwrap().0;
        assert_eq!(bench.allocate(layout), smaller, "{sizes:?}");
    }
}
