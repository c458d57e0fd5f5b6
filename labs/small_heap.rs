//! A heap of one page for the tests of labs 1 to 4. Sizes are in units of 16 bytes.
//!
//! ```text
//!   ┌──────┬────────┬─────────┬────────┬─────────┬───────────────────────┐
//!   │ unit │ header │ payload │ header │ payload │ free                  │    one page: 256 units
//!   └──────┴────────┴─────────┴────────┴─────────┴───────────────────────┘
//!    unused  cell of `units + 1`
//! ```

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{RawHeap, SimpleHeap};

use crate::common::prelude::*;
use crate::common::test_break::TestBreak;

/// Size of a header, and the unit of sizes, in bytes.
pub const UNIT: usize = 2 * size_of::<usize>();

/// Size of a page, in units.
pub const PAGE: usize = 4096 / UNIT;

/// Heap under test.
pub type Simple = SimpleHeap<TestBreak>;

/// Returns a heap whose break has `pages` pages and takes none back.
pub fn heap(pages: usize) -> Simple {
    let mut brk = TestBreak::new(pages * 4096, 0);
    brk.refuse_shrink = true;
    SimpleHeap::new(brk)
}

/// Returns the layout of a block of `units` units.
pub fn layout(units: usize) -> Layout {
    Layout::from_size_align(units * UNIT, 1).unwrap()
}

/// Allocates a block.
pub fn malloc(heap: &mut Simple, units: usize) -> NonNull<u8> {
    try_malloc(heap, units).unwrap_or_else(|| panic!("no memory for {units} units"))
}

/// Allocates a block, if there is memory.
pub fn try_malloc(heap: &mut Simple, units: usize) -> Option<NonNull<u8>> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout(units)) }
}

/// Frees a block.
pub fn free(heap: &mut Simple, block: NonNull<u8>, units: usize) {
    // SAFETY: the cases free what they allocated, once.
    unsafe { heap.deallocate(block, layout(units)) };
}

/// Resizes a block.
pub fn realloc(heap: &mut Simple, block: NonNull<u8>, old: usize, new: usize) -> NonNull<u8> {
    // SAFETY: the cases resize live blocks, with their sizes.
    let block = unsafe { RawHeap::reallocate(heap, block, layout(old), new * UNIT) };
    block.unwrap_or_else(|| panic!("no memory for {new} units"))
}

/// Allocates blocks of these sizes, each with a block of one unit behind it, which stays: a freed
/// one has no free neighbour. The rest of the heap is free.
pub fn apart<const N: usize>(heap: &mut Simple, units: [usize; N]) -> [NonNull<u8>; N] {
    units.map(|units| {
        let block = malloc(heap, units);
        malloc(heap, 1);
        block
    })
}

/// Sizes of the free cells in units, in the order of the list.
pub fn sizes(heap: &Simple) -> Vec<usize> {
    heap.free_cells().map(|(_, size)| size / UNIT).collect()
}

/// Writes to all bytes of a block.
pub fn fill(block: NonNull<u8>, units: usize, byte: u8) {
    // SAFETY: the block is live and that long.
    unsafe { block.write_bytes(byte, units * UNIT) };
}

/// Asserts that all bytes of a block are `byte`.
pub fn assert_filled(block: NonNull<u8>, units: usize, byte: u8) {
    // SAFETY: the block is live, that long, and was filled.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), units * UNIT) };
    let wrong = bytes.iter().position(|&found| found != byte);
    assert_eq!(wrong, None, "the first byte that was not kept");
}
