//! Small blocks: in runs without headers once these pay, as cells before; and what becomes of them.
//! (`front_cache.rs`, `where_runs_lie.rs`: what is kept of freed ones, and where runs begin.)

use brkalloc::{Break, CellState, Heap};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::small::{
    allocate, assert_filled, blocks_until, classes, count, fill, free, free_all, heap_of, is_in,
    layout, runs, try_allocate, uncached,
};
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;
use crate::common::test_map::TestMap;

#[case(Usual, Checked<Usual>)]
fn blocks_of_a_run_have_no_headers_and_the_run_is_found_by_masking<P: Variant>() {
    for size in classes::<P>().into_iter().filter(|&size| size >= P::taken_for(0)) {
        let mut heap = uncached::<P>(4 << 20);
        let layout = layout(P::asking_for(size), 1);
        let mut blocks = blocks_until(&mut heap, layout, 1);
        let run = runs(&heap)[0];
        let CellState::Run { block_size, live, total } = run.state else { unreachable!() };
        assert_eq!((block_size, live), (size, 1));
        blocks.extend((1..total).map(|_| allocate(&mut heap, layout)));
        assert_eq!(
            runs(&heap)[0].state,
            CellState::Run { block_size, live: total, total },
            "the run is full, and no other has begun"
        );
        assert_eq!(runs(&heap).len(), 1);

        let mut inside: Vec<_> = blocks
            .iter()
            .filter(|block| is_in(**block, &run))
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
        assert!(
            run.size.is_power_of_two() && run.payload().is_multiple_of(run.size),
            "{run} is found by masking"
        );
        assert!(
            inside.iter().all(|block| block & !(run.size - 1) == run.payload()),
            "{run} is found by masking"
        );
        assert!(inside[0] >= run.payload() && inside[total - 1] + size <= run.address + run.size);
        free_all(&mut heap, blocks, layout);
    }
}

#[case(Usual, Checked<Usual>)]
fn early_blocks_are_cells_until_runs_pay<P: Variant>() {
    for size in [8, 24, 100, 1_000] {
        let (mut heap, layout) = (uncached::<P>(4 << 20), layout(size, 1));
        let blocks = blocks_until(&mut heap, layout, 1);
        let cells = count(&heap, CellState::Used);
        assert_eq!(cells, blocks.len() - 1, "the last block is the run's first");
        // What they cost in headers and rounding is worth a good part of the run by then.
        let used: usize =
            heap.cells().filter(|cell| cell.state == CellState::Used).map(|cell| cell.size).sum();
        assert!(used - cells * size >= runs(&heap)[0].size / 8, "{cells} cells of {size} bytes");
        free_all(&mut heap, blocks, layout);
        heap.flush();
        blocks_until(&mut heap, layout, 1);
    }
}

#[case(Usual, Checked<Usual>)]
fn blocks_of_no_bytes_are_as_aligned_as_they_must_be<P: Variant>() {
    // Up to what every cell has.
    for align in [1, 2, 4, 8, 16].into_iter().filter(|&align| align <= UNIT) {
        let (mut heap, layout) = (uncached::<P>(1 << 20), layout(0, align));
        let blocks = blocks_until(&mut heap, layout, 2);
        assert!(
            blocks.iter().all(|block| block.addr().get().is_multiple_of(align)),
            "aligned to {align}"
        );
        let distinct: BTreeSet<_> = blocks.iter().collect();
        assert_eq!(distinct.len(), blocks.len());
        free_all(&mut heap, blocks, layout);
    }
}

#[case(Usual, Checked<Usual>)]
fn empty_runs_become_cells_again_and_the_break_comes_down<P: Variant>() {
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
        assert_eq!(heap.stats().cached_blocks, 0);
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
fn one_empty_run_is_kept_for_the_next_request<P: Variant>() {
    let (mut heap, layout) = (uncached::<P>(4 << 20), layout(40, 8));
    let mut blocks = blocks_until(&mut heap, layout, 4);
    free_all(&mut heap, blocks.drain(..), layout);
    let kept = runs(&heap);
    assert_eq!(kept.len(), 1, "of four runs that became empty");
    assert!(is_in(allocate(&mut heap, layout), &kept[0]), "it serves the next request");
    assert_eq!(heap.stats().runs, 1);
}

#[case(Usual, Checked<Usual>)]
fn a_smaller_block_borrows_from_a_run_of_larger_ones_before_there_is_no_memory<P: Variant>() {
    let mut heap = uncached::<P>(256 << 10);
    // 72 bytes are no multiple of 16: every other block is aligned to 8 only.
    let (large, smaller, tiny) =
        (layout(P::asking_for(72), 8), layout(P::asking_for(56), 8), layout(1, 1));
    let blocks = fill(&mut heap, large);
    let rest = fill(&mut heap, tiny);
    let (aligned, other): (Vec<_>, Vec<_>) = blocks
        .iter()
        .copied()
        .filter(|block| runs(&heap).iter().any(|run| is_in(*block, run)))
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
        let (mut heap, small) = (uncached::<P>(4 << 20), layout(97, 8));
        // The first is a cell, the last lies in a run.
        let blocks: Vec<_> = (0..count).map(|_| allocate(&mut heap, small)).collect();
        let block = blocks[count - 1];
        assert_eq!(count > 1, runs(&heap).iter().any(|run| is_in(block, run)));
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
fn blocks_that_are_more_aligned_than_cells_come_from_runs_and_the_cache_too<P: Variant>() {
    for align in [32, 64, 128] {
        for size in [1, align, align + 1, 3 * align, 900] {
            let (mut heap, layout) = (heap_of::<P>(4 << 20), layout(size, align));
            let mut blocks = blocks_until(&mut heap, layout, 2);
            assert!(
                blocks.iter().all(|block| block.addr().get().is_multiple_of(align)),
                "{layout:?}"
            );
            let last = blocks.pop().unwrap();
            assert!(runs(&heap).iter().any(|run| is_in(last, run)), "{layout:?}");
            free(&mut heap, last, layout);
            assert_eq!(
                allocate(&mut heap, layout),
                last,
                "the block that was freed last comes first"
            );
            free_all(&mut heap, blocks.into_iter().chain([last]), layout);
            heap.flush();
            heap.assert_one_free_cell_a_region();
        }
    }
}

#[case(Usual, Checked<Usual>)]
fn a_block_is_as_aligned_as_asked_whatever_the_cache_keeps<P: Variant>() {
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
fn a_small_block_is_resized_into_the_block_of_its_new_class_that_was_freed_last<P: Variant>() {
    let small =
        [(64, 128, true), (128, 32, true), (1000, 8, true), (8, 1000, true), (128, 96, false)];
    // What was large leaves its cell, and what becomes large takes one that was freed.
    let large = [
        (3000, 40, true),
        (3000, 900, true),
        (1100, 1000, false),
        (40, 3000, true),
        (900, 1500, true),
    ];
    for (old, new, moves) in small.into_iter().chain(large) {
        let mut heap = heap_of::<P>(1 << 20);
        let freed = allocate(&mut heap, layout(new, 8));
        let block = allocate(&mut heap, layout(old, 8));
        let _wall = allocate(&mut heap, layout(2000, 8));
        free(&mut heap, freed, layout(new, 8));
        // SAFETY: the block is that long.
        unsafe { block.write_bytes(0x5A, old) };
        // SAFETY: the block is live, with this layout.
        let resized = unsafe { heap.reallocate(block, layout(old, 8), new) }.unwrap();
        assert_filled(resized, old.min(new), 0x5A);
        assert_eq!(resized == freed, moves, "{old} to {new}");
        if moves {
            assert_eq!(
                allocate(&mut heap, layout(old, 8)),
                block,
                "the old place is the next of its class"
            );
        }
        heap.check().unwrap();
        assert_eq!(heap.stats().live_cells, if moves { 3 } else { 2 });
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
    for _ in 0..1 {
        let mut heap =
            Heap::<_, _, P>::with_profile(TestBreak::new(1 << 20, 0), TestMap::default());
        heap.provider_mut().refuse_grow = true;
        // SAFETY: the heap outlives the case.
        let block = unsafe { heap.allocate(layout(LARGE, 8)) }.unwrap();
        // SAFETY: the block is live.
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
        assert_eq!(
            stats.cached_blocks,
            heap.map_provider().count(),
            "it may stay in the front cache"
        );
        heap.flush();
        heap.check().unwrap();
        assert_eq!((heap.map_provider().count(), heap.stats().cached_blocks), (0, 0));
    }
}

#[case(Usual, Checked<Usual>)]
fn the_counters_are_exact<P: Variant>() {
    let mut heap = heap_of::<P>(1 << 20);
    let (small, large) = (layout(P::asking_for(100), 8), layout(2_000, 8));
    let blocks: Vec<_> = (0..3).map(|_| allocate(&mut heap, small)).collect();
    // A cell for 104 bytes, the class's size.
    let payload = (104 + WORD).next_multiple_of(UNIT) - WORD;
    let stats = heap.stats();
    assert_eq!(
        (stats.live_cells, stats.live_bytes, stats.cached_blocks, stats.cached_bytes),
        (3, 3 * payload, 0, 0)
    );

    free_all(&mut heap, [blocks[0], blocks[1]], small);
    let stats = heap.stats();
    assert_eq!(
        (stats.live_cells, stats.live_bytes, stats.cached_blocks, stats.cached_bytes),
        (1, payload, 2, 2 * payload)
    );
    allocate(&mut heap, small);
    let wall = allocate(&mut heap, large);
    let stats = heap.stats();
    assert_eq!((stats.live_cells, stats.cached_blocks), (3, 1));
    free(&mut heap, wall, large);
    heap.flush();
    assert_eq!((heap.stats().live_cells, heap.stats().cached_blocks), (2, 0));

    // Without the cache every request is a miss, and what a run has free is counted as such.
    let (mut heap, tiny) = (uncached::<P>(1 << 20), layout(8, 8));
    let blocks = blocks_until(&mut heap, tiny, 1);
    let stats = heap.stats();
    let CellState::Run { total, block_size, .. } = runs(&heap)[0].state else { unreachable!() };
    assert_eq!(block_size, P::taken_for(8));
    assert_eq!(
        (stats.live_cells, stats.runs, stats.free_run_bytes),
        (blocks.len(), 1, (total - 1) * block_size)
    );
    assert_eq!(stats.run_bytes, runs(&heap)[0].payload_size());
    assert_eq!(stats.live_bytes, (blocks.len() - 1) * (P::cell_for(8) - WORD) + block_size);

}

#[case(Usual, Checked<Usual>)]
fn all_of_a_block_may_be_used<P: Variant>() {
    for size in [1, 8, 100, 500, P::asking_for(1_024)] {
        let (mut heap, layout) = (uncached::<P>(4 << 20), layout(size, 1));
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
fn try_allocate_begins_runs_in_what_there_is_only<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(24, 8));
    heap.reserve(100_000).unwrap();
    let asked = heap.provider().asked;
    // SAFETY: the heap outlives the case.
    let blocks: Vec<_> = core::iter::from_fn(|| unsafe { heap.try_allocate(small) }).collect();
    assert_eq!(heap.provider().asked, asked);
    assert!(heap.stats().runs > 0);
    assert!(
        blocks.len() * P::taken_for(24) >= 80_000,
        "{} blocks of 24 bytes in what was reserved",
        blocks.len()
    );
    free_all(&mut heap, blocks, small);
}
