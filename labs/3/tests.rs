//! Lab 3: `realloc`.

use core::alloc::Layout;

use brkalloc::RawHeap;

use super::small_heap::*;
use crate::common::case;

#[case]
fn a_block_that_becomes_smaller_stays() {
    let mut heap = heap(1);
    let block = malloc(&mut heap, 10);
    fill(block, 10, 7);
    assert_eq!(realloc(&mut heap, block, 10, 4), block);
    assert_filled(block, 4, 7);
}

#[case]
fn a_block_whose_cell_is_large_enough_stays() {
    let mut heap = heap(1);
    let block = malloc(&mut heap, 10);
    assert_eq!(realloc(&mut heap, block, 10, 4), block);
    assert_eq!(realloc(&mut heap, block, 4, 10), block, "the cell has ten units still");
}

#[case]
fn a_block_that_moves_takes_its_bytes_along() {
    let mut heap = heap(1);
    let block = malloc(&mut heap, 10);
    malloc(&mut heap, 1);
    fill(block, 10, 7);
    let moved = realloc(&mut heap, block, 10, 30);
    assert_ne!(moved, block);
    assert_filled(moved, 10, 7);
    fill(moved, 30, 8);
}

#[case]
fn the_old_cell_is_free_after_a_move() {
    let mut heap = heap(1);
    let block = malloc(&mut heap, 10);
    malloc(&mut heap, 1);
    realloc(&mut heap, block, 10, 30);
    assert_eq!(malloc(&mut heap, 10), block);
}

#[case]
fn a_refused_request_leaves_the_block_as_it_was() {
    let mut heap = heap(1);
    let block = malloc(&mut heap, 10);
    fill(block, 10, 7);
    for bytes in [2 * 4096, isize::MAX as usize + 1, usize::MAX] {
        // SAFETY: the block is live, with this layout.
        let moved = unsafe { RawHeap::reallocate(&mut heap, block, layout(10), bytes) };
        assert_eq!(moved, None, "{bytes} bytes");
    }
    assert_filled(block, 10, 7);
    free(&mut heap, block, 10);
    assert_eq!(sizes(&heap), [PAGE - 1], "the block was freed once");
}

#[case]
fn a_block_that_moves_keeps_its_alignment() {
    let mut heap = heap(2);
    let aligned = Layout::from_size_align(UNIT, 256).unwrap();
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(aligned) }.expect("two pages have room for it");
    malloc(&mut heap, 1);
    // SAFETY: the block is live, with this layout.
    let moved = unsafe { RawHeap::reallocate(&mut heap, block, aligned, 20 * UNIT) };
    let moved = moved.expect("two pages have room for it");
    assert!(moved != block && moved.addr().get().is_multiple_of(256), "{moved:?}");
}

#[case]
fn a_neighbour_keeps_its_bytes_while_a_block_grows() {
    let mut heap = heap(1);
    let (block, neighbour) = (malloc(&mut heap, 3), malloc(&mut heap, 3));
    fill(block, 3, 1);
    fill(neighbour, 3, 2);
    let moved = realloc(&mut heap, block, 3, 4);
    assert_ne!(moved, block, "the neighbour's header lies right behind the block");
    fill(moved, 4, 3);
    assert_filled(neighbour, 3, 2);
    free(&mut heap, neighbour, 3);
    assert_filled(moved, 4, 3);
    assert_eq!(sizes(&heap)[0], 8, "the block's old cell and the neighbour's");
}
