//! What an arena's front cache has room for, and what is done with it. (In a checked heap
//! nothing goes there unseen.)

use std::alloc::Layout;
use std::ptr::NonNull;

use super::blocks::layout;
use super::slots::{TestArenas, arenas, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

fn allocate<P: Variant>(heap: &TestArenas<P>, layout: Layout) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }.expect("there is enough")
}

fn free<P: Variant>(heap: &TestArenas<P>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout) };
}

/// Allocates so many blocks, and frees them all.
fn come_and_go<P: Variant>(heap: &TestArenas<P>, count: usize, layout: Layout) {
    let blocks: Vec<_> = (0..count).map(|_| allocate(heap, layout)).collect();
    blocks.into_iter().for_each(|block| free(heap, block, layout));
}

#[case(Usual)]
fn an_arena_keeps_freed_blocks_of_up_to_128_kib<P: Variant>() {
    let heap = arenas::<P>(64 << 20, 1);
    on_slot(0, || {
        let many: Vec<_> = (0..300).map(|_| allocate(&heap, layout(10_000, 8))).collect();
        for size in [1_150, 5_100, 12_200, 20_400, 28_600, 65_500, 131_000] {
            let [block, wall] = [(); 2].map(|()| allocate(&heap, layout(size, 8)));
            let before = heap.stats().cached_bytes;
            free(&heap, block, layout(size, 8));
            assert!(heap.stats().cached_bytes >= before + size, "{size} bytes: {}", heap.stats());
            assert_eq!(allocate(&heap, layout(size - size / 20, 8)), block, "{size} bytes");
            heap.check().unwrap();
            free(&heap, block, layout(size - size / 20, 8));
            free(&heap, wall, layout(size, 8));
        }
        many.into_iter().for_each(|block| free(&heap, block, layout(10_000, 8)));
    });
    assert_all_is_free(heap);
}

#[case(Usual)]
fn what_comes_and_goes_has_room_in_the_front_cache_whatever_had_it_before_and_all_together_an_eighth<
    P: Variant,
>() {
    let heap = arenas::<P>(256 << 20, 1);
    on_slot(0, || {
        let live: Vec<_> = (0..100).map(|_| allocate(&heap, layout(10_000, 8))).collect();
        let mut most = 0;
        // All classes, up and down, so that each finds the room taken by others: what is kept of
        // those does not stay for ever.
        let steps = (3..256).map(|step| step * 512);
        for size in steps.clone().chain(steps.rev()).chain([1_500, 120_000, 1_500, 30_000]) {
            // Of each class more than may be kept.
            come_and_go(&heap, 60, layout(size, 8));
            let stats = heap.stats();
            most = stats.segment_bytes.max(most).max(100 * 10_000 + 60 * size);
            // A cell has a word or two more than the class says.
            assert!(stats.cached_bytes <= most / 8 + most / 512, "{size} bytes: {stats}");
            let again = allocate(&heap, layout(size, 8));
            assert!(
                heap.stats().cached_bytes + size <= stats.cached_bytes,
                "{size} bytes: {stats}"
            );
            free(&heap, again, layout(size, 8));
            heap.check().unwrap();
        }
        live.into_iter().for_each(|block| free(&heap, block, layout(10_000, 8)));
    });
    assert_all_is_free(heap);
}

#[case(Usual)]
fn a_small_block_changes_its_size_by_changing_its_place_with_the_one_freed_last<P: Variant>() {
    let heap = arenas::<P>(64 << 20, 2);
    let resize = |block, old: Layout, new_size| {
        // SAFETY: live, and of this layout.
        unsafe { heap.reallocate(block, old, new_size) }.expect("there is enough")
    };
    on_slot(0, || {
        // So many that they have runs: the first of them are cells.
        let first: Vec<_> =
            [200, 400].map(|size| layout(size, 8)).into_iter().cycle().take(100).collect();
        let first: Vec<_> =
            first.into_iter().map(|layout| (allocate(&heap, layout), layout)).collect();
        for size in [200, 400, 2_000] {
            come_and_go(&heap, 200, layout(size, 8));
        }
        for (from, to) in [(200, 400), (400, 200), (200, 2_000)] {
            let [freed, block] = [to, from].map(|size| allocate(&heap, layout(size, 8)));
            free(&heap, freed, layout(to, 8));
            // SAFETY: as long as that.
            unsafe { block.write_bytes(7, from) };
            let moved = resize(block, layout(from, 8), to);
            assert_eq!(moved, freed, "from {from} to {to} bytes");
            // SAFETY: written to, or copied there.
            let content = unsafe { NonNull::slice_from_raw_parts(moved, from.min(to)).as_ref() };
            assert!(content.iter().all(|&byte| byte == 7));
            assert_eq!(allocate(&heap, layout(from, 8)), block, "its old place is the next one's");
            free(&heap, block, layout(from, 8));
            free(&heap, moved, layout(to, 8));
        }
        let block = allocate(&heap, layout(400, 8));
        assert_eq!(resize(block, layout(400, 8), 300), block, "a little smaller");
        let moved = on_slot(1, || resize(block, layout(300, 8), 2_000));
        assert_ne!(moved, block, "another's");
        free(&heap, moved, layout(2_000, 8));
        first.into_iter().for_each(|(block, layout)| free(&heap, block, layout));
        heap.check().unwrap();
    });
    assert_all_is_free(heap);
}
