//! Slabs: how much memory they take and hold back, and when they give it up.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{BreakError, CellState, FixedBreak, Heap, Locked, LockedHeap, NoMap, PlainHeap};

use crate::common::case;
use crate::common::platform::Memory;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant};
use crate::common::regions::arena;
use crate::common::small::{
    allocate, assert_filled, blocks_until, count, fill, free, free_all, heap_of, is_in, layout,
    loans, slabs,
};
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;

/// A break over the memory from `offset` on.
fn fixed(memory: &Memory, offset: usize, len: usize) -> FixedBreak {
    // SAFETY: the memory is the break's alone, and outlives the heap.
    unsafe { FixedBreak::from_raw(memory.base().add(offset).as_ptr(), len) }
}

/// As many blocks as there is memory for.
fn fill_fixed<P: Variant>(
    heap: &mut Heap<FixedBreak, NoMap, P>,
    layout: Layout,
) -> Vec<NonNull<u8>> {
    // SAFETY: the memory outlives the case.
    core::iter::from_fn(|| unsafe { heap.allocate(layout) }).collect()
}

#[case(Usual)]
fn blocks_of_16_bytes_fill_64_kib_wherever_they_begin<P: Variant>() {
    const LEN: usize = 64 << 10;
    for offset in [0, 8, 64, 1000] {
        let memory = arena(LEN + offset);
        let mut heap = Heap::<_, _, P>::with_profile(fixed(&memory, offset, LEN), NoMap);
        let blocks = fill_fixed(&mut heap, layout(16, 8));
        heap.check().unwrap();
        let (bytes, distinct) = (16 * blocks.len(), blocks.iter().collect::<BTreeSet<_>>());
        assert_eq!(distinct.len(), blocks.len());
        assert!(bytes * 10 >= LEN * 9, "{bytes} bytes in blocks, {offset} above a boundary");
    }
}

#[case(Usual)]
fn pages_of_4_kib_use_nearly_all_of_4_mib<P: Variant>() {
    const LEN: usize = 4 << 20;
    let mut heap = heap_of::<P>(LEN);
    let blocks = fill(&mut heap, layout(4096, 4096));
    assert!(blocks.iter().all(|page| page.addr().get().is_multiple_of(4096)));
    let bytes = 4096 * blocks.len();
    assert!(bytes * 100 >= LEN * 95, "{bytes} bytes in pages");
    free_all(&mut heap, blocks, layout(4096, 4096));
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

#[case(Usual)]
fn a_request_that_fits_only_without_rounding_is_served<P: Variant>() {
    const LEN: usize = 1024;
    let memory = arena(LEN);
    let fresh = || Heap::<_, _, P>::with_profile(fixed(&memory, 0, LEN), NoMap);
    let mut reserved = fresh();
    reserved.reserve(900).unwrap();
    let largest = reserved.stats().largest_free;
    assert!(largest >= 900);
    for size in 1..=largest {
        let mut heap = fresh();
        heap.reserve(900).unwrap();
        // SAFETY: the memory outlives the heap.
        assert!(unsafe { heap.allocate(layout(size, 8)) }.is_some(), "{size} of {largest} bytes");
        heap.check().unwrap();
    }
    for size in 1..=LEN {
        let mut plain = PlainHeap::with_profile(fixed(&memory, 0, LEN), NoMap);
        // SAFETY: the memory outlives the heap.
        let is_served = unsafe { plain.allocate(layout(size, 8)) }.is_some();
        // SAFETY: the memory outlives the heap.
        let block = unsafe { fresh().allocate(layout(size, 8)) };
        assert_eq!(block.is_some(), is_served, "{size} bytes");
        assert!(is_served || size > 1000, "{size} bytes");
    }
}

#[case(Usual, Checked<Usual>)]
fn a_block_that_is_resized_to_its_usable_size_stays<P: Variant>() {
    let mut heap = heap_of::<P>(16 << 20);
    for size in (1..300).step_by(13).chain([500, 513, 1_000, 1_025, 1_100, 2_049, 3_000, 4_000]) {
        for align in [1, 8, 16, 64] {
            let small = Layout::from_size_align(size, align).unwrap();
            let blocks: Vec<_> = (0..120).map(|_| allocate(&mut heap, small)).collect();
            // Mostly cells, then blocks of slabs.
            for block in blocks {
                let mut now = small;
                // SAFETY: a live block.
                let usable = unsafe { heap.usable_size(block) };
                for new in [size, usable, usable, usable - usable / 16] {
                    // SAFETY: a live block of this layout.
                    let resized = unsafe { heap.reallocate(block, now, new) };
                    assert_eq!(resized, Some(block), "{new} of {usable} bytes, {small:?}");
                    now = Layout::from_size_align(new, align).unwrap();
                }
                free(&mut heap, block, now);
            }
            heap.check().unwrap();
        }
    }
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn a_freed_cell_is_coalesced_at_once<P: Variant>() {
    let mut heap = heap_of::<P>(1 << 20);
    for size in [8, 100, 300, 10_000] {
        let blocks: Vec<_> = (0..3).map(|_| allocate(&mut heap, layout(size, 8))).collect();
        free_all(&mut heap, blocks, layout(size, 8));
        heap.assert_one_free_cell_a_region();
    }
}

#[case(Usual, Checked<Usual>)]
fn freed_blocks_of_a_slab_serve_the_next_requests_of_their_class<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(50, 8));
    let mut blocks = blocks_until(&mut heap, small, 3);
    while heap.stats().free_slab_bytes > 0 {
        blocks.push(allocate(&mut heap, small));
    }
    let in_slabs = slabs(&heap);
    let is_in_slab = |block: &NonNull<u8>| in_slabs.iter().any(|slab| is_in(*block, slab));
    let freed: BTreeSet<_> = blocks.into_iter().filter(is_in_slab).step_by(3).collect();
    free_all(&mut heap, freed.iter().copied(), small);
    // A request of another class gets none of them.
    assert!(!freed.contains(&allocate(&mut heap, layout(80, 8))));
    let again: BTreeSet<_> = (0..freed.len()).map(|_| allocate(&mut heap, small)).collect();
    assert_eq!(again, freed);
    assert_eq!(heap.stats().free_slab_bytes, 0);
}

#[case(Usual, Checked<Usual>)]
fn a_request_that_would_fail_gets_what_slabs_hold_back<P: Variant>() {
    for (size, next) in [(24, 100_000), (24, 700), (500, 60), (40, 4_000), (200, 30)] {
        const LEN: usize = 128 << 10;
        let mut heap = heap_of::<P>(LEN);
        let (small, next) = (layout(size, 8), layout(next, 8));
        let blocks = fill(&mut heap, small);
        assert!(heap.stats().slabs > 0, "{small:?}");
        free_all(&mut heap, blocks, small);
        assert_eq!(heap.stats().live_cells, 0);
        let asked = heap.provider().refused;
        let taken = fill(&mut heap, next);
        assert!(heap.provider().refused > asked);
        // All that there is serves the new ones.
        let least = if next.size() > 4096 { 1 } else { LEN * 8 / 10 / P::cell_for(next.size()) };
        assert!(taken.len() >= least, "{} of {next:?} after {small:?}", taken.len());
        free_all(&mut heap, taken, next);
        // SAFETY: the heap outlives the case.
        let zeroed = unsafe { heap.allocate_zeroed(layout(100_000, 8)) };
        assert_filled(zeroed.expect("the same for zeros"), 100_000, 0);
        heap.check().unwrap();
        heap.flush();
        heap.check().unwrap();
        assert_eq!((heap.stats().slabs, count(&heap, CellState::Internal)), (0, 0));
    }
}

#[case(Usual, Checked<Usual>)]
fn slabs_on_loan_are_a_small_part_of_the_heap<P: Variant>() {
    let mut heap = heap_of::<P>(16 << 20);
    let mut blocks = Vec::new();
    // Few blocks of each class, and cells of their sizes waste nothing: no slab pays.
    for size in (24..=1_000).step_by(16) {
        for _ in 0..(2_000 / size).max(2) {
            blocks.push((allocate(&mut heap, layout(size, 8)), layout(size, 8)));
        }
        let stats = heap.stats();
        let bytes: usize = slabs(&heap).iter().map(|slab| slab.size).sum();
        assert!(bytes <= loans(&heap) + UNIT, "{bytes} bytes in slabs: {stats}");
    }
    for (block, layout) in blocks {
        free(&mut heap, block, layout);
    }
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn a_heap_with_little_ahead_begins_no_slab_for_a_few_blocks<P: Variant>() {
    // The same blocks in the same granted memory; only what the provider may still grant differs.
    for (ahead, begins) in [(1 << 14, false), (1 << 22, true)] {
        let mut heap = heap_of::<P>((1 << 16) + ahead);
        for size in [100, 200, 300] {
            for _ in 0..4_000 / size {
                allocate(&mut heap, layout(size, 8));
            }
        }
        assert_eq!(heap.stats().granted_bytes, 1 << 16);
        assert_eq!(heap.stats().slabs > 0, begins, "{ahead} bytes ahead");
    }
}

#[case(Usual, Checked<Usual>)]
fn medium_blocks_are_cells_once_little_is_ahead<P: Variant>() {
    // The same blocks; only what the provider may still grant differs.
    for (len, begins) in [(1 << 20, false), (64 << 20, true)] {
        let mut heap = heap_of::<P>(len);
        for _ in 0..700 {
            allocate(&mut heap, layout(1_300, 8));
        }
        let in_slabs: usize = slabs(&heap).iter().map(|slab| slab.size).sum();
        let granted = heap.stats().granted_bytes;
        assert_eq!(in_slabs > granted / 2, begins, "{in_slabs} of {granted} bytes, {len} in all");
    }
}

#[case(Usual, Checked<Usual>)]
fn a_heap_that_lost_memory_leaves_slabs_alone<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(40, 8));
    let mut blocks = blocks_until(&mut heap, small, 2);
    let live = blocks.pop().unwrap();
    free_all(&mut heap, blocks, small);
    assert!(heap.stats().slabs > 0 && heap.stats().free_slab_bytes > 0);
    let granted = heap.stats().granted_bytes;
    heap.provider_mut().foreign_down(granted);
    assert_eq!(heap.reserve(1 << 19), Err(BreakError::MemoryTaken));
    heap.provider_mut().foreign_up(granted);
    // SAFETY: the heap outlives the case, and the block is live.
    unsafe {
        assert_eq!(heap.allocate(small), None);
        assert_eq!(heap.allocate(layout(0, 1)), None);
        assert_eq!(heap.allocate_zeroed(small), None);
        assert_eq!(heap.try_allocate(small), None);
        assert_eq!(heap.reallocate(live, small, 400), None);
        assert_eq!(heap.reallocate(live, small, 30), None);
        assert_eq!(heap.usable_size(live), 0);
        heap.deallocate(live, small);
    }
    heap.flush();
    assert_eq!((heap.trim(0), heap.cells().count(), heap.stats().slabs), (0, 0, 0));
    assert!(heap.check().is_err());
    heap.provider().assert_foreign_untouched();
}

#[case(Plain, Small, Checked<Plain>)]
fn a_plain_heap_has_no_slabs<P: Variant>() {
    let (mut heap, small) = (heap_of::<P>(1 << 20), layout(24, 8));
    let blocks: Vec<_> = (0..2_000).map(|_| allocate(&mut heap, small)).collect();
    assert_eq!((heap.stats().slabs, count(&heap, CellState::Used)), (0, 2_000));
    free_all(&mut heap, blocks, small);
    heap.assert_one_free_cell_a_region();
}

#[case(Usual, Checked<Usual>)]
fn the_lock_passes_on_a_flush<P: Variant>() {
    let heap: LockedHeap<TestBreak, NoMap, P> = Locked::from_heap(heap_of::<P>(1 << 20));
    let small = layout(40, 8);
    // SAFETY: the heap outlives the blocks, which are freed once.
    let blocks: Vec<_> = (0..1_000).map(|_| unsafe { heap.allocate(small) }.unwrap()).collect();
    blocks.into_iter().for_each(|block| {
        // SAFETY: live until now, with this layout.
        unsafe { heap.deallocate(block, small) };
    });
    assert_eq!(heap.stats().slabs, 1, "one is kept for the next request");
    heap.flush();
    assert_eq!((heap.stats().slabs, heap.stats().free_cells), (0, 1));
}

/// [`Heap::reserve`] promises so, whether or not a slab is due.
#[case(Usual, Checked<Usual>)]
fn a_block_that_was_reserved_does_not_move_the_break<P: Variant>() {
    for size in [16, 48, 200, 1_000, 3_000] {
        let (mut heap, small) = (heap_of::<P>(4 << 20), layout(size, 8));
        let mut moves = Vec::new();
        for number in 0..1_000 {
            heap.reserve(size).unwrap();
            let asked = heap.provider().asked;
            allocate(&mut heap, small);
            if heap.provider().asked != asked {
                moves.push(number);
            }
        }
        assert_eq!(moves, [0; 0], "blocks of {size} bytes");
    }
}

#[case(Usual, Checked<Usual>)]
fn nothing_that_describes_slabs_holds_the_break_up<P: Variant>() {
    let mut heap = heap_of::<P>(64 << 20);
    let layout = layout(200, 8);
    // A few blocks that stay, below many that go.
    let few: Vec<_> = (0..1_000).map(|_| allocate(&mut heap, layout)).collect();
    heap.trim(0);
    let before = heap.size();
    let many: Vec<_> = (0..100_000).map(|_| allocate(&mut heap, layout)).collect();
    assert!(heap.size() > before + 100_000 * 200);
    free_all(&mut heap, many, layout);
    heap.check().unwrap();
    heap.trim(0);
    heap.check().unwrap();
    assert!(heap.size() < before + before / 4, "{} of {before}: {}", heap.size(), heap.stats());
    free_all(&mut heap, few, layout);
    assert_eq!((heap.trim(0) > 0, heap.size()), (true, 0));
}
