//! Free memory that a provider may forget: where it is, and that nobody misses what was in it.

#[cfg(test)]
mod common;

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellState, Heap};

use crate::common::cases;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::test_break::TestBreak;

cases!(
    what_is_unused_lies_in_free_cells_and_may_be_forgotten,
    what_is_too_short_is_not_worth_it,
    the_top_is_left_out,
);

const LEN: usize = 4 << 20;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 16).unwrap()
}

fn allocate(heap: &mut Heap<TestBreak>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout(size)) }.expect("there is enough")
}

/// A heap of blocks of these sizes, of which every second one was freed.
fn with_holes(sizes: impl IntoIterator<Item = usize>) -> (Heap<TestBreak>, Oracle) {
    let (mut heap, mut oracle) = (Heap::plain(TestBreak::new(LEN, 0)), Oracle::default());
    let mut freed = Vec::new();
    for size in sizes {
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

fn unused(heap: &Heap<TestBreak>, granule: usize, least: usize) -> Vec<NonNull<[u8]>> {
    let mut pieces = Vec::new();
    heap.unused_memory(granule, least, |piece| pieces.push(piece));
    pieces
}

fn what_is_unused_lies_in_free_cells_and_may_be_forgotten() {
    for granule in [64, 1024, 4096] {
        let (mut heap, oracle) = with_holes((1..60).map(|n| n * n * 11));
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
            // SAFETY: the heap says that nobody needs what is there.
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

fn what_is_too_short_is_not_worth_it() {
    let (heap, _) = with_holes([3_000, 9_000, 20_000, 50_000]);
    assert_eq!(unused(&heap, 1024, 16 << 10).len(), 2);
    assert_eq!(unused(&heap, 1024, 60 << 10).len(), 0);
    assert_eq!(unused(&heap, 1024, 0), unused(&heap, 1024, 1024), "a whole granule at least");
}

fn the_top_is_left_out() {
    let (heap, _) = with_holes([]);
    assert_eq!(unused(&heap, 64, 64).len(), 0);
    let mut heap = Heap::plain(TestBreak::new(LEN, 0));
    heap.reserve(100_000).unwrap();
    assert_eq!(unused(&heap, 64, 64).len(), 0);
}
