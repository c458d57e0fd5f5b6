//! Lab 2: coalescing.

use super::small_heap::*;
use crate::common::case;
use crate::common::prelude::*;

/// A full heap of five blocks of two units, and one that takes the rest.
fn full() -> (Simple, [core::ptr::NonNull<u8>; 5]) {
    let mut heap = heap(1);
    let blocks = [(); 5].map(|()| malloc(&mut heap, 2));
    malloc(&mut heap, PAGE - 1 - 5 * 3 - 1);
    assert_eq!(sizes(&heap), []);
    (heap, blocks)
}

#[case]
fn a_cell_joins_the_free_one_below() {
    let (mut heap, blocks) = full();
    free(&mut heap, blocks[1], 2);
    free(&mut heap, blocks[2], 2);
    assert_eq!(sizes(&heap), [6]);
    assert_eq!(malloc(&mut heap, 5), blocks[1]);
}

#[case]
fn a_cell_joins_the_free_one_above() {
    let (mut heap, blocks) = full();
    free(&mut heap, blocks[2], 2);
    free(&mut heap, blocks[1], 2);
    assert_eq!(sizes(&heap), [6]);
    assert_eq!(malloc(&mut heap, 5), blocks[1]);
}

#[case]
fn a_cell_between_two_free_ones_joins_both() {
    let (mut heap, blocks) = full();
    for index in [1, 3, 2] {
        free(&mut heap, blocks[index], 2);
    }
    assert_eq!(sizes(&heap), [9]);
}

#[case]
fn with_nothing_live_the_heap_is_one_cell() {
    // Each order of five blocks: the digits of a number to the base five, without repetition.
    for number in 0..5_usize.pow(5) {
        let order = [1, 5, 25, 125, 625].map(|power| number / power % 5);
        if (0..5).any(|index| !order.contains(&index)) {
            continue;
        }
        let mut heap = heap(1);
        let blocks = [(); 5].map(|()| malloc(&mut heap, 2));
        for index in order {
            free(&mut heap, blocks[index], 2);
        }
        assert_eq!(sizes(&heap), [PAGE - 1], "freed in the order {order:?}");
    }
}

#[case]
fn cells_with_a_block_between_them_stay_apart() {
    let (mut heap, blocks) = full();
    for (index, block) in blocks.into_iter().enumerate() {
        fill(block, 2, index as u8);
    }
    for index in [4, 0, 2] {
        free(&mut heap, blocks[index], 2);
    }
    assert_eq!(sizes(&heap), [3, 3, 3]);
    assert_filled(blocks[1], 2, 1);
    assert_filled(blocks[3], 2, 3);
}

#[case]
fn a_join_on_one_side_leaves_the_other_side_alone() {
    let (mut heap, blocks) = full();
    for index in [0, 2, 3] {
        free(&mut heap, blocks[index], 2);
    }
    assert_eq!(sizes(&heap), [3, 6], "below the used block one cell, above it one of two");
    free(&mut heap, blocks[4], 2);
    assert_eq!(sizes(&heap), [3, 9]);
}

#[case]
fn memory_on_both_sides_of_a_hole_stays_apart() {
    let mut heap = heap(4);
    let below = malloc(&mut heap, 10);
    heap.provider_mut().foreign_up(2048);
    let above = malloc(&mut heap, PAGE);
    free(&mut heap, above, PAGE);
    free(&mut heap, below, 10);
    let cells: Vec<_> = heap.free_cells().collect();
    assert_eq!(cells.len(), 2, "a cell below the foreign memory and one above: {cells:x?}");
    heap.provider().assert_foreign_untouched();
}
