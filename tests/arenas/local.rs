//! Local operations of an arena: blocks of its slabs come and go without a lock.

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

/// Allocates some blocks and frees them all.
fn come_and_go<P: Variant>(heap: &TestArenas<P>, count: usize, layout: Layout) {
    let blocks: Vec<_> = (0..count).map(|_| allocate(heap, layout)).collect();
    blocks.into_iter().for_each(|block| free(heap, block, layout));
}

#[case(Usual, Plain, Checked<Usual>)]
fn blocks_that_come_and_go_take_the_same_memory_again<P: Variant>() {
    for size in [8, 100, 1_000, 3_000, 20_000] {
        let heap = arenas::<P>(64 << 20, 1);
        on_slot(0, || {
            come_and_go(&heap, 500, layout(size, 8));
            let (live, segments) = (heap.stats().live_blocks, heap.stats().segment_bytes);
            assert_eq!(live, 0, "{size} bytes");
            for _ in 0..20 {
                come_and_go(&heap, 500, layout(size, 8));
                assert_eq!(heap.stats().live_blocks, 0, "{size} bytes");
                assert!(heap.stats().segment_bytes <= segments + segments / 4 + (128 << 10));
            }
            heap.check().unwrap();
        });
        assert_all_is_free(heap);
    }
}

#[case(Usual, Plain, Checked<Usual>)]
fn slabs_that_are_relisted_or_released_in_any_order_stay_sound<P: Variant>() {
    let heap = arenas::<P>(64 << 20, 1);
    on_slot(0, || {
        for size in [16, 240, 1_100, 4_000] {
            let layout = layout(size, 8);
            let mut blocks: Vec<_> = (0..3_000).map(|_| allocate(&heap, layout)).collect();
            // All but every step-th, so that full slabs are relisted, then all others.
            for step in [2, 7, 40] {
                let (keep, go): (Vec<_>, Vec<_>) =
                    (0..).zip(blocks).partition(|(index, _)| index % step == 0);
                go.into_iter().for_each(|(_, block)| free(&heap, block, layout));
                heap.check().unwrap();
                blocks = keep.into_iter().map(|(_, block)| block).collect();
                blocks.extend((0..1_000).map(|_| allocate(&heap, layout)));
                heap.check().unwrap();
            }
            assert_eq!(heap.stats().live_blocks, blocks.len());
            blocks.into_iter().rev().for_each(|block| free(&heap, block, layout));
            heap.check().unwrap();
        }
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn a_block_that_changes_its_size_stays_if_it_is_little_smaller_and_keeps_its_contents<
    P: Variant,
>() {
    let heap = arenas::<P>(64 << 20, 2);
    let resize = |block, old: Layout, new_size| {
        // SAFETY: live, and of this layout.
        unsafe { heap.reallocate(block, old, new_size) }.expect("there is enough")
    };
    on_slot(0, || {
        // As many as give each class a slab.
        let sizes = [200, 400, 2_000].into_iter().cycle().take(1_500);
        let walls: Vec<_> = sizes.map(|size| layout(size, 8)).collect();
        let walls: Vec<_> =
            walls.into_iter().map(|layout| (allocate(&heap, layout), layout)).collect();
        for (from, to) in [(200, 400), (400, 200), (200, 2_000), (2_000, 20_000), (3_000, 40)] {
            let block = allocate(&heap, layout(from, 8));
            // SAFETY: as long as that.
            unsafe { block.write_bytes(7, from) };
            let moved = resize(block, layout(from, 8), to);
            // SAFETY: written to, or copied there.
            let content = unsafe { NonNull::slice_from_raw_parts(moved, from.min(to)).as_ref() };
            assert!(content.iter().all(|&byte| byte == 7), "from {from} to {to} bytes");
            free(&heap, moved, layout(to, 8));
            heap.check().unwrap();
        }
        let block = allocate(&heap, layout(400, 8));
        assert_eq!(resize(block, layout(400, 8), 300), block, "a little smaller");
        let moved = on_slot(1, || resize(block, layout(300, 8), 2_000));
        assert_ne!(moved, block, "another's");
        free(&heap, moved, layout(2_000, 8));
        walls.into_iter().for_each(|(block, layout)| free(&heap, block, layout));
        heap.check().unwrap();
    });
    assert_all_is_free(heap);
}
