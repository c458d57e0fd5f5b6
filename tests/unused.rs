//! Unused memory: where it lies, and that a provider can lose its contents.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellState, Heap, NoMap};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;

const LEN: usize = 4 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

type CellHeap<P> = Heap<TestBreak, NoMap, P>;

fn allocate<P: Variant>(heap: &mut CellHeap<P>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout(size)) }.expect("there is enough")
}

/// A heap of blocks of these sizes, of which every second one was freed.
fn with_holes<P: Variant>(sizes: &[usize]) -> (CellHeap<P>, Oracle) {
    let mut heap = Heap::with_profile(TestBreak::new(LEN, 0), NoMap);
    let mut oracle = Oracle::default();
    let mut freed = Vec::new();
    for &size in sizes {
        freed.push((allocate(&mut heap, size), size));
        let kept = allocate(&mut heap, 100);
        oracle.add(kept, layout(100));
    }
    for (block, size) in freed {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout(size)) };
    }
    (heap, oracle)
}

fn unused<P: Variant>(heap: &CellHeap<P>, granule: usize, least: usize) -> Vec<NonNull<[u8]>> {
    let mut pieces = Vec::new();
    heap.unused_memory(granule, least, |piece| pieces.push(piece));
    pieces
}

#[case(Plain, Small, Checked<Plain>)]
fn unused_memory_lies_in_free_cells_and_can_be_forgotten<P: Variant>() {
    for granule in [64, 1024, 4096] {
        let (mut heap, oracle) = with_holes::<P>(&(1..60).map(|n| n * n * 11).collect::<Vec<_>>());
        let pieces = unused(&heap, granule, granule);
        assert!(pieces.len() >= 20, "{} pieces", pieces.len());
        for piece in &pieces {
            let (start, len) = (piece.cast::<u8>().addr().get(), piece.len());
            assert!(start % granule == 0 && len % granule == 0 && len >= granule);
            let holds = |cell: &brkalloc::CellInfo| {
                cell.address < start && start + len < cell.address + cell.size
            };
            assert!(
                heap.cells().any(|cell| cell.state == CellState::Free && holds(&cell)),
                "{piece:?}"
            );
            // SAFETY: the heap has reported the memory as unused.
            unsafe { piece.cast::<u8>().write_bytes(0, len) };
        }
        heap.check().unwrap();
        oracle.assert_all_filled();
        // It is used again as if nothing had happened.
        for n in (1..60).rev() {
            allocate(&mut heap, n * n * 11);
        }
        heap.check().unwrap();
        oracle.assert_all_filled();
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn short_free_cells_are_left_out<P: Variant>() {
    let (heap, _) = with_holes::<P>(&[3_000, 9_000, 20_000, 50_000]);
    assert_eq!(unused(&heap, 1024, 16 << 10).len(), 2);
    assert_eq!(unused(&heap, 1024, 60 << 10).len(), 0);
    assert_eq!(unused(&heap, 1024, 0), unused(&heap, 1024, 1024), "a whole granule at least");
}

#[case(Plain, Small, Checked<Plain>)]
fn the_top_is_left_out<P: Variant>() {
    let (heap, _) = with_holes::<P>(&[]);
    assert_eq!(unused(&heap, 64, 64).len(), 0);
    let mut heap: CellHeap<P> = Heap::with_profile(TestBreak::new(LEN, 0), NoMap);
    heap.reserve(100_000).unwrap();
    assert_eq!(unused(&heap, 64, 64).len(), 0);
}
