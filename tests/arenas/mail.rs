//! What others have freed, on its way to its owner: how much of it may be anywhere.

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::ArenaStats;

use super::blocks::layout;
use super::slots::{Calm, TestArenas, arenas_over, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

/// Two slots, of which neither reaches the other's arena.
fn heap<P: Variant>() -> TestArenas<P, Calm> {
    arenas_over(64 << 20, Calm(2))
}

/// Allocates on slot 0.
fn take<P: Variant>(heap: &TestArenas<P, Calm>, count: usize, layout: Layout) -> Vec<NonNull<u8>> {
    // SAFETY: the heap outlives the blocks.
    on_slot(0, || (0..count).map(|_| unsafe { heap.allocate(layout) }.unwrap()).collect())
}

/// Frees on slot 1.
fn free<P: Variant>(heap: &TestArenas<P, Calm>, blocks: &[NonNull<u8>], layout: Layout) {
    // SAFETY: live until now.
    on_slot(1, || blocks.iter().for_each(|&block| unsafe { heap.deallocate(block, layout) }));
}

fn stats<P: Variant>(heap: &TestArenas<P, Calm>) -> ArenaStats {
    // SAFETY: the test has one thread.
    unsafe { heap.exclusive() }.stats()
}

#[case(Usual, Plain, Checked<Usual>)]
fn what_waits_to_be_sent_is_bounded_by_blocks_and_by_bytes<P: Variant>() {
    let heap = heap::<P>();
    for (size, most) in [(16, 62), (100, 62), (1_000, 17), (4_000, 5), (30_000, 1)] {
        let layout = layout(size, 8);
        let blocks = take(&heap, 400, layout);
        for (freed, block) in (1..).zip(&blocks) {
            free(&heap, &[*block], layout);
            on_slot(0, || heap.flush());
            let waiting = on_slot(0, || heap.stats()).live_blocks - (blocks.len() - freed);
            assert!(waiting <= most, "{waiting} blocks of {size} bytes wait, {most} may");
        }
        on_slot(1, || heap.flush());
        on_slot(0, || heap.flush());
        assert_eq!(on_slot(0, || heap.stats()).live_blocks, 0);
    }
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn an_arena_collects_what_others_have_freed_before_it_grows<P: Variant>() {
    for (count, most) in [(300, 64), (2_000, 16), (20_000, 64), (20_000, 256)] {
        let heap = heap::<P>();
        let layouts = || (0..count).map(|index| layout(8 + index * 8 % most, 8));
        let round = || {
            // SAFETY: the heap outlives the blocks.
            let take = |layout| unsafe { heap.allocate(layout) }.unwrap();
            let blocks: Vec<_> = on_slot(0, || layouts().map(take).collect());
            let free = |(&block, layout)| {
                // SAFETY: live until now.
                unsafe { heap.deallocate(block, layout) };
            };
            on_slot(1, || blocks.iter().zip(layouts()).for_each(free));
            stats(&heap).segment_bytes
        };
        let first = round();
        let last = (0..20).fold(first, |_, _| round());
        // Blocks that are free in slabs of which few are, and whole segments.
        let more = (first / 4).max(128 << 10);
        assert!(last <= first + more, "{count} blocks of up to {most}: {last} after {first}");
        assert_all_is_free(heap);
    }
}

#[case(Usual, Plain, Checked<Usual>)]
fn a_full_box_is_sent_before_the_next_block<P: Variant>() {
    let heap = heap::<P>();
    let layout = layout(32, 8);
    let blocks = take(&heap, 200, layout);
    let (first, rest) = blocks.split_at(62);
    free(&heap, first, layout);
    on_slot(0, || heap.flush());
    assert_eq!(on_slot(0, || heap.stats()).live_blocks, 200, "a full box waits for the next block");
    free(&heap, &rest[..1], layout);
    on_slot(0, || heap.flush());
    assert_eq!(on_slot(0, || heap.stats()).live_blocks, 200 - 62);
    free(&heap, &rest[1..], layout);
    on_slot(1, || heap.flush());
    assert_all_is_free(heap);
}
