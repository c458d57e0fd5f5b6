//! Zeroed blocks over memory that is zero when granted: nothing of an earlier block or of the
//! heap's own words shows through.

#[cfg(test)]
mod common;

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::Heap;

use crate::common::cases;
use crate::common::lengths::{UNIT, WORD, asking_for};
use crate::common::test_break::ZeroedBreak;

cases!(
    a_block_that_takes_the_whole_top,
    a_block_over_the_place_of_an_old_fence,
    a_block_over_one_that_was_freed_into_the_top,
    a_block_over_one_that_had_grown_into_the_top,
    a_block_over_one_that_had_moved_down_and_grown_into_the_top,
    a_block_over_memory_that_was_given_back_and_granted_again,
);

/// The layout of a block that fills so many units.
fn layout(units: usize) -> Layout {
    Layout::from_size_align(asking_for(units * UNIT - WORD), WORD).unwrap()
}

fn heap(granule: usize) -> Heap<ZeroedBreak> {
    let mut brk = ZeroedBreak::new(1 << 16, 0);
    brk.granule = granule;
    Heap::plain(brk)
}

/// A block with every byte written.
fn dirty(heap: &mut Heap<ZeroedBreak>, units: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout(units)) }.unwrap();
    fill(block, units);
    block
}

fn fill(block: NonNull<u8>, units: usize) {
    // SAFETY: the block is live and that long.
    unsafe { block.write_bytes(0xFF, layout(units).size()) };
}

fn free(heap: &mut Heap<ZeroedBreak>, block: NonNull<u8>, units: usize) {
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout(units)) };
}

fn assert_zeroed_block(heap: &mut Heap<ZeroedBreak>, units: usize) {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate_zeroed(layout(units)) }.unwrap();
    // SAFETY: the block is live and that long.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout(units).size()) };
    assert_eq!(bytes.iter().position(|&byte| byte != 0), None, "of {} bytes", bytes.len());
    heap.check().unwrap();
}

fn a_block_that_takes_the_whole_top() {
    let mut heap = heap(1);
    heap.reserve(layout(50).size()).unwrap();
    assert_zeroed_block(&mut heap, 50);
}

fn a_block_over_the_place_of_an_old_fence() {
    for step in [1, 2, 3, 100] {
        let mut heap = heap(1);
        for units in (10..400).step_by(step) {
            heap.reserve(layout(units).size()).unwrap();
        }
        assert_zeroed_block(&mut heap, 390);
    }
}

fn a_block_over_one_that_was_freed_into_the_top() {
    let mut heap = heap(1);
    let block = dirty(&mut heap, 20);
    free(&mut heap, block, 20);
    assert_zeroed_block(&mut heap, 60);
}

fn a_block_over_one_that_had_grown_into_the_top() {
    let mut heap = heap(1);
    let block = dirty(&mut heap, 20);
    heap.reserve(layout(100).size()).unwrap();
    // SAFETY: the block is live.
    assert_eq!(unsafe { heap.reallocate(block, layout(20), layout(70).size()) }, Some(block));
    fill(block, 70);
    free(&mut heap, block, 70);
    assert_zeroed_block(&mut heap, 90);
}

fn a_block_over_one_that_had_moved_down_and_grown_into_the_top() {
    let mut heap = heap(1);
    let (below, block) = (dirty(&mut heap, 20), dirty(&mut heap, 20));
    heap.reserve(layout(30).size()).unwrap();
    free(&mut heap, below, 20);
    heap.provider_mut().refuse_grow = true;
    // SAFETY: the block is live.
    assert_eq!(unsafe { heap.reallocate(block, layout(20), layout(65).size()) }, Some(below));
    fill(below, 65);
    free(&mut heap, below, 65);
    assert_zeroed_block(&mut heap, 70);
}

fn a_block_over_memory_that_was_given_back_and_granted_again() {
    let mut heap = heap(256);
    let (_first, block) = (dirty(&mut heap, 3), dirty(&mut heap, 200));
    free(&mut heap, block, 200);
    for keep in [1_500, 700, 0] {
        assert!(heap.trim(keep) > 0);
        assert_zeroed_block(&mut heap, 30);
    }
    assert_zeroed_block(&mut heap, 300);
}
