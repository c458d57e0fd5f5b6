//! Lab 4: the policy of the break.

use brkalloc::{Break, SimpleHeap};

use super::small_heap::*;
use crate::common::case;
use crate::common::test_break::TestBreak;

/// A heap whose break has `pages` pages and takes memory back.
fn generous(pages: usize) -> Simple {
    SimpleHeap::new(TestBreak::new(pages * 4096, 0))
}

#[case]
fn the_break_moves_in_steps_of_the_granule() {
    let mut heap = generous(16);
    malloc(&mut heap, 1);
    assert_eq!((heap.provider().granted(), heap.provider().asked), (4096, 1));
    malloc(&mut heap, 1);
    assert_eq!(heap.provider().asked, 1, "the first step has room for both");
    malloc(&mut heap, PAGE);
    assert_eq!(heap.provider().granted() % 4096, 0);
}

#[case]
fn a_step_that_is_refused_is_tried_again_with_the_exact_size() {
    let mut brk = TestBreak::new(3000, 0);
    brk.granule = 4096;
    let mut heap = SimpleHeap::new(brk);
    malloc(&mut heap, 50);
    let granted = heap.provider().granted();
    assert!((50 * UNIT..3000).contains(&granted), "{granted} bytes were granted");
    assert_eq!(heap.provider().asked, 2);
}

#[case]
fn freeing_the_last_cell_moves_the_break_down() {
    let mut heap = generous(16);
    let small = malloc(&mut heap, 1);
    let large = malloc(&mut heap, 3 * PAGE);
    let end = heap.provider().end();
    free(&mut heap, large, 3 * PAGE);
    assert!(heap.provider().end() < end);
    assert_eq!(heap.provider().end().addr(), small.addr().get() + UNIT, "the last block's end");
    assert_eq!(sizes(&heap), []);
}

#[case]
fn freeing_a_cell_below_a_block_leaves_the_break_alone() {
    let mut heap = generous(16);
    let (below, _above) = (malloc(&mut heap, 10), malloc(&mut heap, PAGE));
    let top = malloc(&mut heap, 10);
    free(&mut heap, top, 10);
    let end = heap.provider().end();
    free(&mut heap, below, 10);
    assert_eq!(heap.provider().end(), end);
}

#[case]
fn after_the_break_came_down_the_heap_grows_again() {
    let mut heap = generous(4);
    for round in 0..20 {
        let block = malloc(&mut heap, 2 * PAGE);
        fill(block, 2 * PAGE, round);
        free(&mut heap, block, 2 * PAGE);
    }
    assert_eq!(heap.provider().asked, 20);
}

#[case]
fn memory_that_the_provider_does_not_take_back_is_used_again() {
    let mut heap = heap(4);
    let large = malloc(&mut heap, 2 * PAGE);
    free(&mut heap, large, 2 * PAGE);
    let asked = heap.provider().asked;
    assert_eq!(malloc(&mut heap, 2 * PAGE), large);
    assert_eq!(heap.provider().asked, asked);
}

#[case]
fn foreign_memory_is_neither_used_nor_given_back() {
    let mut heap = generous(16);
    let below = malloc(&mut heap, 10);
    heap.provider_mut().foreign_up(1000);
    let above = malloc(&mut heap, PAGE);
    assert!(above.addr().get() >= below.addr().get() + 1000);
    fill(above, PAGE, 1);
    free(&mut heap, above, PAGE);
    free(&mut heap, below, 10);
    heap.provider().assert_foreign_untouched();
    let again = malloc(&mut heap, 2 * PAGE);
    fill(again, 2 * PAGE, 2);
    heap.provider().assert_foreign_untouched();
}

#[case]
fn a_grant_below_the_heaps_own_memory_is_given_back() {
    let mut heap = generous(16);
    malloc(&mut heap, 1);
    malloc(&mut heap, PAGE - 1 - 2 - 1);
    assert_eq!(sizes(&heap), [], "no free cell lies in what others take");
    heap.provider_mut().foreign_down(4096);
    let end = heap.provider().end();
    assert_eq!(try_malloc(&mut heap, 2 * PAGE), None, "the grant lies over live blocks");
    assert_eq!(heap.provider().end(), end);
}
