//! Regions for a heap under test: some of the memory that its provider calls somebody else's, or
//! all that there is.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break, CellState, FixedBreak, Heap, NoMap, Trim};

use super::platform::Memory;
use super::prelude::*;
use super::profile::{Variant, WORD};
use super::test_break::{Part, TestBreak};

pub const PAGE: usize = 4096;

/// What begins and ends a region of aligned ends.
pub const ENDS: usize = 2 * WORD;

/// The number of the memory below what the break moves in, among somebody else's. (While others got
/// nothing from the break, 1 is above.)
pub const BELOW: usize = 0;

pub fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

pub type RegionHeap<P> = Heap<TestBreak, NoMap, P>;

pub fn heap<P: Variant>() -> RegionHeap<P> {
    let mut heap = Heap::with_profile(TestBreak::new(16 * PAGE, 0), NoMap);
    // Nothing goes back unless a case says so.
    heap.set_trim(Trim::NEVER);
    heap
}

/// A heap that has nothing but what is added.
pub fn bare<P: Variant>() -> Heap<FixedBreak, NoMap, P> {
    // SAFETY: no bytes at all.
    let brk = unsafe { FixedBreak::from_raw(NonNull::dangling().as_ptr(), 0) };
    Heap::with_profile(brk, NoMap)
}

/// Memory for it.
pub fn arena(len: usize) -> Memory {
    let mut arena = Memory::new(len, 0);
    arena.grant(0..len, false).expect("memory for the test");
    arena
}

pub fn allocate<P: Variant>(heap: &mut RegionHeap<P>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout(size)) }.expect("there is room");
    heap.check().unwrap();
    block
}

pub fn free<P: Variant>(heap: &mut RegionHeap<P>, block: NonNull<u8>, size: usize) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout(size)) };
    heap.check().unwrap();
}

/// Hands over some of somebody else's memory.
pub fn add<P: Variant>(heap: &mut RegionHeap<P>, place: usize, part: Part, len: usize) -> usize {
    let (base, len) = heap.provider_mut().hand_over(place, part, len).unwrap();
    // SAFETY: it is nobody else's from now on, and all of the provider's buffer is one piece of
    // memory.
    let gained = unsafe { heap.add_region(base, len) }.unwrap();
    heap.check().unwrap();
    gained
}

pub fn states<B: Break, P: Variant>(heap: &Heap<B, NoMap, P>) -> Vec<CellState> {
    heap.cells().map(|cell| cell.state).collect()
}

pub fn top<P: Variant>(heap: &RegionHeap<P>) -> usize {
    heap.cells().find(|cell| cell.state == CellState::Top).map_or(0, |top| top.size)
}
