//! Heaps with small blocks, and what their cases do again and again.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break as _, CellInfo, CellState, Heap, NoMap};

use super::prelude::*;
use super::profile::Variant;
use super::test_break::TestBreak;

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// A heap over a [`TestBreak`].
pub type SmallBlockHeap<P> = Heap<TestBreak, NoMap, P>;

pub fn heap_of<P: Variant>(len: usize) -> SmallBlockHeap<P> {
    Heap::with_profile(TestBreak::new(len, 0), NoMap)
}

/// The most that slabs may take whose class has few blocks: a part of the heap, or of what is
/// ahead of it.
pub fn loans<P: Variant>(heap: &SmallBlockHeap<P>) -> usize {
    let (granted, ahead) = (heap.stats().granted_bytes, heap.provider().remaining());
    (32 << 10).min(ahead / 64).max(granted / 128)
}

pub fn try_allocate<P: Variant>(
    heap: &mut SmallBlockHeap<P>,
    layout: Layout,
) -> Option<NonNull<u8>> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }
}

pub fn allocate<P: Variant>(heap: &mut SmallBlockHeap<P>, layout: Layout) -> NonNull<u8> {
    try_allocate(heap, layout).expect("there is enough")
}

pub fn free<P: Variant>(heap: &mut SmallBlockHeap<P>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout) };
}

pub fn free_all<P: Variant>(
    heap: &mut SmallBlockHeap<P>,
    blocks: impl IntoIterator<Item = NonNull<u8>>,
    layout: Layout,
) {
    blocks.into_iter().for_each(|block| free(heap, block, layout));
    heap.check().unwrap();
}

/// As many blocks as there is memory for.
pub fn fill<P: Variant>(heap: &mut SmallBlockHeap<P>, layout: Layout) -> Vec<NonNull<u8>> {
    core::iter::from_fn(|| try_allocate(heap, layout)).collect()
}

/// Sizes of the classes: the first `step` bytes apart up to 256, the others as `size_class.rs`
/// says.
pub fn classes() -> Vec<usize> {
    let ranges =
        [(0, 256, 8), (256, 512, 16), (512, 1024, 32), (1024, 2048, 128), (2048, 4096, 256)];
    let sizes = |(above, last, step)| (above + step..=last).step_by(step);
    ranges.into_iter().flat_map(sizes).collect()
}

/// The slabs of a heap, in the order of addresses.
pub fn slabs<P: Variant>(heap: &SmallBlockHeap<P>) -> Vec<CellInfo> {
    heap.cells().filter(|cell| matches!(cell.state, CellState::Slab { .. })).collect()
}

pub fn is_in(block: NonNull<u8>, cell: &CellInfo) -> bool {
    (cell.address..cell.address + cell.size).contains(&block.addr().get())
}

/// Blocks until so many slabs have begun.
pub fn blocks_until<P: Variant>(
    heap: &mut SmallBlockHeap<P>,
    layout: Layout,
    wanted: usize,
) -> Vec<NonNull<u8>> {
    let mut blocks = Vec::new();
    while heap.stats().slabs < wanted {
        blocks.push(allocate(heap, layout));
        assert!(blocks.len() < 10_000, "many blocks of {layout:?} earn no slab");
    }
    heap.check().unwrap();
    blocks
}

pub fn assert_filled(block: NonNull<u8>, len: usize, byte: u8) {
    // SAFETY: callers name blocks that are live and that long.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), len) };
    assert_eq!(bytes.iter().position(|found| *found != byte), None, "of {len} bytes at {block:?}");
}

pub fn count<P: Variant>(heap: &SmallBlockHeap<P>, state: CellState) -> usize {
    heap.cells().filter(|cell| cell.state == state).count()
}
