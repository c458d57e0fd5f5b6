//! Where runs lie, and the page map that knows it: wherever memory begins, and on either side of
//! what is not the heap's.

use brkalloc::{Break, CellState, Heap, NoMap};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::regions::PAGE;
use crate::common::small::{
    allocate, blocks_until, count, free, free_all, heap_of, is_in, layout, runs, uncached,
};
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;

#[case(Usual, Checked<Usual>)]
fn the_page_map_grows_and_goes_with_the_runs<P: Variant>() {
    const MIB: usize = 1 << 20;
    let (mut heap, small) = (uncached::<P>(8 * MIB), layout(200, 8));
    let base = heap.provider().end().addr();
    let mut blocks = blocks_until(&mut heap, small, 1);
    let mut walls = Vec::new();
    assert_eq!(count(&heap, CellState::Internal), 1);
    for (above, leaves) in [(MIB, 2), (2 * MIB, 3), (4 * MIB, 4)] {
        let wall = layout(base + above - heap.stats().brk + (64 << 10), 1);
        walls.push((allocate(&mut heap, wall), wall));
        while runs(&heap).iter().all(|run| run.address < base + above) {
            blocks.push(allocate(&mut heap, small));
        }
        heap.check().unwrap();
        assert_eq!(count(&heap, CellState::Internal), leaves, "with a run {above} bytes up");
    }
    let of_runs: usize = runs(&heap)
        .iter()
        .map(|run| if let CellState::Run { live, .. } = run.state { live } else { 0 })
        .sum();
    let inside = blocks.iter().filter(|block| runs(&heap).iter().any(|run| is_in(**block, run)));
    assert_eq!(inside.clone().count(), of_runs);
    for block in inside {
        // SAFETY: a live block.
        assert_eq!(unsafe { heap.usable_size(*block) }, 200, "what lies in a run is known as such");
    }
    // From below: the first leaf goes while the others stay.
    for block in blocks {
        free(&mut heap, block, small);
    }
    assert!(count(&heap, CellState::Internal) <= 1, "one empty run is kept");
    heap.flush();
    heap.check().unwrap();
    assert_eq!(count(&heap, CellState::Internal), 0);
    for (block, layout) in walls {
        free(&mut heap, block, layout);
    }
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn where_the_page_map_would_cost_too_much_blocks_are_cells<P: Variant>() {
    let (mut heap, small) = (uncached::<P>(8 << 20), layout(200, 8));
    let blocks = blocks_until(&mut heap, small, 1);
    heap.provider_mut().foreign_up(5 << 20);
    let theirs = heap.provider().end().addr();
    let beyond: Vec<_> = (0..1_000).map(|_| allocate(&mut heap, small)).collect();
    heap.check().unwrap();
    assert!(beyond.iter().any(|block| block.addr().get() > theirs));
    assert!(runs(&heap).iter().all(|run| run.address < theirs), "a map of 4 MiB for some KiB");
    free_all(&mut heap, blocks, small);
    free_all(&mut heap, beyond, small);
    heap.flush();
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}

#[case(Usual, Checked<Usual>)]
fn runs_begin_wherever_memory_begins<P: Variant>() {
    for skew in [0, 1, 3, 8, 15, 16, 24, 4_087, 4_088, 4_089, 16_376] {
        let mut heap = Heap::<_, _, P>::with_profile(TestBreak::new(1 << 20, skew), NoMap);
        let mut oracle = Oracle::default();
        for size in [24, 300] {
            let blocks = blocks_until(&mut heap, layout(size, 8), 2);
            for block in blocks {
                oracle.add(block, layout(size, 8));
            }
        }
        heap.verify(&oracle);
        while let Some(block) = oracle.pick(7) {
            oracle.remove(&block);
            free(&mut heap, block.at, block.layout);
        }
        heap.flush();
        heap.verify(&oracle);
        heap.assert_one_free_cell_a_region();
    }
}

/// In a hole that is longer than a run, but not by a cell: the run's cell is as long as the hole.
#[case(Usual, Checked<Usual>)]
fn a_run_begins_where_little_more_is_free<P: Variant>() {
    let mut longest = 0;
    for more in (0..2 * UNIT).step_by(WORD) {
        let mut heap = uncached::<P>(1 << 20);
        let small = layout(48, UNIT);
        let mut blocks = blocks_until(&mut heap, small, 1);
        let hole = layout(PAGE - WORD + more, PAGE);
        let place = allocate(&mut heap, hole);
        let behind = allocate(&mut heap, layout(10_000, 1));
        free(&mut heap, place, hole);
        blocks.extend(blocks_until(&mut heap, small, 2));
        let run = runs(&heap)
            .into_iter()
            .find(|run| run.address + WORD == place.addr().get())
            .expect("a run in the hole");
        longest = longest.max(run.size);
        free_all(&mut heap, blocks, small);
        free(&mut heap, behind, layout(10_000, 1));
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
    assert!(longest > PAGE, "no hole was longer than a run");
}

#[case(Usual, Checked<Usual>)]
fn runs_lie_on_either_side_of_what_others_took<P: Variant>() {
    let mut heap = heap_of::<P>(4 << 20);
    let mut oracle = Oracle::default();
    let small = layout(48, UNIT);
    for region in 1..=5 {
        while heap.stats().holes + 1 < region || heap.stats().runs < 4 * region {
            oracle.add(allocate(&mut heap, small), small);
        }
        heap.verify(&oracle);
        // An odd number, so that regions begin anywhere.
        heap.provider_mut().foreign_up(5_003);
        heap.reserve(100_000).unwrap();
    }
    let holes: Vec<_> = heap
        .cells()
        .filter(|cell| cell.state == CellState::Hole)
        .map(|cell| cell.address)
        .collect();
    assert_eq!(holes.len(), 5);
    for end in &holes {
        let runs_below = runs(&heap).iter().filter(|run| run.address < *end).count();
        assert!(runs_below > 0);
    }
    assert!(runs(&heap).iter().any(|run| run.address > holes[3]), "runs behind the fourth hole");
    let mut pick = 0;
    while let Some(block) = oracle.pick(pick) {
        pick = pick.wrapping_mul(31).wrapping_add(7);
        oracle.remove(&block);
        free(&mut heap, block.at, block.layout);
    }
    heap.verify(&oracle);
    heap.flush();
    heap.verify(&oracle);
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}
