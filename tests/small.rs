//! Small blocks: in slabs without headers once these pay, as cells before; and what becomes of
//! them. (`slabs.rs`, `slab_places.rs`: how much memory slabs take, and where they lie.)

use brkalloc::{Break, CellState, Heap};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::small::{
    SmallBlockHeap, allocate, assert_filled, blocks_until, classes, count, fill, free, free_all,
    heap_of, is_in, layout, loans, slabs, try_allocate,
};
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;
use crate::common::test_map::TestMap;

/// A slab begins there.
const GRANULE: usize = 2048;

#[case(Usual, Checked<Usual>)]
fn blocks_of_a_slab_lie_side_by_side_without_headers<P: Variant>() {
    for size in classes().into_iter().filter(|&size| size >= P::taken_for(0)) {
        let mut heap = heap_of::<P>(8 << 20);
        let layout = layout(P::asking_for(size), 1);
        let mut blocks = blocks_until(&mut heap, layout, 1);
        let slab = slabs(&heap)[0];
        let CellState::Slab { block_size, live, total } = slab.state else { unreachable!() };
        assert_eq!((block_size, live), (size, 1));
        blocks.extend((1..total).map(|_| allocate(&mut heap, layout)));
        assert_eq!(
            slabs(&heap)[0].state,
            CellState::Slab { block_size, live: total, total },
            "the slab is full, and no other has begun"
        );
        assert_eq!(slabs(&heap).len(), 1);

        let mut inside: Vec<_> = blocks
            .iter()
            .filter(|block| is_in(**block, &slab))
            .map(|block| block.addr().get())
            .collect();
        inside.sort_unstable();
        assert_eq!(inside.len(), total);
        assert!(
            inside.windows(2).all(|pair| pair[1] - pair[0] == size),
            "blocks of {size} bytes lie side by side"
        );
        let align = 1 << size.trailing_zeros();
        assert!(
            inside.iter().all(|block| block % align == 0),
            "blocks of {size} bytes are aligned to {align}"
        );
        assert!(slab.payload().is_multiple_of(GRANULE));
        assert_eq!(inside[0], slab.payload());
        assert!(inside[total - 1] + size <= slab.address + slab.size);
        let wasted = slab.size - total * size;
        assert!(wasted <= slab.size / 16 + UNIT, "{wasted} bytes of {slab} are in no block");
        free_all(&mut heap, blocks, layout);
    }
}

#[case(Usual, Checked<Usual>)]
fn early_blocks_are_cells_of_exact_size_until_slabs_pay<P: Variant>() {
    for size in [8, 24, 100, 1_000, 2_000] {
        let (mut heap, layout) = (heap_of::<P>(4 << 20), layout(size, 1));
        for _ in 0..2 {
            let blocks = blocks_until(&mut heap, layout, 1);
            let cells: Vec<_> = heap.cells().filter(|cell| cell.state == CellState::Used).collect();
            assert_eq!(cells.len(), blocks.len() - 1, "the last block is the slab's first");
            // What is left when a cell is split may be too short for another one.
            assert!(
                cells.iter().all(|cell| cell.size < P::cell_for(size) + 2 * UNIT),
                "blocks of {size} bytes in {cells:?}"
            );
            // The slab is not long beside them, or beside the heap.
            let used: usize = cells.iter().map(|cell| cell.size).sum();
            let slab = slabs(&heap)[0].size;
            assert!(used >= slab || loans(&heap) + UNIT >= slab, "{used} bytes as cells, {slab}");
            free_all(&mut heap, blocks, layout);
            heap.flush();
        }
    }
}

#[case(Usual, Checked<Usual>)]
fn a_few_blocks_of_many_sizes_are_cells_of_exact_size<P: Variant>() {
    let mut heap = heap_of::<P>(1 << 20);
    let sizes: Vec<_> = (1..1_000).step_by(37).collect();
    let blocks: Vec<_> = sizes.iter().map(|&size| allocate(&mut heap, layout(size, 1))).collect();
    assert_eq!((heap.stats().slabs, count(&heap, CellState::Internal)), (0, 0));
    let used: Vec<_> =
        heap.cells().filter(|cell| cell.state == CellState::Used).map(|cell| cell.size).collect();
    assert!(used.iter().copied().eq(sizes.iter().map(|&size| P::cell_for(size))));
    for (&block, &size) in blocks.iter().zip(&sizes).rev() {
        free(&mut heap, block, layout(size, 1));
    }
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn blocks_of_no_bytes_are_as_aligned_as_they_must_be<P: Variant>() {
    for align in [1, 2, 4, 8, 16, 64, 4096] {
        let (mut heap, layout) = (heap_of::<P>(4 << 20), layout(0, align));
        let blocks: Vec<_> = (0..300).map(|_| allocate(&mut heap, layout)).collect();
        assert!(
            blocks.iter().all(|block| block.addr().get().is_multiple_of(align)),
            "aligned to {align}"
        );
        let distinct: BTreeSet<_> = blocks.iter().collect();
        assert_eq!((distinct.len(), heap.stats().live_cells), (blocks.len(), blocks.len()));
        free_all(&mut heap, blocks, layout);
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
}

#[case(Usual, Checked<Usual>)]
fn empty_slabs_become_cells_again_and_the_break_comes_down<P: Variant>() {
    let mut heap = heap_of::<P>(4 << 20);
    let start = heap.provider().end();
    for size in [16, 100, 600] {
        let layout = layout(size, 8);
        let blocks = blocks_until(&mut heap, layout, 3);
        free_all(&mut heap, blocks, layout);
        heap.flush();
        heap.check().unwrap();
        let cells: Vec<_> = heap.cells().map(|cell| cell.state).collect();
        assert_eq!(cells, [CellState::Top], "after blocks of {size} bytes");
    }
    let layout = layout(100, 8);
    let blocks = blocks_until(&mut heap, layout, 3);
    free_all(&mut heap, blocks, layout);
    let granted = heap.stats().granted_bytes;
    assert_eq!(heap.trim(0), granted, "a trim flushes by itself");
    assert_eq!((heap.provider().end(), heap.cells().count()), (start, 0));
    allocate(&mut heap, layout);
    heap.check().unwrap();
}

#[case(Usual, Checked<Usual>)]
fn one_empty_slab_is_kept_for_the_next_request<P: Variant>() {
    let (mut heap, layout) = (heap_of::<P>(4 << 20), layout(40, 8));
    let mut blocks = blocks_until(&mut heap, layout, 4);
    free_all(&mut heap, blocks.drain(..), layout);
    let kept = slabs(&heap);
    assert_eq!(kept.len(), 1, "of four slabs that became empty");
    assert!(is_in(allocate(&mut heap, layout), &kept[0]), "it serves the next request");
    assert_eq!(heap.stats().slabs, 1);
}

#[case(Usual, Checked<Usual>)]
fn a_smaller_block_borrows_from_a_slab_of_larger_ones_before_there_is_no_memory<P: Variant>() {
    let mut heap = heap_of::<P>(256 << 10);
    // 72 bytes are no multiple of 16: every other block is aligned to 8 only.
    let (large, smaller, tiny) =
        (layout(P::asking_for(72), 8), layout(P::asking_for(56), 8), layout(1, 1));
    let blocks = fill(&mut heap, large);
    let rest = fill(&mut heap, tiny);
    let (aligned, other): (Vec<_>, Vec<_>) = blocks
        .iter()
        .copied()
        .filter(|block| slabs(&heap).iter().any(|slab| is_in(*block, slab)))
        .partition(|block| block.addr().get() % 16 == 0);
    for lucky in [aligned[0], other[0]] {
        free(&mut heap, lucky, large);
        assert_eq!(
            try_allocate(&mut heap, layout(P::asking_for(64), 16)),
            None,
            "what is aligned by luck is not lent"
        );
        assert_eq!(
            try_allocate(&mut heap, layout(P::asking_for(73), 1)),
            None,
            "a smaller block is not lent"
        );
        assert_eq!(try_allocate(&mut heap, smaller), Some(lucky));
        heap.check().unwrap();
        assert_eq!(try_allocate(&mut heap, smaller), None);
        // SAFETY: a live block.
        assert_eq!(unsafe { heap.usable_size(lucky) }, P::usable(smaller.size(), 72));
        free(&mut heap, lucky, smaller);
        assert_eq!(try_allocate(&mut heap, large), Some(lucky), "it went back to where it belongs");
    }
    free_all(&mut heap, blocks, large);
    free_all(&mut heap, rest, tiny);
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn a_block_stays_in_its_class_and_moves_with_its_contents<P: Variant>() {
    for count in [1, 2_000] {
        let (mut heap, small) = (heap_of::<P>(4 << 20), layout(97, 8));
        // The first is a cell, the last lies in a slab.
        let blocks: Vec<_> = (0..count).map(|_| allocate(&mut heap, small)).collect();
        let block = blocks[count - 1];
        assert_eq!(count > 1, slabs(&heap).iter().any(|slab| is_in(block, slab)));
        // SAFETY: the block is that long.
        unsafe { block.write_bytes(0x5A, 97) };
        let mut resize = |block, old, new| {
            // SAFETY: the block is live, with this layout.
            let moved = unsafe { heap.reallocate(block, layout(old, 8), new) }.unwrap();
            assert_filled(moved, 97, 0x5A);
            moved
        };
        assert_eq!(resize(block, 97, 104), block, "one class");
        assert_eq!(resize(block, 104, 98), block, "one class");
        let larger = resize(block, 98, 1_000);
        let large = resize(larger, 1_000, 5_000);
        let small_again = resize(large, 5_000, 110);
        // SAFETY: the block is live, with this layout.
        let tiny = unsafe { heap.reallocate(small_again, layout(110, 8), 8) }.unwrap();
        heap.check().unwrap();
        free(&mut heap, tiny, layout(8, 8));
        free_all(&mut heap, blocks.into_iter().take(count - 1), small);
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
}

#[case(Usual, Checked<Usual>)]
fn blocks_that_are_more_aligned_than_cells_come_from_slabs_too<P: Variant>() {
    for align in [32, 64, 128] {
        for size in [1, align, align + 1, 3 * align, 900, 2_000] {
            let (mut heap, layout) = (heap_of::<P>(4 << 20), layout(size, align));
            let blocks = blocks_until(&mut heap, layout, 1);
            assert!(
                blocks.iter().all(|block| block.addr().get().is_multiple_of(align)),
                "{layout:?}"
            );
            let last = blocks[blocks.len() - 1];
            assert!(slabs(&heap).iter().any(|slab| is_in(last, slab)), "{layout:?}");
            free_all(&mut heap, blocks, layout);
            heap.flush();
            heap.assert_one_free_cell_a_region();
        }
    }
}

#[case(Usual, Checked<Usual>)]
fn a_block_is_as_aligned_as_asked_whatever_was_freed<P: Variant>() {
    let mut heap = heap_of::<P>(4 << 20);
    let (plain, aligned) = (layout(128, 8), layout(128, 64));
    for round in 0..20 {
        let cells: Vec<_> = (0..20).map(|_| allocate(&mut heap, plain)).collect();
        free_all(&mut heap, cells, plain);
        let blocks: Vec<_> = (0..round).map(|_| allocate(&mut heap, aligned)).collect();
        assert!(blocks.iter().all(|block| block.addr().get().is_multiple_of(64)), "{blocks:?}");
        // What was resized is as aligned as it was, and is freed with its new size.
        for block in blocks {
            // SAFETY: the block is that long.
            unsafe { block.write_bytes(0x5A, 128) };
            // SAFETY: the block is live, with this layout.
            let larger = unsafe { heap.reallocate(block, aligned, 700) }.unwrap();
            // SAFETY: the same.
            let smaller =
                unsafe { heap.reallocate(larger, layout(700, 64), 400 - 20 * round) }.unwrap();
            assert_filled(smaller, 128.min(400 - 20 * round), 0x5A);
            assert!(
                larger.addr().get().is_multiple_of(64) && smaller.addr().get().is_multiple_of(64)
            );
            heap.check().unwrap();
            free(&mut heap, smaller, layout(400 - 20 * round, 64));
        }
        heap.check().unwrap();
    }
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn a_block_of_a_slab_is_resized_into_a_block_of_its_new_class<P: Variant>() {
    for (old, new, moves) in
        [(64, 128, true), (128, 32, true), (1000, 40, true), (40, 1000, true), (128, 96, false)]
    {
        let mut heap = heap_of::<P>(4 << 20);
        let others = blocks_until(&mut heap, layout(new, 8), 1);
        let blocks = blocks_until(&mut heap, layout(old, 8), 2);
        let (block, live) = (blocks[blocks.len() - 1], heap.stats().live_cells);
        // SAFETY: the block is that long.
        unsafe { block.write_bytes(0x5A, old) };
        // SAFETY: the block is live, with this layout.
        let resized = unsafe { heap.reallocate(block, layout(old, 8), new) }.unwrap();
        heap.check().unwrap();
        assert_filled(resized, old.min(new), 0x5A);
        assert_eq!(resized != block, moves, "{old} to {new}");
        let slab = slabs(&heap).into_iter().find(|slab| is_in(resized, slab)).unwrap();
        let CellState::Slab { block_size, .. } = slab.state else { unreachable!() };
        assert_eq!(block_size < P::taken_for(old.max(new)), moves && new < old, "{old} to {new}");
        assert_eq!((heap.stats().slabs, heap.stats().live_cells), (2, live));
        free(&mut heap, resized, layout(new, 8));
        free_all(&mut heap, others, layout(new, 8));
        free_all(&mut heap, blocks.into_iter().filter(|other| *other != block), layout(old, 8));
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
}

#[case(Usual, Checked<Usual>)]
fn to_become_smaller_never_fails_in_a_full_heap<P: Variant>() {
    for old in [104, 200, 1_000, 3_000] {
        let mut heap = heap_of::<P>(256 << 10);
        let blocks = fill(&mut heap, layout(old, 8));
        let _rest = fill(&mut heap, layout(1, 1));
        for (index, block) in blocks.into_iter().enumerate() {
            let (mut at, mut size) = (block, old);
            // SAFETY: the block is that long.
            unsafe { at.write_bytes(index as u8, old) };
            for new in [old - 1, old - 9, old / 2, 40, 8, 0] {
                // SAFETY: the block is live, with this layout.
                let Some(smaller) = (unsafe { heap.reallocate(at, layout(size, 8), new) }) else {
                    // The one exception: blocks of the smaller class are more aligned than this one
                    // is.
                    assert!(
                        !at.addr().get().is_multiple_of(UNIT),
                        "{size} to {new} bytes at {at:?}"
                    );
                    continue;
                };
                (at, size) = (smaller, new);
                assert_filled(at, size, index as u8);
            }
        }
        heap.check().unwrap();
    }
}

#[case(Usual, Checked<Usual>)]
fn a_mapped_block_that_became_small_for_want_of_memory_is_freed<P: Variant>() {
    const LARGE: usize = 128 << 10;
    let mut heap = Heap::<_, _, P>::with_profile(TestBreak::new(1 << 20, 0), TestMap::default());
    heap.provider_mut().refuse_grow = true;
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout(LARGE, 8)) }.unwrap();
    assert_eq!(
        // SAFETY: the block is live.
        unsafe { heap.reallocate(block, layout(LARGE, 8), 100) },
        Some(block),
        "there is no heap to move to"
    );
    assert_eq!((heap.stats().live_cells, heap.stats().mapped_blocks), (0, 1));
    // SAFETY: live until now, with this layout.
    unsafe { heap.deallocate(block, layout(100, 8)) };
    heap.check().unwrap();
    let stats = heap.stats();
    assert_eq!(
        (stats.live_cells, stats.live_bytes, stats.mapped_blocks, stats.mapped_bytes),
        (0, 0, 0, 0)
    );
    assert_eq!(heap.map_provider().count(), 0);
}

#[case(Usual, Checked<Usual>)]
fn the_counters_are_exact<P: Variant>() {
    let mut heap = heap_of::<P>(1 << 20);
    let (small, large) = (layout(100, 8), layout(2_000, 8));
    let blocks: Vec<_> = (0..3).map(|_| allocate(&mut heap, small)).collect();
    let payload = P::cell_for(100) - WORD;
    let counters = |heap: &SmallBlockHeap<P>| {
        let stats = heap.stats();
        (stats.live_cells, stats.live_bytes, stats.slabs, stats.slab_bytes, stats.free_slab_bytes)
    };
    assert_eq!(counters(&heap), (3, 3 * payload, 0, 0, 0));
    free_all(&mut heap, [blocks[0], blocks[1]], small);
    assert_eq!(counters(&heap), (1, payload, 0, 0, 0));
    let wall = allocate(&mut heap, large);
    assert_eq!(counters(&heap), (2, payload + P::cell_for(2_000) - WORD, 0, 0, 0));
    free(&mut heap, wall, large);
    free(&mut heap, blocks[2], small);
    assert_eq!(counters(&heap), (0, 0, 0, 0, 0));

    // Of a slab, blocks at hand count as free, and so do those that were freed.
    let (mut heap, tiny) = (heap_of::<P>(1 << 20), layout(8, 8));
    let mut blocks = blocks_until(&mut heap, tiny, 1);
    let slab = slabs(&heap)[0];
    let CellState::Slab { total, block_size, .. } = slab.state else { unreachable!() };
    assert_eq!(block_size, P::taken_for(8));
    let (cells, slab_bytes) = (blocks.len() - 1, slab.payload_size());
    let of_cells = cells * (P::cell_for(8) - WORD);
    let with = |live: usize| {
        let free = (total - live) * block_size;
        (cells + live, of_cells + live * block_size, 1, slab_bytes, free)
    };
    assert_eq!(counters(&heap), with(1));
    blocks.extend((1..total).map(|_| allocate(&mut heap, tiny)));
    assert_eq!(counters(&heap), with(total));
    for freed in 1..=total {
        free(&mut heap, blocks.pop().unwrap(), tiny);
        assert_eq!(counters(&heap), with(total - freed));
    }
    heap.flush();
    assert_eq!(counters(&heap), (cells, of_cells, 0, 0, 0));
}

#[case(Usual, Checked<Usual>)]
fn all_of_a_block_may_be_used<P: Variant>() {
    for size in [1, 8, 100, 500, P::asking_for(1_024)] {
        let (mut heap, layout) = (heap_of::<P>(4 << 20), layout(size, 1));
        let mut blocks = blocks_until(&mut heap, layout, 1);
        blocks.extend((0..10).map(|_| allocate(&mut heap, layout)));
        for block in &blocks {
            // SAFETY: a live block.
            let usable = unsafe { heap.usable_size(*block) };
            assert!(usable >= size);
            // SAFETY: so many bytes may be used.
            unsafe { block.write_bytes(0xFF, usable) };
        }
        heap.check().unwrap();
        free_all(&mut heap, blocks, layout);
    }
}

#[case(Usual, Checked<Usual>)]
fn what_was_reserved_for_a_small_block_suffices<P: Variant>() {
    for bytes in [0, 1, 25, 257, 513, 1_000, 1_024, 1_025] {
        // Memory that is just enough, or just not.
        for len in bytes..bytes + 100 {
            let mut heap = heap_of::<P>(len.max(1));
            if heap.reserve(bytes).is_ok() {
                // SAFETY: the heap outlives the case.
                assert!(
                    // SAFETY: the heap outlives the case.
                    unsafe { heap.try_allocate(layout(bytes, 1)) }.is_some(),
                    "{bytes} bytes of {len}"
                );
            }
        }
    }
}

#[case(Usual, Checked<Usual>)]
fn try_allocate_begins_slabs_in_what_there_is_only<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(24, 8));
    heap.reserve(100_000).unwrap();
    let asked = heap.provider().asked;
    // SAFETY: the heap outlives the case.
    let blocks: Vec<_> = core::iter::from_fn(|| unsafe { heap.try_allocate(small) }).collect();
    assert_eq!(heap.provider().asked, asked);
    assert!(heap.stats().slabs > 0);
    assert!(
        blocks.len() * P::taken_for(24) >= 80_000,
        "{} blocks of 24 bytes in what was reserved",
        blocks.len()
    );
    free_all(&mut heap, blocks, small);
}
