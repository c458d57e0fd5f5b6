//! Zeroed blocks over memory that is zero when granted: nothing of an earlier block or of the
//! heap's own words shows through.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Heap, NoMap};

use crate::common::case;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::test_break::ZeroedBreak;

/// The layout of a block that fills so many units.
fn layout<P: Variant>(units: usize) -> Layout {
    Layout::from_size_align(P::asking_for(units * UNIT - WORD), WORD).unwrap()
}

type ZeroedHeap<P> = Heap<ZeroedBreak, NoMap, P>;

fn heap<P: Variant>(granule: usize) -> ZeroedHeap<P> {
    let mut brk = ZeroedBreak::new(1 << 16, 0);
    brk.granule = granule;
    Heap::with_profile(brk, NoMap)
}

/// A block with every byte written.
fn dirty<P: Variant>(heap: &mut ZeroedHeap<P>, units: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout::<P>(units)) }.unwrap();
    fill::<P>(block, units);
    block
}

fn fill<P: Variant>(block: NonNull<u8>, units: usize) {
    // SAFETY: the block is live and that long.
    unsafe { block.write_bytes(0xFF, layout::<P>(units).size()) };
}

fn free<P: Variant>(heap: &mut ZeroedHeap<P>, block: NonNull<u8>, units: usize) {
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout::<P>(units)) };
}

fn assert_zeroed_block<P: Variant>(heap: &mut ZeroedHeap<P>, units: usize) {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate_zeroed(layout::<P>(units)) }.unwrap();
    // SAFETY: the block is live and that long.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), layout::<P>(units).size()) };
    assert_eq!(bytes.iter().position(|&byte| byte != 0), None, "of {} bytes", bytes.len());
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_that_takes_the_whole_top<P: Variant>() {
    let mut heap = heap::<P>(1);
    heap.reserve(layout::<P>(50).size()).unwrap();
    assert_zeroed_block(&mut heap, 50);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_over_the_place_of_an_old_fencepost<P: Variant>() {
    for step in [1, 2, 3, 100] {
        let mut heap = heap::<P>(1);
        for units in (10..400).step_by(step) {
            heap.reserve(layout::<P>(units).size()).unwrap();
        }
        assert_zeroed_block(&mut heap, 390);
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_over_one_that_was_freed_into_the_top<P: Variant>() {
    let mut heap = heap::<P>(1);
    let block = dirty(&mut heap, 20);
    free(&mut heap, block, 20);
    assert_zeroed_block(&mut heap, 60);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_over_one_that_had_grown_into_the_top<P: Variant>() {
    let mut heap = heap::<P>(1);
    let block = dirty(&mut heap, 20);
    heap.reserve(layout::<P>(100).size()).unwrap();
    // SAFETY: the block is live.
    let resized = unsafe { heap.reallocate(block, layout::<P>(20), layout::<P>(70).size()) };
    assert_eq!(resized, Some(block));
    fill::<P>(block, 70);
    free(&mut heap, block, 70);
    assert_zeroed_block(&mut heap, 90);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_over_one_that_had_moved_down_and_grown_into_the_top<P: Variant>() {
    let mut heap = heap::<P>(1);
    let (below, block) = (dirty(&mut heap, 20), dirty(&mut heap, 20));
    heap.reserve(layout::<P>(30).size()).unwrap();
    free(&mut heap, below, 20);
    heap.provider_mut().refuse_grow = true;
    // SAFETY: the block is live.
    let resized = unsafe { heap.reallocate(block, layout::<P>(20), layout::<P>(65).size()) };
    assert_eq!(resized, Some(below));
    fill::<P>(below, 65);
    free(&mut heap, below, 65);
    assert_zeroed_block(&mut heap, 70);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_over_memory_that_was_given_back_and_granted_again<P: Variant>() {
    let mut heap = heap::<P>(256);
    let (_first, block) = (dirty(&mut heap, 3), dirty(&mut heap, 200));
    free(&mut heap, block, 200);
    for keep in [1_500, 700, 0] {
        assert!(heap.trim(keep) > 0);
        assert_zeroed_block(&mut heap, 30);
    }
    assert_zeroed_block(&mut heap, 300);
}
