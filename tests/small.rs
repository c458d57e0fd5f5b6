//! Small blocks: runs without headers, the page map that knows them, and the front cache.

#![cfg(not(feature = "tiny"))]

#[cfg(test)]
mod common;

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break, BreakError, CellInfo, CellState, Heap, LockedHeap};
use proptest::prelude::*;

use crate::common::cases;
use crate::common::driver::DEFAULT_CACHE_LIMIT;
use crate::common::lengths::{asking_for, cell_for, taken_for, usable};
use crate::common::oracle::Oracle;
use crate::common::platform::{during_property, properties};
use crate::common::prelude::*;
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;
use crate::common::test_map::TestMap;

cases!(
    blocks_of_a_run_have_no_headers_and_the_run_is_found_by_masking,
    early_blocks_are_cells_until_runs_pay,
    blocks_of_no_bytes_are_as_aligned_as_they_must_be,
    empty_runs_become_cells_again_and_the_break_comes_down,
    one_empty_run_is_kept_for_the_next_request,
    the_front_cache_never_keeps_more_than_it_may,
    the_last_freed_block_comes_first,
    a_smaller_block_borrows_from_a_run_of_larger_ones_before_there_is_no_memory,
    a_request_that_would_fail_gets_what_the_front_cache_keeps,
    a_block_stays_in_its_class_and_moves_with_its_contents,
    to_become_smaller_never_fails_in_a_full_heap,
    a_mapped_block_that_became_small_for_want_of_memory_is_freed,
    the_page_map_grows_and_goes_with_the_runs,
    where_the_page_map_would_cost_too_much_blocks_are_cells,
    runs_begin_wherever_memory_begins,
    a_run_begins_where_little_more_is_free,
    runs_lie_on_either_side_of_what_others_took,
    the_counters_are_exact,
    all_of_a_block_may_be_used,
    what_was_reserved_for_a_small_block_suffices,
    try_allocate_begins_runs_in_what_there_is_only,
    a_heap_that_lost_memory_leaves_the_front_cache_alone,
    a_plain_heap_has_neither_runs_nor_cache,
    the_lock_passes_on_what_is_about_the_cache,
);

const WORD: usize = size_of::<usize>();
const UNIT: usize = 2 * WORD;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn heap_of(len: usize) -> Heap<TestBreak> {
    Heap::new(TestBreak::new(len, 0))
}

/// A heap that keeps no freed block from its run.
fn uncached(len: usize) -> Heap<TestBreak> {
    let mut heap = heap_of(len);
    heap.set_cache_limit(0);
    heap
}

fn try_allocate(heap: &mut Heap<TestBreak>, layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }
}

fn allocate(heap: &mut Heap<TestBreak>, layout: Layout) -> NonNull<u8> {
    try_allocate(heap, layout).expect("there is enough")
}

fn free(heap: &mut Heap<TestBreak>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout) };
}

fn free_all(heap: &mut Heap<TestBreak>, blocks: impl IntoIterator<Item = NonNull<u8>>, layout: Layout) {
    blocks.into_iter().for_each(|block| free(heap, block, layout));
    heap.check().unwrap();
}

/// As many blocks as there is memory for.
fn fill(heap: &mut Heap<TestBreak>, layout: Layout) -> Vec<NonNull<u8>> {
    core::iter::from_fn(|| try_allocate(heap, layout)).collect()
}

/// Sizes of the classes.
fn classes() -> Vec<usize> {
    Heap::new(TestBreak::new(1, 0)).small_requests().map(|(size, _)| size).collect()
}

fn runs(heap: &Heap<TestBreak>) -> Vec<CellInfo> {
    heap.cells().filter(|cell| matches!(cell.state, CellState::Run { .. })).collect()
}

fn is_in(block: NonNull<u8>, cell: &CellInfo) -> bool {
    (cell.address..cell.address + cell.size).contains(&block.addr().get())
}

/// Blocks until so many runs have begun.
fn blocks_until(heap: &mut Heap<TestBreak>, layout: Layout, wanted: usize) -> Vec<NonNull<u8>> {
    let mut blocks = Vec::new();
    while heap.stats().runs < wanted {
        blocks.push(allocate(heap, layout));
        assert!(blocks.len() < 10_000, "many blocks of {layout:?} earn no run");
    }
    heap.check().unwrap();
    blocks
}

fn assert_filled(block: NonNull<u8>, len: usize, byte: u8) {
    // SAFETY: callers name blocks that are live and that long.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), len) };
    assert_eq!(bytes.iter().position(|found| *found != byte), None, "of {len} bytes at {block:?}");
}

fn count(heap: &Heap<TestBreak>, state: CellState) -> usize {
    heap.cells().filter(|cell| cell.state == state).count()
}

fn blocks_of_a_run_have_no_headers_and_the_run_is_found_by_masking() {
    for size in classes().into_iter().filter(|&size| size >= taken_for(0)) {
        let mut heap = uncached(4 << 20);
        let layout = layout(asking_for(size), 1);
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

        let mut inside: Vec<_> = blocks.iter().filter(|block| is_in(**block, &run)).map(|block| block.addr().get()).collect();
        inside.sort_unstable();
        assert_eq!(inside.len(), total);
        assert!(inside.windows(2).all(|pair| pair[1] - pair[0] == size), "blocks of {size} bytes lie side by side");
        let align = UNIT.min(1 << size.trailing_zeros());
        assert!(inside.iter().all(|block| block % align == 0), "blocks of {size} bytes are aligned to {align}");
        assert!(run.size.is_power_of_two() && run.payload().is_multiple_of(run.size), "{run} is found by masking");
        assert!(inside.iter().all(|block| block & !(run.size - 1) == run.payload()), "{run} is found by masking");
        assert!(inside[0] > run.payload() && inside[total - 1] + size <= run.address + run.size);
        free_all(&mut heap, blocks, layout);
    }
}

fn early_blocks_are_cells_until_runs_pay() {
    for size in [8, 24, 100, 1_000] {
        let (mut heap, layout) = (uncached(4 << 20), layout(size, 1));
        let blocks = blocks_until(&mut heap, layout, 1);
        let cells = count(&heap, CellState::Used);
        assert_eq!(cells, blocks.len() - 1, "the last block is the run's first");
        // What they cost in headers and rounding is worth a good part of the run by then.
        let used: usize = heap.cells().filter(|cell| cell.state == CellState::Used).map(|cell| cell.size).sum();
        assert!(used - cells * size >= runs(&heap)[0].size / 8, "{cells} cells of {size} bytes");
        free_all(&mut heap, blocks, layout);
        heap.flush();
        blocks_until(&mut heap, layout, 1);
    }
}

fn blocks_of_no_bytes_are_as_aligned_as_they_must_be() {
    // Up to what every cell has.
    for align in [1, 2, 4, 8, 16].into_iter().filter(|&align| align <= UNIT) {
        let (mut heap, layout) = (uncached(1 << 20), layout(0, align));
        let blocks = blocks_until(&mut heap, layout, 2);
        assert!(blocks.iter().all(|block| block.addr().get().is_multiple_of(align)), "aligned to {align}");
        let distinct: BTreeSet<_> = blocks.iter().collect();
        assert_eq!(distinct.len(), blocks.len());
        free_all(&mut heap, blocks, layout);
    }
}

fn empty_runs_become_cells_again_and_the_break_comes_down() {
    let mut heap = heap_of(4 << 20);
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

fn one_empty_run_is_kept_for_the_next_request() {
    let (mut heap, layout) = (uncached(4 << 20), layout(40, 8));
    let mut blocks = blocks_until(&mut heap, layout, 4);
    free_all(&mut heap, blocks.drain(..), layout);
    let kept = runs(&heap);
    assert_eq!(kept.len(), 1, "of four runs that became empty");
    assert!(is_in(allocate(&mut heap, layout), &kept[0]), "it serves the next request");
    assert_eq!(heap.stats().runs, 1);
}

/// A step of a random program: what to do, with which block, and how large.
type Step = (u8, usize, usize);

proptest! {
    #![proptest_config(properties())]

    fn the_front_cache_never_keeps_more_than_it_may(
        steps in prop::collection::vec((0..16_u8, any::<usize>(), 0..1_100_usize), 1..300),
        limits in prop::collection::vec(0..200_000_usize, 1..4),
    ) {
        during_property(&(&limits, &steps), || keep_at_most(&limits, &steps));
    }
}

fn keep_at_most(limits: &[usize], steps: &[Step]) {
    let mut heap = heap_of(8 << 20);
    let mut oracle = Oracle::default();
    for limit in limits.iter().copied() {
        heap.set_cache_limit(limit);
        assert_eq!(heap.stats().cached_blocks, 0, "what was kept was given up");
        for (action, pick, size) in steps.iter().copied() {
            match action {
                0..8 => {
                    let layout = layout(size / (1 + pick % 20), 8);
                    oracle.add(allocate(&mut heap, layout), layout);
                }
                8..15 => {
                    let Some(block) = oracle.pick(pick) else { continue };
                    oracle.remove(&block);
                    free(&mut heap, block.at, block.layout);
                }
                _ => {
                    let Some(block) = oracle.pick(pick) else { continue };
                    // SAFETY: the oracle knows it as live, with this layout.
                    let at = unsafe { heap.reallocate(block.at, block.layout, size) }.unwrap();
                    oracle.moved(&block, at, layout(size, 8));
                }
            }
            let stats = heap.stats();
            assert!(stats.cached_bytes <= limit, "{} bytes in the cache, of {limit}", stats.cached_bytes);
        }
        heap.verify(&oracle);
    }
}

fn the_last_freed_block_comes_first() {
    let (mut heap, layout) = (heap_of(1 << 20), layout(50, 8));
    let blocks: Vec<_> = (0..5).map(|_| allocate(&mut heap, layout)).collect();
    free_all(&mut heap, blocks.iter().copied(), layout);
    assert_eq!(heap.stats().cached_blocks, 5);
    let again: Vec<_> = (0..5).map(|_| allocate(&mut heap, layout)).collect();
    assert!(again.iter().eq(blocks.iter().rev()), "{again:?} after {blocks:?}");
    // Who asks for another class gets none of them.
    free_all(&mut heap, again, layout);
    let other = allocate(&mut heap, Layout::from_size_align(80, 8).unwrap());
    assert!(!blocks.contains(&other));
}

fn a_smaller_block_borrows_from_a_run_of_larger_ones_before_there_is_no_memory() {
    let mut heap = uncached(256 << 10);
    // 72 bytes are no multiple of 16: every other block is aligned to 8 only.
    let (large, smaller, tiny) = (layout(asking_for(72), 8), layout(asking_for(56), 8), layout(1, 1));
    let blocks = fill(&mut heap, large);
    let rest = fill(&mut heap, tiny);
    let (aligned, other): (Vec<_>, Vec<_>) = blocks
        .iter()
        .copied()
        .filter(|block| runs(&heap).iter().any(|run| is_in(*block, run)))
        .partition(|block| block.addr().get() % 16 == 0);
    for lucky in [aligned[0], other[0]] {
        free(&mut heap, lucky, large);
        assert_eq!(try_allocate(&mut heap, layout(asking_for(64), 16)), None, "what is aligned by luck is not lent");
        assert_eq!(try_allocate(&mut heap, layout(asking_for(73), 1)), None, "a smaller block is not lent");
        assert_eq!(try_allocate(&mut heap, smaller), Some(lucky));
        heap.check().unwrap();
        assert_eq!(try_allocate(&mut heap, smaller), None);
        // SAFETY: a live block.
        assert_eq!(unsafe { heap.usable_size(lucky) }, usable(smaller.size(), 72));
        free(&mut heap, lucky, smaller);
        assert_eq!(try_allocate(&mut heap, large), Some(lucky), "it went back to where it belongs");
    }
    free_all(&mut heap, blocks, large);
    free_all(&mut heap, rest, tiny);
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

fn a_request_that_would_fail_gets_what_the_front_cache_keeps() {
    for (size, next) in [(24, 100_000), (24, 700), (500, 60)] {
        let mut heap = heap_of(128 << 10);
        let (small, next) = (layout(size, 8), layout(next, 8));
        let blocks = fill(&mut heap, small);
        free_all(&mut heap, blocks, small);
        let stats = heap.stats();
        assert!(stats.cached_blocks > 0 && stats.live_cells == 0);
        let asked = heap.provider().refused;
        let taken = fill(&mut heap, next);
        assert!(heap.provider().refused > asked);
        // All that there is serves the new ones.
        let least = if next.size() > 1024 { 1 } else { (128 << 10) * 8 / 10 / (next.size() + UNIT) };
        assert!(taken.len() >= least, "{} of {next:?} after {small:?}", taken.len());
        assert_eq!(heap.stats().cached_blocks, 0);
        free_all(&mut heap, taken, next);
        // SAFETY: the heap outlives the case.
        assert!(unsafe { heap.allocate_zeroed(layout(100_000, 8)) }.is_some(), "the same for zeros");
        heap.check().unwrap();
    }
}

fn a_block_stays_in_its_class_and_moves_with_its_contents() {
    for count in [1, 2_000] {
        let (mut heap, small) = (uncached(4 << 20), layout(97, 8));
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

fn to_become_smaller_never_fails_in_a_full_heap() {
    for old in [104, 200, 1_000, 3_000] {
        let mut heap = heap_of(256 << 10);
        let blocks = fill(&mut heap, layout(old, 8));
        let _rest = fill(&mut heap, layout(1, 1));
        for (index, block) in blocks.into_iter().enumerate() {
            let (mut at, mut size) = (block, old);
            // SAFETY: the block is that long.
            unsafe { at.write_bytes(index as u8, old) };
            for new in [old - 1, old - 9, old / 2, 40, 8, 0] {
                // SAFETY: the block is live, with this layout.
                let Some(smaller) = (unsafe { heap.reallocate(at, layout(size, 8), new) }) else {
                    // The one exception: blocks of the smaller class are more aligned than this one is.
                    assert!(!at.addr().get().is_multiple_of(UNIT), "{size} to {new} bytes at {at:?}");
                    continue;
                };
                (at, size) = (smaller, new);
                assert_filled(at, size, index as u8);
            }
        }
        heap.check().unwrap();
    }
}

fn a_mapped_block_that_became_small_for_want_of_memory_is_freed() {
    const LARGE: usize = 128 << 10;
    for limit in [0, DEFAULT_CACHE_LIMIT] {
        let mut heap = Heap::with_map(TestBreak::new(1 << 20, 0), TestMap::default());
        heap.set_cache_limit(limit);
        heap.provider_mut().refuse_grow = true;
        // SAFETY: the heap outlives the case.
        let block = unsafe { heap.allocate(layout(LARGE, 8)) }.unwrap();
        // SAFETY: the block is live.
        assert_eq!(unsafe { heap.reallocate(block, layout(LARGE, 8), 100) }, Some(block), "there is no heap to move to");
        assert_eq!((heap.stats().live_cells, heap.stats().mapped_blocks), (0, 1));
        // SAFETY: live until now, with this layout.
        unsafe { heap.deallocate(block, layout(100, 8)) };
        heap.check().unwrap();
        let stats = heap.stats();
        assert_eq!((stats.live_cells, stats.live_bytes, stats.mapped_blocks, stats.mapped_bytes), (0, 0, 0, 0));
        assert_eq!(stats.cached_blocks, heap.map_provider().count(), "it may stay in the front cache");
        heap.flush();
        heap.check().unwrap();
        assert_eq!((heap.map_provider().count(), heap.stats().cached_blocks), (0, 0));
    }
}

fn the_page_map_grows_and_goes_with_the_runs() {
    const MIB: usize = 1 << 20;
    let (mut heap, small) = (uncached(8 * MIB), layout(200, 8));
    let base = heap.provider().end().addr();
    let mut blocks = blocks_until(&mut heap, small, 1);
    let mut walls = Vec::new();
    assert_eq!(count(&heap, CellState::Internal), 1);
    for (above, leaves) in [(MIB, 2), (2 * MIB, 3), (4 * MIB, 4)] {
        let wall = layout(base + above - heap.stats().brk + (64 << 10), 1);
        walls.push((allocate(&mut heap, wall), wall));
        while runs(&heap).iter().all(|run| run.address < base + above) {
            blocks.push(allocate(&mut heap, small));
        }
        heap.check().unwrap();
        assert_eq!(count(&heap, CellState::Internal), leaves, "with a run {above} bytes up");
    }
    let of_runs: usize = runs(&heap).iter().map(|run| if let CellState::Run { live, .. } = run.state { live } else { 0 }).sum();
    let inside = blocks.iter().filter(|block| runs(&heap).iter().any(|run| is_in(**block, run)));
    assert_eq!(inside.clone().count(), of_runs);
    for block in inside {
        // SAFETY: a live block.
        assert_eq!(unsafe { heap.usable_size(*block) }, 200, "what lies in a run is known as such");
    }
    // From below: the first leaf goes while the others stay.
    for block in blocks {
        free(&mut heap, block, small);
    }
    assert!(count(&heap, CellState::Internal) <= 1, "one empty run is kept");
    heap.flush();
    heap.check().unwrap();
    assert_eq!(count(&heap, CellState::Internal), 0);
    for (block, layout) in walls {
        free(&mut heap, block, layout);
    }
    heap.assert_one_free_cell_a_region();
}

fn where_the_page_map_would_cost_too_much_blocks_are_cells() {
    let (mut heap, small) = (uncached(8 << 20), layout(200, 8));
    let blocks = blocks_until(&mut heap, small, 1);
    heap.provider_mut().foreign_up(5 << 20);
    let theirs = heap.provider().end().addr();
    let beyond: Vec<_> = (0..1_000).map(|_| allocate(&mut heap, small)).collect();
    heap.check().unwrap();
    assert!(beyond.iter().any(|block| block.addr().get() > theirs));
    assert!(runs(&heap).iter().all(|run| run.address < theirs), "a map of 4 MiB for some KiB");
    free_all(&mut heap, blocks, small);
    free_all(&mut heap, beyond, small);
    heap.flush();
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}

fn runs_begin_wherever_memory_begins() {
    for skew in [0, 1, 3, 8, 15, 16, 24, 4_087, 4_088, 4_089, 16_376] {
        let mut heap = Heap::new(TestBreak::new(1 << 20, skew));
        let mut oracle = Oracle::default();
        for size in [24, 300] {
            let blocks = blocks_until(&mut heap, layout(size, 8), 2);
            for block in blocks {
                oracle.add(block, layout(size, 8));
            }
        }
        heap.verify(&oracle);
        while let Some(block) = oracle.pick(7) {
            oracle.remove(&block);
            free(&mut heap, block.at, block.layout);
        }
        heap.flush();
        heap.verify(&oracle);
        heap.assert_one_free_cell_a_region();
    }
}

/// In a hole that is longer than a run, but not by a cell: the run's cell is as long as the hole.
fn a_run_begins_where_little_more_is_free() {
    const PAGE: usize = 4096;
    let mut longest = 0;
    for more in (0..2 * UNIT).step_by(WORD) {
        let mut heap = uncached(1 << 20);
        let small = layout(48, UNIT);
        let mut blocks = blocks_until(&mut heap, small, 1);
        let hole = layout(PAGE - WORD + more, PAGE);
        let place = allocate(&mut heap, hole);
        let behind = allocate(&mut heap, layout(10_000, 1));
        free(&mut heap, place, hole);
        blocks.extend(blocks_until(&mut heap, small, 2));
        let run = runs(&heap).into_iter().find(|run| run.address + WORD == place.addr().get()).expect("a run in the hole");
        longest = longest.max(run.size);
        free_all(&mut heap, blocks, small);
        free(&mut heap, behind, layout(10_000, 1));
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
    assert!(longest > PAGE, "no hole was longer than a run");
}

fn runs_lie_on_either_side_of_what_others_took() {
    let mut heap = heap_of(4 << 20);
    let mut oracle = Oracle::default();
    let small = layout(48, UNIT);
    for region in 1..=5 {
        while heap.stats().holes + 1 < region || heap.stats().runs < 4 * region {
            oracle.add(allocate(&mut heap, small), small);
        }
        heap.verify(&oracle);
        // An odd number, so that regions begin anywhere.
        heap.provider_mut().foreign_up(5_003);
        heap.reserve(100_000).unwrap();
    }
    let holes: Vec<_> = heap.cells().filter(|cell| cell.state == CellState::Hole).map(|cell| cell.address).collect();
    assert_eq!(holes.len(), 5);
    for end in &holes {
        let runs_below = runs(&heap).iter().filter(|run| run.address < *end).count();
        assert!(runs_below > 0);
    }
    assert!(runs(&heap).iter().any(|run| run.address > holes[3]), "runs behind the fourth hole");
    let mut pick = 0;
    while let Some(block) = oracle.pick(pick) {
        pick = pick.wrapping_mul(31).wrapping_add(7);
        oracle.remove(&block);
        free(&mut heap, block.at, block.layout);
    }
    heap.verify(&oracle);
    heap.flush();
    heap.verify(&oracle);
    heap.assert_one_free_cell_a_region();
    heap.provider().assert_foreign_untouched();
}

fn the_counters_are_exact() {
    let mut heap = heap_of(1 << 20);
    let (small, large) = (layout(asking_for(100), 8), layout(2_000, 8));
    let blocks: Vec<_> = (0..3).map(|_| allocate(&mut heap, small)).collect();
    // A cell for 104 bytes, the class's size.
    let payload = (104 + WORD).next_multiple_of(UNIT) - WORD;
    let stats = heap.stats();
    assert_eq!((stats.live_cells, stats.live_bytes, stats.cached_blocks, stats.cached_bytes), (3, 3 * payload, 0, 0));
    assert_eq!((stats.small_requests, stats.cache_hits, stats.large_requests), (3, 0, 0));

    free_all(&mut heap, [blocks[0], blocks[1]], small);
    let stats = heap.stats();
    assert_eq!((stats.live_cells, stats.live_bytes, stats.cached_blocks, stats.cached_bytes), (1, payload, 2, 2 * payload));
    allocate(&mut heap, small);
    let wall = allocate(&mut heap, large);
    let stats = heap.stats();
    assert_eq!((stats.live_cells, stats.cached_blocks), (3, 1));
    assert_eq!((stats.small_requests, stats.cache_hits, stats.large_requests), (4, 1, 1));
    free(&mut heap, wall, large);
    heap.flush();
    assert_eq!((heap.stats().live_cells, heap.stats().cached_blocks), (2, 0));

    // Without the cache every request is a miss, and what a run has free is counted as such.
    let (mut heap, tiny) = (uncached(1 << 20), layout(8, 8));
    let blocks = blocks_until(&mut heap, tiny, 1);
    let stats = heap.stats();
    let CellState::Run { total, block_size, .. } = runs(&heap)[0].state else { unreachable!() };
    assert_eq!(block_size, taken_for(8));
    assert_eq!((stats.small_requests as usize, stats.cache_hits), (blocks.len(), 0));
    assert_eq!((stats.live_cells, stats.runs, stats.free_run_bytes), (blocks.len(), 1, (total - 1) * block_size));
    assert_eq!(stats.run_bytes, runs(&heap)[0].payload_size());
    assert_eq!(stats.live_bytes, (blocks.len() - 1) * (cell_for(8) - WORD) + block_size);
    let by_size: BTreeMap<_, _> = heap.small_requests().collect();
    assert_eq!(by_size[&block_size] as usize, blocks.len());
    assert_eq!(by_size.values().sum::<u32>(), stats.small_requests);
    // SAFETY: the heap outlives the case.
    assert!(unsafe { heap.allocate_zeroed(tiny) }.is_some());
    assert_eq!(heap.stats().small_requests as usize, blocks.len() + 1);
    // SAFETY: the heap outlives the case.
    assert!(unsafe { heap.allocate_zeroed(layout(2_000, 8)) }.is_some());
    assert_eq!(heap.stats().large_requests, 1);
    // SAFETY: the heap outlives the case.
    assert!(unsafe { heap.try_allocate(layout(2_000, 8)) }.is_some());
    assert_eq!(heap.stats().large_requests, 2);
}

fn all_of_a_block_may_be_used() {
    for size in [1, 8, 100, 500, asking_for(1_024)] {
        let (mut heap, layout) = (uncached(4 << 20), layout(size, 1));
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

fn what_was_reserved_for_a_small_block_suffices() {
    for bytes in [0, 1, 25, 257, 513, 1_000, 1_024, 1_025] {
        // Memory that is just enough, or just not.
        for len in bytes..bytes + 100 {
            let mut heap = heap_of(len.max(1));
            if heap.reserve(bytes).is_ok() {
                // SAFETY: the heap outlives the case.
                assert!(unsafe { heap.try_allocate(layout(bytes, 1)) }.is_some(), "{bytes} bytes of {len}");
            }
        }
    }
}

fn try_allocate_begins_runs_in_what_there_is_only() {
    let (mut heap, small) = (heap_of(1 << 20), layout(24, 8));
    heap.reserve(100_000).unwrap();
    let asked = heap.provider().asked;
    // SAFETY: the heap outlives the case.
    let blocks: Vec<_> = core::iter::from_fn(|| unsafe { heap.try_allocate(small) }).collect();
    assert_eq!(heap.provider().asked, asked);
    assert!(heap.stats().runs > 0);
    assert!(blocks.len() * taken_for(24) >= 80_000, "{} blocks of 24 bytes in what was reserved", blocks.len());
    free_all(&mut heap, blocks, small);
}

fn a_heap_that_lost_memory_leaves_the_front_cache_alone() {
    let (mut heap, small) = (heap_of(1 << 20), layout(40, 8));
    let mut blocks = blocks_until(&mut heap, small, 2);
    let live = blocks.pop().unwrap();
    free_all(&mut heap, blocks, small);
    assert!(heap.stats().cached_blocks > 0);
    let granted = heap.stats().granted_bytes;
    heap.provider_mut().foreign_down(granted);
    assert_eq!(heap.reserve(1 << 19), Err(BreakError::MemoryTaken));
    heap.provider_mut().foreign_up(granted);
    // SAFETY: the heap outlives the case, and the block is live.
    unsafe {
        assert_eq!(heap.allocate(small), None);
        assert_eq!(heap.allocate_zeroed(small), None);
        assert_eq!(heap.try_allocate(small), None);
        assert_eq!(heap.reallocate(live, small, 400), None);
        heap.deallocate(live, small);
    }
    heap.flush();
    heap.set_cache_limit(1 << 20);
    assert_eq!((heap.trim(0), heap.cells().count(), heap.stats().cached_blocks), (0, 0, 0));
    assert!(heap.check().is_err());
    heap.provider().assert_foreign_untouched();
}

fn a_plain_heap_has_neither_runs_nor_cache() {
    let (mut heap, small) = (Heap::plain(TestBreak::new(1 << 20, 0)), layout(24, 8));
    heap.set_cache_limit(1 << 20);
    let blocks: Vec<_> = (0..2_000).map(|_| allocate(&mut heap, small)).collect();
    assert_eq!((heap.stats().runs, heap.stats().small_requests, count(&heap, CellState::Used)), (0, 0, 2_000));
    free_all(&mut heap, blocks, small);
    assert_eq!(heap.stats().cached_blocks, 0);
    heap.assert_one_free_cell_a_region();
}

fn the_lock_passes_on_what_is_about_the_cache() {
    let cached_after_free = |heap: &LockedHeap<TestBreak>| {
        // SAFETY: the heap outlives the block, which is freed once.
        unsafe {
            let block = heap.allocate(layout(40, 8)).unwrap();
            heap.deallocate(block, layout(40, 8));
        }
        heap.stats().cached_blocks
    };
    let heap = LockedHeap::new(TestBreak::new(1 << 16, 0));
    assert_eq!(cached_after_free(&heap), 1);
    heap.flush();
    assert_eq!(heap.stats().cached_blocks, 0);
    heap.set_cache_limit(0);
    assert_eq!(cached_after_free(&heap), 0);
    assert_eq!(cached_after_free(&LockedHeap::plain(TestBreak::new(1 << 16, 0))), 0);
}
