//! Tests of the check: each breaks one field of a heap, as only a bug of the heap could, and
//! expects the report.

use std::boxed::Box;

use super::*;
use crate::bins::Binning;
use crate::cell::Links;
use crate::heap::PlainHeap;
use crate::profile::Plain;
use crate::provider::{FixedBreak, NoMap};

type Heap = PlainHeap<FixedBreak>;

/// Page-aligned memory. The heap moves the break in whole pages, so the top's length does not
/// depend on the address.
#[repr(align(4096))]
struct Page([u8; 4096]);

/// Returns a heap with one free cell in a bin, one used cell, and a top.
fn heap() -> Heap {
    let layout = core::alloc::Layout::new::<[usize; 6]>();
    let memory = &mut Box::leak(Box::new(Page([0; 4096]))).0;
    let mut heap = Heap::with_profile(FixedBreak::from_array(memory), NoMap);
    // SAFETY: the memory is leaked, so it outlives the blocks. The first block is live until it is
    // freed with its layout.
    unsafe {
        let first = heap.allocate(layout).unwrap();
        let _second = heap.allocate(layout).unwrap();
        heap.deallocate(first, layout);
    }
    heap.check().unwrap();
    heap
}

fn assert_reported(heap: &Heap, rule: Rule, expected: usize, found: usize) {
    let corruption = heap.check().expect_err("the heap is broken");
    assert_eq!((corruption.rule, corruption.expected, corruption.found), (rule, expected, found));
}

#[test]
fn wrong_map_bit_is_reported() {
    let mut heap = heap();
    let class = <Plain as Binning>::Classes::class_of(8 * WORD);
    heap.parts().bins.occupied.clear(class);
    assert_reported(&heap, Rule::Map, 1, 0);
}

#[test]
fn missing_or_wrong_top_is_reported() {
    let mut heap = heap();
    let top = heap.parts().top.take();
    assert_reported(&heap, Rule::Top, addr(top), 0);
    let lowest = heap.chunks().space().lowest();
    *heap.parts().top = lowest;
    assert_reported(&heap, Rule::Top, addr(top), addr(lowest));
}

#[test]
fn top_in_a_bin_is_reported() {
    let mut heap = heap();
    let top = heap.chunks().top().unwrap();
    // SAFETY: the top is a valid free cell in no list. In a bin it breaks an invariant of the heap:
    // the test expects that report.
    unsafe {
        let size = top.header().size();
        heap.parts().bins.insert(top, size);
    }
    assert_reported(&heap, Rule::Links, 0, top.addr());
}

#[test]
fn wrong_counter_of_used_bytes_is_reported() {
    let mut heap = heap();
    *heap.parts().below_peak -= 1;
    assert_reported(&heap, Rule::UsedBytes, 7 * WORD + 1, 7 * WORD);
}

#[test]
fn cells_linked_outside_every_list_are_reported() {
    let layout = core::alloc::Layout::new::<[usize; 6]>();
    let mut heap = heap();
    // SAFETY: the memory is leaked, so it outlives the blocks.
    let blocks = [(); 3].map(|()| unsafe { heap.allocate(layout) }.unwrap());
    for block in [blocks[0], blocks[1]] {
        // SAFETY: the block is live, and has this layout.
        unsafe { heap.deallocate(block, layout) };
    }
    // The first block took the cell that was free; the second lies between two used cells. So
    // neither is coalesced.
    heap.check().unwrap();
    let class = <Plain as Binning>::Classes::class_of(8 * WORD);
    let [first, second] = [blocks[0], blocks[1]].map(|block| {
        // SAFETY: the block's cell was not coalesced, so its header is still valid.
        unsafe { Cell::<Plain>::of_payload(block) }
    });
    assert_eq!(
        heap.chunks().bins().list(class).map(|(cell, _)| cell).collect::<std::vec::Vec<_>>(),
        [second, first]
    );
    for (cell, other) in [(first, second), (second, first)] {
        // SAFETY: the cell is valid and free.
        unsafe { cell.links().write(Links { next: Some(other), prev: Some(other) }) };
    }
    heap.parts().bins.replace_head(class, None);
    heap.parts().bins.occupied.clear(class);
    assert_reported(&heap, Rule::Binned, 2, 0);
}

#[test]
fn break_region_outside_the_regions_is_reported() {
    let mut heap = heap();
    let region = heap.chunks().space().extent().unwrap().region();
    // SAFETY: the whole region is this heap's, and no other region overlaps it.
    unsafe { region.record() };
    let first = heap.chunks().top();
    heap.parts().space.break_extent(first, 0);
    assert_reported(&heap, Rule::BreakRegion, region.fencepost.addr(), 0);
}

#[test]
fn wrong_counter_of_granted_bytes_is_reported() {
    let mut heap = heap();
    let granted = heap.stats().granted_bytes;
    heap.parts().space.break_extent(None, 16);
    assert_reported(&heap, Rule::RegionBytes, granted + 16, granted);
}
