//! The documents' claims on the documents' own allocator: what `SimpleHeap` does, cell by cell.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break, RawHeap, SimpleHeap};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::test_break::TestBreak;

/// A header, and the unit of sizes.
const UNIT: usize = 2 * size_of::<usize>();

fn layout(units: usize) -> Layout {
    Layout::from_size_align(units * UNIT, 1).unwrap()
}

/// A heap that was given one page, less the unit that every region begins with.
fn heap() -> SimpleHeap<TestBreak> {
    let mut heap = SimpleHeap::new(TestBreak::new(1 << 20, 0));
    heap.provider_mut().refuse_shrink = true;
    let block = malloc(&mut heap, 1);
    free(&mut heap, block, 1);
    heap.provider_mut().refuse_shrink = false;
    assert_eq!(sizes(&heap), [PAGE - 1]);
    heap
}

/// A page, in units.
const PAGE: usize = 4096 / UNIT;

fn malloc(heap: &mut SimpleHeap<TestBreak>, units: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout(units)) }.expect("1 MiB is enough")
}

fn free(heap: &mut SimpleHeap<TestBreak>, block: NonNull<u8>, units: usize) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout(units)) };
}

/// Sizes of the free cells, in units.
fn sizes(heap: &SimpleHeap<TestBreak>) -> Vec<usize> {
    heap.free_cells().map(|(_, size)| size / UNIT).collect()
}

#[case]
fn c3_malloc_cuts_from_the_first_cell_that_fits() {
    let mut heap = heap();
    let (first, second) = (malloc(&mut heap, 1), malloc(&mut heap, 3));
    assert_eq!(second.addr().get() - first.addr().get(), 2 * UNIT);
    assert_eq!(sizes(&heap), [PAGE - 1 - 2 - 4]);
}

#[case]
fn c4_freed_memory_is_searched_before_the_break_is_asked() {
    let mut heap = heap();
    let (block, _wall) = (malloc(&mut heap, 100), malloc(&mut heap, 1));
    free(&mut heap, block, 100);
    let asked = heap.provider().asked;
    assert_eq!(malloc(&mut heap, 50), block);
    assert_eq!(heap.provider().asked, asked);
    let _ = malloc(&mut heap, PAGE);
    assert_eq!(heap.provider().asked, asked + 1);
}

#[case]
fn c5_c6_free_cells_lie_in_order_and_merge() {
    let mut heap = heap();
    let blocks: Vec<_> = (0..5).map(|_| malloc(&mut heap, 1)).collect();
    let rest = PAGE - 1 - 10;
    heap.provider_mut().refuse_shrink = true;
    free(&mut heap, blocks[3], 1);
    assert_eq!(sizes(&heap), [2, rest]);
    free(&mut heap, blocks[1], 1);
    assert_eq!(sizes(&heap), [2, 2, rest]);
    free(&mut heap, blocks[2], 1);
    assert_eq!(sizes(&heap), [6, rest]);
    free(&mut heap, blocks[4], 1);
    assert_eq!(sizes(&heap), [8 + rest]);
}

#[case]
fn c7_realloc_stays_if_it_can() {
    let mut heap = heap();
    let block = malloc(&mut heap, 10);
    // SAFETY: the block is live, and that long.
    unsafe { block.write_bytes(0x5A, 10 * UNIT) };
    // SAFETY: the block is live.
    assert_eq!(unsafe { heap.reallocate(block, layout(10), 5 * UNIT) }, Some(block));
    // SAFETY: the block is live.
    assert_eq!(unsafe { heap.reallocate(block, layout(5), 10 * UNIT) }, Some(block));
    // SAFETY: the block is live.
    let moved = unsafe { heap.reallocate(block, layout(10), 11 * UNIT) }.unwrap();
    assert_ne!(moved, block);
    // SAFETY: the block is that long.
    assert!(
        // SAFETY: the block is that long.
        unsafe { core::slice::from_raw_parts(moved.as_ptr(), 10 * UNIT) }
            .iter()
            .all(|&byte| byte == 0x5A)
    );
    assert_eq!(malloc(&mut heap, 10), block, "the old block was freed");
}

#[case]
fn c8_freeing_the_last_cell_moves_the_break_down() {
    let mut heap = heap();
    let small = malloc(&mut heap, 1);
    let large = malloc(&mut heap, 3 * PAGE);
    let end = heap.provider().end();
    free(&mut heap, large, 3 * PAGE);
    assert_eq!(
        heap.provider().end().addr(),
        small.addr().get() + UNIT,
        "the break is where the last used cell ends"
    );
    assert!(heap.provider().end() < end);
    assert_eq!(sizes(&heap), []);

    heap.provider_mut().refuse_shrink = true;
    let large = malloc(&mut heap, PAGE);
    free(&mut heap, large, PAGE);
    assert_eq!(
        malloc(&mut heap, PAGE),
        large,
        "what the provider does not take back is used again"
    );
}

#[case]
fn grants_that_touch_become_one_cell() {
    let mut heap = heap();
    let large = malloc(&mut heap, 3 * PAGE);
    heap.provider_mut().refuse_shrink = true;
    free(&mut heap, large, 3 * PAGE);
    assert_eq!(sizes(&heap), [heap.provider().granted() / UNIT - 1]);
}

#[case]
fn c14_foreign_code_may_move_the_break_up_and_down() {
    let mut heap = heap();
    let below = malloc(&mut heap, 10);
    heap.provider_mut().foreign_up(1000);
    let above = malloc(&mut heap, PAGE);
    assert!(above.addr().get() >= below.addr().get() + 1000);
    free(&mut heap, above, PAGE);
    heap.provider_mut().assert_foreign_untouched();
    heap.provider_mut().foreign_down(4096);
    // SAFETY: the heap outlives the case.
    assert_eq!(
        // SAFETY: the heap outlives the case.
        unsafe { heap.allocate(layout(10 * PAGE)) },
        None,
        "the grant would lie over what we hold"
    );
}
