//! Large blocks on mappings of their own (C15).

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Heap, Locked, MapThreshold, Trim};
use proptest::prelude::*;

use crate::common::case;
use crate::common::driver::assert_nothing_fits;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::property::for_all;
use crate::common::test_break::TestBreak;
use crate::common::test_map::{PAGE, TestMap};

type MappingHeap<P> = Heap<TestBreak, TestMap, P>;

const LARGE: usize = 128 << 10;

fn heap<P: Variant>() -> MappingHeap<P> {
    Heap::with_profile(TestBreak::new(8 << 20, 0), TestMap::default())
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn allocate<P: Variant>(heap: &mut MappingHeap<P>, layout: Layout) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }.expect("there is enough")
}

fn free<P: Variant>(heap: &mut MappingHeap<P>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout) };
    heap.check().unwrap();
}

fn resize<P: Variant>(
    heap: &mut MappingHeap<P>,
    block: NonNull<u8>,
    old: Layout,
    size: usize,
) -> Option<NonNull<u8>> {
    // SAFETY: the block is live.
    unsafe { heap.reallocate(block, old, size) }
}

#[case(Plain, Small, Checked<Plain>)]
fn c15_a_large_block_is_mapped_and_goes_back_at_once<P: Variant>() {
    let mut heap = heap::<P>();
    let (small, large) = (layout(P::asking_for(LARGE) - 1, 8), layout(P::asking_for(LARGE), 8));
    let (inside, outside) = (allocate(&mut heap, small), allocate(&mut heap, large));
    assert_eq!(heap.map_provider().count(), 1);
    let stats = heap.stats();
    assert_eq!((stats.live_cells, stats.mapped_blocks), (1, 1));
    assert!((LARGE..LARGE + PAGE).contains(&stats.mapped_bytes));
    assert!(stats.peak_bytes >= 2 * LARGE - 1);
    // SAFETY: a live block.
    assert_eq!(unsafe { heap.usable_size(outside) }, P::usable(large.size(), stats.mapped_bytes));
    assert!(heap.owns(inside.as_ptr()) && !heap.owns(outside.as_ptr()));
    free(&mut heap, outside, large);
    assert_eq!(
        (heap.map_provider().count(), heap.stats().mapped_bytes, heap.stats().mapped_blocks),
        (0, 0, 0)
    );
    free(&mut heap, inside, small);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn the_lock_passes_on_what_is_about_giving_back<P: Variant>() {
    let heap = Locked::<_>::from_heap(heap::<P>());
    heap.set_trim(Trim::NEVER);
    heap.set_map_threshold(MapThreshold::fixed(2 * LARGE));
    let (inside, outside) = (layout(LARGE, 8), layout(2 * LARGE, 8));
    // SAFETY: the heap outlives the case.
    let blocks = unsafe { [heap.allocate(inside), heap.allocate(outside)] }
        .map(|block| block.expect("there is enough"));
    assert_eq!(heap.inspect(|heap| heap.map_provider().count()), 1);
    // SAFETY: live until now.
    unsafe { heap.deallocate(blocks[0], inside) };
    assert!(heap.stats().granted_bytes > LARGE, "the break stays");
    // SAFETY: live until now.
    unsafe { heap.deallocate(blocks[1], outside) };
    heap.set_trim(Trim::new(0, 0));
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(inside) }.expect("there is enough");
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, inside) };
    assert_eq!(heap.stats().granted_bytes, 0, "the break came down");
}

/// The documents' problem: a small live block above a large free one pins the break.
#[case(Plain, Small, Checked<Plain>)]
fn c15_a_small_block_pins_the_break_under_a_large_one_unless_that_is_mapped<P: Variant>() {
    let (large, small) = (layout(1 << 20, 8), layout(100, 8));
    let held_after_free = |bytes| {
        let mut heap = heap::<P>();
        heap.set_trim(Trim::new(4 * PAGE, 0));
        heap.set_map_threshold(MapThreshold::adaptive(bytes, 32 << 20));
        let block = allocate(&mut heap, large);
        let _pin = allocate(&mut heap, small);
        free(&mut heap, block, large);
        heap.stats().granted_bytes + heap.map_provider().bytes()
    };
    assert!(
        held_after_free(usize::MAX) > 1 << 20,
        "at the break, the large block stays until the small one goes"
    );
    assert_eq!(held_after_free(LARGE), PAGE, "mapped, it goes back at once");
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn every_alignment_up_to_a_page_is_mapped_and_larger_ones_are_not<P: Variant>() {
    let mut heap = heap::<P>();
    for shift in 0..=12 {
        let layout = layout(LARGE, 1 << shift);
        let block = allocate(&mut heap, layout);
        assert_eq!(block.addr().get() % layout.align(), 0);
        assert!(heap.map_provider().owns(block.addr().get()..block.addr().get() + LARGE));
        free(&mut heap, block, layout);
        heap.set_map_threshold(MapThreshold::DEFAULT);
    }
    let huge = layout(LARGE, 2 * PAGE);
    let block = allocate(&mut heap, huge);
    assert_eq!((block.addr().get() % (2 * PAGE), heap.map_provider().count()), (0, 0));
    free(&mut heap, block, huge);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn the_threshold_rises_with_freed_blocks<P: Variant>() {
    let mut heap = heap::<P>();
    let (first, larger, beyond) = (layout(LARGE, 8), layout(4 * LARGE, 8), layout(6 * LARGE, 8));
    heap.set_map_threshold(MapThreshold::adaptive(LARGE, 5 * LARGE));
    let block = allocate(&mut heap, larger);
    free(&mut heap, block, larger);
    let block = allocate(&mut heap, first);
    assert_eq!(
        heap.map_provider().count(),
        0,
        "smaller than one that was freed: it comes from the heap"
    );
    free(&mut heap, block, first);
    for _ in 0..2 {
        let block = allocate(&mut heap, beyond);
        assert_eq!(heap.map_provider().count(), 1, "above the limit the threshold does not rise");
        free(&mut heap, block, beyond);
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn without_a_mapping_the_block_comes_from_the_break<P: Variant>() {
    let mut heap = heap::<P>();
    heap.map_provider_mut().refuse = true;
    let large = layout(LARGE, 8);
    let block = allocate(&mut heap, large);
    assert_eq!((heap.stats().live_cells, heap.stats().mapped_blocks), (1, 0));
    heap.map_provider_mut().refuse = false;
    free(&mut heap, block, large);
    assert_eq!(heap.map_provider().unmaps, 0);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_mapped_block_is_remapped<P: Variant>() {
    let mut heap = heap::<P>();
    let block = allocate(&mut heap, layout(LARGE, 8));
    // SAFETY: the block is that long.
    unsafe { block.write_bytes(0x5A, LARGE) };
    let in_last_page = resize(&mut heap, block, layout(LARGE, 8), LARGE + 100).unwrap();
    assert_eq!(
        (in_last_page, heap.map_provider().remaps),
        (block, 0),
        "the mapping is long enough as it is"
    );
    let grown = resize(&mut heap, block, layout(LARGE + 100, 8), 3 * LARGE).unwrap();
    assert_eq!((heap.map_provider().remaps, heap.map_provider().count()), (1, 1));
    // SAFETY: the block is that long.
    assert!(
        // SAFETY: the block is that long.
        unsafe { core::slice::from_raw_parts(grown.as_ptr(), LARGE) }
            .iter()
            .all(|&byte| byte == 0x5A)
    );
    assert!((3 * LARGE..3 * LARGE + PAGE).contains(&heap.stats().mapped_bytes));

    // One that has become small moves into the heap; one that becomes large again moves out.
    let small = resize(&mut heap, grown, layout(3 * LARGE, 8), 1_000).unwrap();
    assert_eq!((heap.map_provider().count(), heap.stats().live_cells), (0, 1));
    heap.set_map_threshold(MapThreshold::DEFAULT);
    let large = resize(&mut heap, small, layout(1_000, 8), 2 * LARGE).unwrap();
    assert_eq!((heap.map_provider().count(), heap.stats().live_cells), (1, 0));
    // SAFETY: the block is that long.
    assert!(
        // SAFETY: the block is that long.
        unsafe { core::slice::from_raw_parts(large.as_ptr(), 1_000) }
            .iter()
            .all(|&byte| byte == 0x5A)
    );
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_mapped_block_that_is_more_aligned_by_luck_is_as_aligned_as_it_is_asked_to_be_later<
    P: Variant,
>() {
    let mut heap = heap::<P>();
    let mut lucky = 0;
    for _ in 0..4 {
        let block = allocate(&mut heap, layout(LARGE, PAGE));
        lucky += usize::from(block.addr().get().is_multiple_of(2 * PAGE));
        let asked = layout(2 * LARGE, 2 * PAGE);
        // SAFETY: live, and given up.
        let resized = unsafe { heap.reallocate_by_ptr(block, asked) }.expect("there is enough");
        assert!(resized.addr().get().is_multiple_of(2 * PAGE), "{resized:?} was {block:?}");
        free(&mut heap, resized, asked);
        // The next one begins at a page of the other kind.
        let other = allocate(&mut heap, layout(LARGE, PAGE));
        free(&mut heap, other, layout(LARGE, PAGE));
    }
    assert!(lucky > 0, "none was more aligned than asked for");
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_that_cannot_be_remapped_moves_or_stays_as_it_was<P: Variant>() {
    let mut heap = heap::<P>();
    let block = allocate(&mut heap, layout(LARGE, 8));
    heap.map_provider_mut().refuse = true;
    let moved = resize(&mut heap, block, layout(LARGE, 8), 2 * LARGE).unwrap();
    assert_eq!(
        (heap.stats().live_cells, heap.map_provider().count()),
        (1, 0),
        "it moved to the break"
    );
    heap.provider_mut().refuse_grow = true;
    assert_eq!(resize(&mut heap, moved, layout(2 * LARGE, 8), 4 * LARGE), None);
    assert_eq!(resize(&mut heap, moved, layout(2 * LARGE, 8), isize::MAX as usize), None);
    free(&mut heap, moved, layout(2 * LARGE, 8));
}

#[case(Plain, Small, Checked<Plain>)]
fn to_become_smaller_never_fails<P: Variant>() {
    let mut heap = heap::<P>();
    let block = allocate(&mut heap, layout(LARGE, 8));
    heap.provider_mut().refuse_grow = true;
    assert_eq!(
        resize(&mut heap, block, layout(LARGE, 8), 100),
        Some(block),
        "there is no heap to move to: it stays"
    );
    heap.map_provider_mut().refuse = true;
    assert_eq!(resize(&mut heap, block, layout(100, 8), 50), Some(block));
    assert_eq!(
        resize(&mut heap, block, layout(50, 8), LARGE),
        Some(block),
        "the mapping is as long as it was"
    );
    free(&mut heap, block, layout(LARGE, 8));
    assert_eq!(heap.map_provider().count(), 0);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn impossible_mappings_are_refused<P: Variant>() {
    let mut heap = heap::<P>();
    for size in [isize::MAX as usize, isize::MAX as usize - PAGE, isize::MAX as usize / 4 * 3] {
        // SAFETY: the heap outlives the case.
        assert_eq!(unsafe { heap.allocate(layout(size, 1)) }, None);
        // SAFETY: the heap outlives the case.
        assert_eq!(unsafe { heap.allocate_zeroed(layout(size, 1)) }, None);
    }
    assert_eq!((heap.stats().granted_bytes, heap.stats().mapped_blocks), (0, 0));
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn try_allocate_does_not_map<P: Variant>() {
    let mut heap = heap::<P>();
    // SAFETY: the heap outlives the case.
    assert_eq!(unsafe { heap.try_allocate(layout(LARGE, 8)) }, None);
    assert_eq!(heap.map_provider().maps, 0);
}

/// A step of a random program: what to do, with which block, and how large.
type Step = (u8, usize, usize, u32);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec((0..8_u8, any::<usize>(), 0..20_000_usize, 0..13_u32), 1..150)
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn blocks_keep_every_promise_on_either_side<P: Variant>() {
    for_all::<P, _>(&(steps(), 1_000..10_000_usize), |(steps, threshold)| {
        to_and_fro::<P>(steps, *threshold);
    });
}

/// With a threshold of a page or so, blocks go to and fro between heap and mappings.
fn to_and_fro<P: Variant>(steps: &[Step], threshold: usize) {
    let mut heap = heap::<P>();
    heap.set_map_threshold(MapThreshold::adaptive(threshold, 2 * threshold));
    let mut oracle = Oracle::default();
    for (action, pick, size, shift) in steps.iter().copied() {
        let layout = layout(size, 1 << shift);
        // SAFETY: the oracle knows which blocks are live, and their layouts.
        unsafe {
            match (action, oracle.pick(pick)) {
                (0..=1, _) => match heap.allocate(layout) {
                    Some(at) => drop(oracle.add(at, layout)),
                    None => assert_nothing_fits(&heap, layout),
                },
                (2, _) => match heap.allocate_zeroed(layout) {
                    Some(at) => drop(oracle.add_zeroed(at, layout)),
                    None => assert_nothing_fits(&heap, layout),
                },
                (3, _) => heap.map_provider_mut().refuse = pick % 4 == 0,
                (4, Some(block)) => {
                    oracle.remove(&block);
                    heap.deallocate(block.at, block.layout);
                }
                (5, Some(block)) => {
                    oracle.remove(&block);
                    heap.deallocate_by_ptr(block.at);
                }
                (6, Some(block)) => match heap.reallocate_by_ptr(block.at, layout) {
                    Some(at) => drop(oracle.moved(&block, at, layout)),
                    None => assert_nothing_fits(&heap, layout),
                },
                (_, Some(block)) => {
                    let new = Layout::from_size_align(size, block.layout.align()).unwrap();
                    match heap.reallocate(block.at, block.layout, size) {
                        Some(at) => drop(oracle.moved(&block, at, new)),
                        None => assert_nothing_fits(&heap, new),
                    }
                }
                (_, None) => {}
            }
        }
        heap.check().unwrap();
        let mapped =
            oracle.blocks().filter(|block| heap.map_provider().owns(block.range())).count();
        let stats = heap.stats();
        assert_eq!((stats.mapped_blocks, heap.map_provider().count()), (mapped, mapped));
        assert_eq!(stats.live_cells, oracle.blocks().count() - mapped);
    }
    oracle.assert_all_filled();
    while let Some(block) = oracle.pick(0) {
        oracle.remove(&block);
        // SAFETY: live until now.
        unsafe { heap.deallocate(block.at, block.layout) };
    }
    heap.trim(0);
    assert_eq!((heap.map_provider().count(), heap.stats().mapped_bytes), (0, 0));
    assert_eq!(heap.stats().granted_bytes, 0);
}
