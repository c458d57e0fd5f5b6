//! How far the break moves: as far as needed, in the provider's steps, and not one call more.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break, CellState, Heap, NoMap, Trim};

use crate::common::case;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::test_break::TestBreak;

type CellHeap<P> = Heap<TestBreak, NoMap, P>;

fn heap_over<P: Variant>(brk: TestBreak) -> CellHeap<P> {
    Heap::with_profile(brk, NoMap)
}

/// Returns a heap whose provider has steps of this many bytes.
fn heap<P: Variant>(granule: usize) -> CellHeap<P> {
    let mut brk = TestBreak::new(1 << 20, 0);
    brk.granule = granule;
    heap_over(brk)
}

fn allocate<P: Variant>(heap: &mut CellHeap<P>, size: usize) -> Option<NonNull<u8>> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(Layout::from_size_align(size, 1).unwrap()) }
}

fn free<P: Variant>(heap: &mut CellHeap<P>, block: NonNull<u8>, size: usize) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, Layout::from_size_align(size, 1).unwrap()) };
    heap.check().unwrap();
}

fn top<P: Variant>(heap: &CellHeap<P>) -> usize {
    heap.cells().find(|cell| cell.state == CellState::Top).map_or(0, |top| top.size)
}

#[case(Plain, Small, Checked<Plain>)]
fn the_break_moves_by_the_missing_bytes_only<P: Variant>() {
    let mut heap = heap::<P>(1);
    assert!(allocate(&mut heap, P::asking_for(100 * UNIT - WORD)).is_some());
    assert_eq!(
        (heap.stats().granted_bytes, top(&heap)),
        (UNIT + 100 * UNIT, 0),
        "alignment, a cell, a fencepost"
    );
    heap.reserve(P::asking_for(50 * UNIT - WORD)).unwrap();
    assert_eq!(top(&heap), 50 * UNIT);
    assert!(allocate(&mut heap, P::asking_for(80 * UNIT - WORD)).is_some());
    assert_eq!(
        (heap.stats().granted_bytes, top(&heap)),
        (UNIT + 180 * UNIT, 0),
        "30 units were lacking"
    );
    assert_eq!(heap.provider().asked, 3);
}

#[case(Plain, Small, Checked<Plain>)]
fn the_break_stops_at_multiples_of_the_granule<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 100));
    for _ in 0..10 {
        assert!(allocate(&mut heap, 3_000).is_some());
        assert_eq!(heap.provider().end().addr() % 4096, 0);
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_refusal_is_asked_for_once_more_only_if_less_will_do<P: Variant>() {
    for (granule, asked) in [(1, 1), (4096, 2)] {
        let mut heap = heap::<P>(granule);
        heap.provider_mut().refuse_grow = true;
        assert_eq!(allocate(&mut heap, 100 * UNIT - WORD), None);
        assert_eq!(heap.provider().asked, asked, "with steps of {granule}");
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn impossible_sizes_do_not_reach_the_provider<P: Variant>() {
    let mut heap = heap::<P>(4096);
    assert_eq!(allocate(&mut heap, isize::MAX as usize), None);
    assert!(heap.reserve(isize::MAX as usize).is_err());
    assert!(heap.reserve(usize::MAX).is_err());
    assert_eq!(heap.provider().asked, 0);
}

#[case(Plain, Small, Checked<Plain>)]
fn existing_memory_is_not_reserved_again<P: Variant>() {
    let mut heap = heap::<P>(1);
    heap.reserve(1_000).unwrap();
    heap.reserve(1_000).unwrap();
    let (block, _wall) = (allocate(&mut heap, 900).unwrap(), allocate(&mut heap, 10));
    heap.reserve(2_000).unwrap();
    free(&mut heap, block, 900);
    heap.provider_mut().foreign_up(100);
    let asked = heap.provider().asked;
    heap.reserve(2_000).unwrap();
    heap.reserve(900).unwrap();
    assert_eq!(heap.provider().asked, asked, "the top holds the one, a bin the other");
}

#[case(Plain, Small, Checked<Plain>)]
fn unless_told_otherwise_a_top_of_128_kib_goes_back_to_64<P: Variant>() {
    let mut heap = heap::<P>(4096);
    let (_first, small) = (allocate(&mut heap, 10), allocate(&mut heap, 100 << 10).unwrap());
    let end = heap.provider().end();
    free(&mut heap, small, 100 << 10);
    assert_eq!(heap.provider().end(), end, "100 KiB stay");

    let large = allocate(&mut heap, 128 << 10).unwrap();
    free(&mut heap, large, 128 << 10);
    assert!((64 << 10..(64 << 10) + 4096).contains(&top(&heap)), "{} bytes were kept", top(&heap));
}

#[case(Plain, Small, Checked<Plain>)]
fn a_large_heap_keeps_more_at_its_edge_unless_told_otherwise<P: Variant>() {
    let mut brk = TestBreak::new(8 << 20, 0);
    brk.granule = 4096;
    let mut heap = heap_over::<P>(brk);
    let _below = allocate(&mut heap, 4 << 20);
    let moves_for = |heap: &mut CellHeap<P>, size| {
        let block = allocate(heap, size).unwrap();
        let end = heap.provider().end();
        free(heap, block, size);
        heap.provider().end() != end
    };
    if !P::COARSE {
        assert!(!moves_for(&mut heap, 200 << 10), "1/16 of what lies below may be free");
        assert!(moves_for(&mut heap, 300 << 10));
        assert!(
            (128 << 10..(128 << 10) + 8192).contains(&top(&heap)),
            "{} bytes were kept",
            top(&heap)
        );
    }
    heap.set_trim(Trim::new(100 << 10, 0));
    assert!(moves_for(&mut heap, 100 << 10) && top(&heap) < 4096, "{} bytes were kept", top(&heap));
}

#[case(Plain, Small, Checked<Plain>)]
fn a_free_keeps_the_set_bytes_even_in_an_empty_heap<P: Variant>() {
    let mut heap = heap::<P>(4096);
    let block = allocate(&mut heap, 300_000).unwrap();
    free(&mut heap, block, 300_000);
    assert!((64 << 10..(64 << 10) + 4096).contains(&top(&heap)), "{} bytes were kept", top(&heap));
}

#[case(Plain, Small, Checked<Plain>)]
fn shrinking_a_block_gives_memory_back_as_a_free_does<P: Variant>() {
    let mut heap = heap::<P>(4096);
    heap.set_trim(Trim::new(32 << 10, 0));
    let block = allocate(&mut heap, 200 << 10).unwrap();
    // SAFETY: the block is live.
    let shrunk =
        unsafe { heap.reallocate(block, Layout::from_size_align(200 << 10, 1).unwrap(), 100) };
    assert_eq!(shrunk, Some(block));
    assert_eq!(heap.stats().granted_bytes, 4096);
}

#[case(Plain, Small, Checked<Plain>)]
fn trim_keeps_the_requested_bytes<P: Variant>() {
    for granule in [1, 4096] {
        for keep in [0, 1, UNIT, UNIT + 1, 100, 4_000, 5_000, 50_000, 99_000] {
            let mut heap = heap::<P>(granule);
            let _first = allocate(&mut heap, 10);
            heap.reserve(100_000).unwrap();
            heap.trim(keep);
            heap.check().unwrap();
            assert!(
                (keep..keep + granule + 2 * UNIT).contains(&top(&heap)),
                "{} for {keep}",
                top(&heap)
            );
            assert_eq!(heap.trim(keep), 0, "the second time there is nothing to do");
            assert_eq!(heap.trim(usize::MAX), 0);
        }
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_top_too_short_for_a_cell_is_no_top<P: Variant>() {
    // The break comes down so far that one unit is left above the last used cell.
    for units in 1..6 {
        let mut heap = heap::<P>(1);
        let _first = allocate(&mut heap, 10 * UNIT - WORD);
        heap.provider_mut().granule = 4 * UNIT;
        let block = allocate(&mut heap, units * UNIT).unwrap();
        free(&mut heap, block, units * UNIT);
        heap.trim(0);
        heap.check().unwrap();
        assert!(top(&heap) == 0 || top(&heap) >= 2 * UNIT);
        assert!(allocate(&mut heap, 100).is_some());
        heap.check().unwrap();
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_top_of_exactly_the_threshold_goes_back<P: Variant>() {
    let cell = 100 * UNIT;
    for missing in [0, 1] {
        let mut heap = heap::<P>(1);
        let _first = allocate(&mut heap, 10);
        let block = allocate(&mut heap, P::asking_for(cell - WORD)).unwrap();
        assert_eq!(top(&heap), 0);
        heap.set_trim(Trim::new(cell + missing, 0));
        free(&mut heap, block, P::asking_for(cell - WORD));
        assert_eq!(top(&heap), cell * missing);
    }
}
