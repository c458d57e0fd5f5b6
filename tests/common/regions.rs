//! Regions for a heap under test: some of the memory that its provider calls somebody else's, or
//! all that there is.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break, CellState, FixedBreak, Heap, Trim};

use super::lengths::WORD;
use super::platform::Memory;
use super::prelude::*;
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

pub fn heap() -> Heap<TestBreak> {
    let mut heap = Heap::plain(TestBreak::new(16 * PAGE, 0));
    // Nothing goes back unless a case says so.
    heap.set_trim(Trim { threshold: usize::MAX, keep: 0 });
    heap
}

/// A heap that has nothing but what is added.
pub fn bare() -> Heap<FixedBreak> {
    // SAFETY: no bytes at all.
    Heap::plain(unsafe { FixedBreak::from_raw(NonNull::dangling().as_ptr(), 0) })
}

/// Memory for it.
pub fn arena(len: usize) -> Memory {
    let mut arena = Memory::new(len, 0);
    arena.grant(0..len, false).expect("memory for the test");
    arena
}

pub fn allocate(heap: &mut Heap<TestBreak>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout(size)) }.expect("there is room");
    heap.check().unwrap();
    block
}

pub fn free(heap: &mut Heap<TestBreak>, block: NonNull<u8>, size: usize) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout(size)) };
    heap.check().unwrap();
}

/// Hands over some of somebody else's memory.
#[cfg(not(feature = "tiny"))]
pub fn add(heap: &mut Heap<TestBreak>, place: usize, part: Part, len: usize) -> usize {
    let (base, len) = heap.provider_mut().hand_over(place, part, len).unwrap();
    // SAFETY: it is nobody else's from now on, and all of the provider's buffer is one piece of
    // memory.
    let gained = unsafe { heap.add_region(base, len) }.unwrap();
    heap.check().unwrap();
    gained
}

pub fn states<B: Break>(heap: &Heap<B>) -> Vec<CellState> {
    heap.cells().map(|cell| cell.state).collect()
}

pub fn top(heap: &Heap<TestBreak>) -> usize {
    heap.cells().find(|cell| cell.state == CellState::Top).map_or(0, |top| top.size)
}
