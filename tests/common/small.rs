//! Heaps with small blocks, and what their cases do again and again.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellInfo, CellState, Heap};

use super::prelude::*;
use super::test_break::TestBreak;

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

pub fn heap_of(len: usize) -> Heap<TestBreak> {
    Heap::new(TestBreak::new(len, 0))
}

/// A heap that keeps no freed block from its run.
pub fn uncached(len: usize) -> Heap<TestBreak> {
    let mut heap = heap_of(len);
    heap.set_cache_limit(0);
    heap
}

pub fn try_allocate(heap: &mut Heap<TestBreak>, layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }
}

pub fn allocate(heap: &mut Heap<TestBreak>, layout: Layout) -> NonNull<u8> {
    try_allocate(heap, layout).expect("there is enough")
}

pub fn free(heap: &mut Heap<TestBreak>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout) };
}

pub fn free_all(
    heap: &mut Heap<TestBreak>,
    blocks: impl IntoIterator<Item = NonNull<u8>>,
    layout: Layout,
) {
    blocks.into_iter().for_each(|block| free(heap, block, layout));
    heap.check().unwrap();
}

/// As many blocks as there is memory for.
pub fn fill(heap: &mut Heap<TestBreak>, layout: Layout) -> Vec<NonNull<u8>> {
    core::iter::from_fn(|| try_allocate(heap, layout)).collect()
}

/// Sizes of the classes.
pub fn classes() -> Vec<usize> {
    Heap::new(TestBreak::new(1, 0)).small_requests().map(|(size, _)| size).collect()
}

pub fn runs(heap: &Heap<TestBreak>) -> Vec<CellInfo> {
    heap.cells().filter(|cell| matches!(cell.state, CellState::Run { .. })).collect()
}

pub fn is_in(block: NonNull<u8>, cell: &CellInfo) -> bool {
    (cell.address..cell.address + cell.size).contains(&block.addr().get())
}

/// Blocks until so many runs have begun.
pub fn blocks_until(heap: &mut Heap<TestBreak>, layout: Layout, wanted: usize) -> Vec<NonNull<u8>> {
    let mut blocks = Vec::new();
    while heap.stats().runs < wanted {
        blocks.push(allocate(heap, layout));
        assert!(blocks.len() < 10_000, "many blocks of {layout:?} earn no run");
    }
    heap.check().unwrap();
    blocks
}

pub fn assert_filled(block: NonNull<u8>, len: usize, byte: u8) {
    // SAFETY: callers name blocks that are live and that long.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), len) };
    assert_eq!(bytes.iter().position(|found| *found != byte), None, "of {len} bytes at {block:?}");
}

pub fn count(heap: &Heap<TestBreak>, state: CellState) -> usize {
    heap.cells().filter(|cell| cell.state == state).count()
}
