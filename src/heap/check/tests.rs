//! A field of a heap is broken at a time, as only a bug of the heap's own could, and must be
//! reported.

use std::boxed::Box;

use super::*;
use crate::provider::FixedBreak;

/// What a block is longer by than asked.
const RECORD: usize = if cfg!(feature = "checked") { 2 * WORD } else { 0 };

/// Memory from a page boundary on: how long the top is then does not depend on where the memory
/// lies, for the break is asked in whole pages.
#[repr(align(4096))]
struct Page([u8; 4096]);

/// A heap with one free cell in a bin, one used cell, and a top.
fn heap() -> Heap<FixedBreak> {
    let layout = core::alloc::Layout::new::<[usize; 6]>();
    let mut heap = Heap::plain(FixedBreak::from_array(&mut Box::leak(Box::new(Page([0; 4096]))).0));
    // SAFETY: the heap's memory is leaked, and outlives the blocks.
    let first = unsafe { heap.allocate(layout) }.unwrap();
    // SAFETY: as above.
    let _second = unsafe { heap.allocate(layout) }.unwrap();
    // SAFETY: live until now.
    unsafe { heap.deallocate(first, layout) };
    heap.check().unwrap();
    heap
}

fn assert_reported(heap: &Heap<FixedBreak>, rule: Rule, expected: usize, found: usize) {
    let corruption = heap.check().expect_err("the heap is broken");
    assert_eq!((corruption.rule, corruption.expected, corruption.found), (rule, expected, found));
}

#[test]
fn a_wrong_map_is_found() {
    let mut heap = heap();
    let class = class_of(8 * WORD + RECORD);
    heap.bins.occupied.clear(class);
    assert_reported(&heap, Rule::Map, 1, 0);
}

#[test]
fn a_top_that_is_forgotten_or_invented_is_found() {
    let mut heap = heap();
    let top = heap.top.take();
    assert_reported(&heap, Rule::Top, addr(top), 0);
    heap.top = heap.regions.lowest;
    assert_reported(&heap, Rule::Top, addr(top), addr(heap.top));
}

#[test]
fn a_cell_that_is_in_two_places_is_found() {
    let mut heap = heap();
    let top = heap.top.unwrap();
    // SAFETY: the top is valid.
    let size = unsafe { top.header() }.size();
    // SAFETY: valid and free, though it should be in no bin: that is the point.
    unsafe { heap.bins.insert(top, size) };
    assert_reported(&heap, Rule::Links, 0, top.addr());
}

#[test]
fn wrong_counters_are_found() {
    let mut heap = heap();
    heap.counters.used_bytes += 1;
    assert_reported(&heap, Rule::UsedBytes, 7 * WORD + RECORD + 1, 7 * WORD + RECORD);
}

#[test]
fn cells_that_lead_to_each_other_but_are_in_no_list_are_found() {
    let layout = core::alloc::Layout::new::<[usize; 6]>();
    let mut heap = heap();
    // SAFETY: the heap's memory is leaked, and outlives the blocks.
    let blocks = [(); 3].map(|()| unsafe { heap.allocate(layout) }.unwrap());
    for block in [blocks[0], blocks[1]] {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout) };
    }
    // The first one took the place of the cell that was free; the second one is behind a used cell,
    // and before another.
    heap.check().unwrap();
    let class = class_of(8 * WORD + RECORD);
    let [first, second] = [blocks[0], blocks[1]].map(|block| {
        // SAFETY: a free cell's header is in front of what was its payload.
        unsafe { Cell::of_payload(block) }
    });
    assert_eq!(
        heap.bins.list(class).map(|(cell, _)| cell).collect::<std::vec::Vec<_>>(),
        [second, first]
    );
    for (cell, other) in [(first, second), (second, first)] {
        // SAFETY: free cells in a list.
        let links = unsafe { cell.links() };
        // SAFETY: words of that cell.
        unsafe { links.write(Links { next: Some(other), prev: Some(other) }) };
    }
    heap.bins.heads[class] = None;
    heap.bins.occupied.clear(class);
    assert_reported(&heap, Rule::Binned, 2, 0);
}

#[test]
fn a_breaks_region_that_is_none_of_the_regions_is_found() {
    let mut heap = heap();
    let region = heap.extent.as_ref().unwrap().region();
    // SAFETY: all of it is this heap's.
    unsafe { region.record() };
    let first = heap.top.unwrap();
    heap.extent = Some(Extent::new(Region { first, ..region }));
    assert_reported(&heap, Rule::BreakRegion, region.fence.addr(), 0);
}
