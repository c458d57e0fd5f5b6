//! Blocks that are freed and resized by their address alone, as C does it.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{BreakError, CellState, Heap};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;
use crate::common::test_map::TestMap;

const LEN: usize = 8 << 20;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

type MappingHeap<P> = Heap<TestBreak, TestMap, P>;

fn heap<P: Variant>() -> MappingHeap<P> {
    Heap::with_profile(TestBreak::new(LEN, 0), TestMap::default())
}

fn allocate<P: Variant>(heap: &mut MappingHeap<P>, layout: Layout) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }.expect("there is enough")
}

fn free<P: Variant>(heap: &mut MappingHeap<P>, block: NonNull<u8>) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate_by_ptr(block) };
}

fn resize<P: Variant>(
    heap: &mut MappingHeap<P>,
    block: NonNull<u8>,
    new: Layout,
) -> Option<NonNull<u8>> {
    // SAFETY: the cases resize what is live.
    unsafe { heap.reallocate_by_ptr(block, new) }
}

/// Of slabs, cells of small blocks, larger cells, aligned ones, mappings: each size many times.
#[case(Usual, Plain, Small, Checked<Usual>)]
fn every_kind_of_block_goes_back_to_where_it_came_from<P: Variant>() {
    let mut heap = heap::<P>();
    let mut oracle = Oracle::default();
    for size in (0..1200).step_by(7).chain([5_000, 40_000, 200_000]) {
        for align in [1, 8, 16, 64, 4096] {
            for _ in 0..3 {
                let block = allocate(&mut heap, layout(size, align));
                oracle.add(block, layout(size, align));
            }
        }
    }
    heap.check().unwrap();
    oracle.assert_all_filled();
    while let Some(block) = oracle.pick(heap.stats().live_cells / 3) {
        oracle.remove(&block);
        free(&mut heap, block.at);
    }
    heap.check().unwrap();
    assert_eq!(
        (heap.stats().mapped_blocks, heap.stats().live_cells, heap.map_provider().count()),
        (0, 0, 0)
    );
    heap.flush();
    heap.check().unwrap();
    let states: Vec<_> = heap.cells().map(|cell| cell.state).collect();
    assert_eq!(states, [CellState::Top]);
}

/// What C asks for is aligned as any cell is.
#[case(Usual, Plain, Small, Checked<Usual>)]
fn a_freed_block_is_the_next_of_its_size<P: Variant>() {
    let mut heap = heap::<P>();
    for size in [1, 16, 24, 40, 100, 513, 700, 900] {
        let layout = layout(size, 2 * size_of::<usize>());
        let block = allocate(&mut heap, layout);
        free(&mut heap, block);
        assert_eq!(allocate(&mut heap, layout), block, "{size} bytes");
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn all_that_a_block_could_hold_is_kept<P: Variant>() {
    let mut heap = heap::<P>();
    for size in [0, 1, 20, 24, 100, 900, 1025, 3_000, 200_000] {
        // Some are cells, and then, when there are enough of them, blocks of runs. Of large ones a
        // kernel has not that many.
        for _ in 0..if size > 1024 { 4 } else { 40 } {
            let block = allocate(&mut heap, layout(size, 8));
            // SAFETY: a live block.
            let len = unsafe { heap.usable_size(block) };
            assert!(len >= size);
            // SAFETY: so much may be used.
            unsafe { block.write_bytes(0xA7, len) };
            let moved = resize(&mut heap, block, layout(2 * len + 1, 8)).expect("there is enough");
            // SAFETY: a live block, and longer.
            let bytes = unsafe { core::slice::from_raw_parts(moved.as_ptr(), len) };
            assert_eq!(bytes.iter().position(|byte| *byte != 0xA7), None, "{size} bytes");
            heap.check().unwrap();
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_block_moves_to_be_more_aligned<P: Variant>() {
    let mut heap = heap::<P>();
    let mut oracle = Oracle::default();
    for size in [24, 700, 5_000, 200_000] {
        for shift in 3..14 {
            let block = allocate(&mut heap, layout(size, 8));
            let block = oracle.add(block, layout(size, 8));
            let new = layout(size, 1 << shift);
            let moved = resize(&mut heap, block.at, new).expect("there is enough");
            oracle.moved(&block, moved, new);
            heap.check().unwrap();
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn to_become_smaller_needs_no_memory<P: Variant>() {
    let mut heap = heap::<P>();
    let sizes = [24, 100, 700, 1024, 1500, 20_000, 300_000];
    let blocks: Vec<_> =
        sizes.iter().map(|&size| (size, allocate(&mut heap, layout(size, 16)))).collect();
    heap.provider_mut().refuse_grow = true;
    heap.map_provider_mut().refuse = true;
    // SAFETY: the heap outlives the case.
    while unsafe { heap.allocate(layout(8, 8)) }.is_some() {}
    for (size, mut block) in blocks {
        for new in [size - 1, size / 2, 1] {
            block = resize(&mut heap, block, layout(new, 16)).expect("it has less than before");
        }
    }
    heap.check().unwrap();
}

/// What stays where it is must be as long and as aligned as blocks of its new layout are: the next
/// of those may be it.
#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_resized_block_is_freed_with_its_new_size<P: Variant>() {
    for new in [layout(33, 32), layout(32, 8), layout(24, 16), layout(65, 64), layout(100, 128)] {
        for size in (new.size()..2 * new.size()).step_by(7) {
            let mut heap = heap::<P>();
            let blocks: Vec<_> = (0..400).map(|_| allocate(&mut heap, layout(size, 1))).collect();
            for block in blocks {
                let resized = resize(&mut heap, block, new).unwrap();
                assert!(resized.addr().get().is_multiple_of(new.align()));
                // SAFETY: it was resized to this layout just now.
                unsafe { heap.deallocate(resized, new) };
            }
            heap.check().unwrap();
            heap.flush();
            heap.check().unwrap();
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_heap_that_lost_memory_touches_nothing<P: Variant>() {
    let mut heap = heap::<P>();
    let blocks: Vec<_> =
        [24, 1500].into_iter().map(|size| allocate(&mut heap, layout(size, 16))).collect();
    let granted = heap.stats().granted_bytes;
    heap.provider_mut().foreign_down(granted);
    assert_eq!(heap.reserve(LEN / 2), Err(BreakError::MemoryTaken));
    heap.provider_mut().foreign_up(granted);
    for block in blocks {
        assert_eq!(resize(&mut heap, block, layout(3_000, 16)), None);
        free(&mut heap, block);
    }
    assert!(heap.check().is_err());
}
