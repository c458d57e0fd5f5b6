//! The front cache: how much it keeps, who gets what it keeps, and when it gives way.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{BreakError, CellState};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::small::{
    SmallBlockHeap, allocate, blocks_until, count, fill, free, free_all, heap_of, layout,
};
use crate::common::subject::Subject;

#[case(Usual, Checked<Usual>)]
fn the_last_freed_block_comes_first<P: Variant>() {
    let (mut heap, layout) = (heap_of::<P>(1 << 20), layout(50, 8));
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

#[case(Usual, Checked<Usual>)]
fn a_request_that_would_fail_gets_what_the_front_cache_keeps<P: Variant>() {
    for (size, next) in [(24, 100_000), (24, 700), (500, 60)] {
        let mut heap = heap_of::<P>(128 << 10);
        let (small, next) = (layout(size, 8), layout(next, 8));
        let blocks = fill(&mut heap, small);
        free_all(&mut heap, blocks, small);
        let stats = heap.stats();
        assert!(stats.cached_blocks > 0 && stats.live_cells == 0);
        let asked = heap.provider().refused;
        let taken = fill(&mut heap, next);
        assert!(heap.provider().refused > asked);
        // All that there is serves the new ones.
        let least =
            if next.size() > 1024 { 1 } else { (128 << 10) * 8 / 10 / (next.size() + UNIT) };
        assert!(taken.len() >= least, "{} of {next:?} after {small:?}", taken.len());
        assert_eq!(heap.stats().cached_blocks, 0);
        free_all(&mut heap, taken, next);
        // SAFETY: the heap outlives the case.
        assert!(
            // SAFETY: the heap outlives the case.
            unsafe { heap.allocate_zeroed(layout(100_000, 8)) }.is_some(),
            "the same for zeros"
        );
        heap.check().unwrap();
    }
}

#[case(Usual, Checked<Usual>)]
fn a_heap_that_lost_memory_leaves_the_front_cache_alone<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(40, 8));
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
    assert_eq!((heap.trim(0), heap.cells().count(), heap.stats().cached_blocks), (0, 0, 0));
    assert!(heap.check().is_err());
    heap.provider().assert_foreign_untouched();
}

/// A heap that is large enough to keep cells, and two blocks, of which the first can merge with
/// nothing.
fn heap_that_keeps<P: Variant>(size: usize) -> (SmallBlockHeap<P>, [NonNull<u8>; 2]) {
    let mut heap = heap_of(16 << 20);
    allocate(&mut heap, layout(8 << 20, 8));
    let blocks = [(); 2].map(|()| allocate(&mut heap, layout(size, 8)));
    (heap, blocks)
}

#[case(Usual, Checked<Usual>)]
fn a_kept_cell_serves_who_needs_about_as_much<P: Variant>() {
    for (size, less) in [(3000, 2800), (3900, 3700), (1100, 1050)] {
        let (mut heap, [block, _wall]) = heap_that_keeps::<P>(size);
        free(&mut heap, block, layout(size, 8));
        assert_eq!(heap.stats().cached_blocks, 1, "{size} bytes are kept");
        assert_eq!(allocate(&mut heap, layout(less, 8)), block, "{less} bytes where {size} were");
        heap.check().unwrap();
    }
    for (size, other) in [(3000, 2600), (3000, 3100), (3900, 3000), (1100, 1030)] {
        let (mut heap, [block, _wall]) = heap_that_keeps::<P>(size);
        free(&mut heap, block, layout(size, 8));
        let served = allocate(&mut heap, layout(other, 8));
        // SAFETY: a live block.
        let usable = unsafe { heap.usable_size(served) };
        assert!(
            (other..=other + other / 8 + 16).contains(&usable),
            "{usable} bytes for {other} where {size} were"
        );
    }
}

#[case(Usual, Checked<Usual>)]
fn of_freed_cells_a_part_of_the_heap_is_kept_at_most<P: Variant>() {
    let (mut heap, _) = heap_that_keeps::<P>(100);
    let sizes: Vec<_> = (0..240).map(|n| 1_200 + n % 24 * 30 * WORD).collect();
    let pairs = sizes.iter().map(|&size| [(); 2].map(|()| allocate(&mut heap, layout(size, 8))));
    let blocks: Vec<_> = pairs.collect();
    let most = heap.stats().granted_bytes / 32;
    for (&[block, _wall], &size) in blocks.iter().zip(&sizes) {
        free(&mut heap, block, layout(size, 8));
        assert!(heap.stats().cached_bytes <= most);
    }
    assert!(heap.stats().cached_bytes > most / 4 * 3, "{}", heap.stats());
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn a_plain_heap_has_neither_runs_nor_cache<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(24, 8));
    let blocks: Vec<_> = (0..2_000).map(|_| allocate(&mut heap, small)).collect();
    assert_eq!(
        (heap.stats().runs, heap.block_sizes().count(), count(&heap, CellState::Used)),
        (0, 0, 2_000)
    );
    free_all(&mut heap, blocks, small);
    assert_eq!(heap.stats().cached_blocks, 0);
    heap.assert_one_free_cell_a_region();
}
