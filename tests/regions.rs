//! Memory that is added to a heap: it is found wherever it lies, and regions that touch are one.

#![cfg(not(feature = "tiny"))]

#[cfg(test)]
mod common;

use core::ptr::{self, NonNull};

use crate::common::cases;
use crate::common::lengths::{RECORD, UNIT, WORD, asking_for, cell_for};
use crate::common::platform::{during_property, properties};
use crate::common::prelude::*;
use crate::common::regions::{
    BELOW, ENDS, PAGE, add, allocate, arena, bare, free, heap, layout, states,
};
use crate::common::test_break::{BadBreak, Part};
use brkalloc::CellState::{Free, Hole, Top, Used};
use brkalloc::{Break, BreakError, FixedBreak, Heap, LockedHeap, RegionError, Rule};
use proptest::prelude::*;

cases!(
    a_region_apart_is_a_free_cell_between_its_ends,
    one_block_can_have_all_that_a_region_gained,
    a_region_that_fills_a_hole_joins_both_sides,
    regions_are_all_there_is_before_the_first_grant,
    a_heap_can_live_from_regions_alone,
    cells_of_added_memory_are_kept_as_those_of_granted_memory_are,
    zeros_come_from_what_was_kept_where_the_break_gives_nothing,
    what_cannot_be_used_changes_nothing,
    the_least_region_holds_the_least_block_at_every_alignment,
    a_stopped_heap_takes_nothing,
    a_locked_heap_takes_regions_too,
    an_overwritten_head_is_found,
    a_link_that_leads_into_a_hole_is_not_followed,
    pieces_in_any_order_become_one,
);

fn a_region_apart_is_a_free_cell_between_its_ends() {
    let mut heap = heap();
    let _block = allocate(&mut heap, 100);
    assert_eq!(add(&mut heap, BELOW, Part::Lower, 1024), 1024 - ENDS);
    assert_eq!(states(&heap), [Free, Hole, Used, Top]);
    assert_eq!(add(&mut heap, 1, Part::Upper, 512), 512 - ENDS);
    assert_eq!(states(&heap), [Free, Hole, Used, Top, Hole, Free]);
    let stats = heap.stats();
    assert_eq!((stats.added_bytes, stats.granted_bytes, stats.holes), (1536, PAGE, 2));
    assert!(stats.to_string().contains(", added 1536 B"), "{stats}");
}

fn one_block_can_have_all_that_a_region_gained() {
    let mut heap = heap();
    heap.provider_mut().refuse_grow = true;
    let gained = add(&mut heap, BELOW, Part::Lower, 1024);
    let size = asking_for(gained - WORD);
    let block = allocate(&mut heap, size);
    assert!(heap.provider().owns(block.addr().get()..block.addr().get() + size));
}

fn a_region_that_fills_a_hole_joins_both_sides() {
    for refill in [1000, PAGE] {
        let mut heap = heap();
        let below = allocate(&mut heap, 100);
        heap.provider_mut().foreign_up(refill);
        let above = allocate(&mut heap, PAGE);
        assert_eq!(states(&heap), [Used, Free, Hole, Used, Top]);
        add(&mut heap, 1, Part::Whole, 0);
        assert_eq!((states(&heap), heap.stats().holes), (vec![Used, Free, Used, Top], 0));
        free(&mut heap, below, 100);
        assert_eq!(states(&heap), [Free, Used, Top]);
        free(&mut heap, above, PAGE);
        assert_eq!(states(&heap), [Top]);
        let last = heap.provider().granted() - PAGE;
        assert_eq!(
            heap.trim(0),
            last,
            "what was granted above the hole goes; what is below what was added cannot"
        );
        heap.check().unwrap();
    }
}

fn regions_are_all_there_is_before_the_first_grant() {
    let mut heap = heap();
    add(&mut heap, 1, Part::Middle, 1000);
    add(&mut heap, BELOW, Part::Upper, 1000);
    assert_eq!((states(&heap), heap.stats().brk), (vec![Free, Hole, Free], 0));
    let block = allocate(&mut heap, 700);
    assert_eq!(heap.provider().asked, 0, "the break need not move for what there is");
    assert_eq!(states(&heap).iter().filter(|state| **state == Used).count(), 1);
    // The first grant touches the one below it.
    let large = allocate(&mut heap, PAGE);
    assert_eq!((heap.stats().holes, states(&heap).contains(&Top)), (1, true));
    free(&mut heap, large, PAGE);
    free(&mut heap, block, 700);
    assert_eq!(states(&heap), [Top, Hole, Free]);
}

fn a_heap_can_live_from_regions_alone() {
    let (mut heap, arena) = (bare(), arena(64 * PAGE));
    let memory = arena.base();
    let mut blocks = Vec::new();
    for page in [5, 1, 9, 33] {
        // SAFETY: memory that nobody else uses.
        unsafe { heap.add_region(memory.as_ptr().add(page * PAGE), PAGE) }.unwrap();
        // SAFETY: the memory outlives the heap.
        while let Some(block) = unsafe { heap.allocate(layout(500)) } {
            blocks.push(block);
            heap.check().unwrap();
        }
    }
    assert_eq!(blocks.len(), 4 * ((PAGE - ENDS) / cell_for(500)));
    for block in blocks {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout(500)) };
    }
    heap.check().unwrap();
    assert_eq!((states(&heap), heap.trim(0)), (vec![Free, Hole, Free, Hole, Free, Hole, Free], 0));
    assert_eq!(heap.reserve(PAGE), Err(BreakError::OutOfAddresses));
}

fn cells_of_added_memory_are_kept_as_those_of_granted_memory_are() {
    // SAFETY: no bytes at all.
    let mut heap = Heap::new(unsafe { FixedBreak::from_raw(NonNull::dangling().as_ptr(), 0) });
    let arena = arena(256 * PAGE);
    // SAFETY: memory that nobody else uses, and that outlives the heap.
    unsafe { heap.add_region(arena.base().as_ptr(), 256 * PAGE) }.unwrap();
    // SAFETY: as above.
    let [block, _wall] = [(); 2].map(|()| unsafe { heap.allocate(layout(3000)) }.unwrap());
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout(3000)) };
    assert_eq!(
        (states(&heap), heap.stats().cached_blocks),
        (vec![Used, Used, Free], 1),
        "it is not merged, but kept"
    );
    // SAFETY: the memory outlives the heap.
    assert_eq!(unsafe { heap.allocate(layout(3000)) }, Some(block));
    heap.check().unwrap();
}

/// The break promises zeros, but never granted anything.
fn zeros_come_from_what_was_kept_where_the_break_gives_nothing() {
    let (mut heap, arena) = (Heap::new(BadBreak::<true>::new(PAGE, 0)), arena(PAGE));
    heap.provider_mut().refuse_grow = true;
    // SAFETY: memory that nobody else uses.
    unsafe { heap.add_region(arena.base().as_ptr(), PAGE) }.unwrap();
    let mut blocks = Vec::new();
    // SAFETY: the memory outlives the heap.
    while let Some(block) = unsafe { heap.allocate(layout(900)) } {
        // SAFETY: the block is that long.
        unsafe { block.write_bytes(0xFF, 900) };
        blocks.push(block);
    }
    for block in blocks {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout(900)) };
    }
    // SAFETY: the memory outlives the heap.
    let block = unsafe { heap.allocate_zeroed(layout(2000)) }.expect("what is kept is given up");
    // SAFETY: the block is that long.
    assert!(
        // SAFETY: the block is that long.
        unsafe { core::slice::from_raw_parts(block.as_ptr(), 2000) }.iter().all(|&byte| byte == 0)
    );
    heap.check().unwrap();
}

fn what_cannot_be_used_changes_nothing() {
    let mut heap = heap();
    let _block = allocate(&mut heap, 100);
    let brk = heap.provider().end();
    let (before, cells) = (heap.stats(), heap.cells().collect::<Vec<_>>());
    let mut refused = |base: *mut u8, len: usize, error| {
        // SAFETY: what is refused is not touched.
        assert_eq!(unsafe { heap.add_region(base, len) }, Err(error), "{len} bytes at {base:?}");
        heap.check().unwrap();
        assert_eq!((heap.stats(), heap.cells().collect::<Vec<_>>()), (before, cells.clone()));
    };
    let far = ptr::without_provenance_mut(brk.addr() / 2);
    refused(ptr::null_mut(), PAGE, RegionError::Null);
    refused(ptr::without_provenance_mut(usize::MAX - 100), 200, RegionError::Wraps);
    refused(far, usize::MAX, RegionError::Wraps);
    refused(far, 0, RegionError::TooShort);
    refused(far, ENDS + 2 * UNIT - 1, RegionError::TooShort);
    refused(far, isize::MAX as usize + 1, RegionError::TooLong);
    refused(brk, 0, RegionError::TooShort);
    let is_high = brk.addr().checked_add(isize::MAX as usize).is_none();
    refused(
        brk,
        isize::MAX as usize,
        if is_high { RegionError::Wraps } else { RegionError::TooLong },
    );
    for (from, len) in
        [(1, 1), (1, PAGE), (PAGE, 1), (PAGE, 3 * PAGE), (PAGE + 100, 101), (100, 50), (PAGE, PAGE)]
    {
        refused(brk.wrapping_sub(from), len, RegionError::Overlaps);
    }
    for error in [RegionError::Null, RegionError::HeapStopped] {
        assert!(error.to_string().contains("a region"), "{error}");
    }
}

fn the_least_region_holds_the_least_block_at_every_alignment() {
    let arena = arena(PAGE);
    let memory = arena.base();
    for skew in 0..2 * UNIT {
        for len in 1..10 * WORD + RECORD {
            let mut heap = bare();
            // SAFETY: memory that nobody else uses.
            let added = unsafe { heap.add_region(memory.as_ptr().add(skew), len) };
            heap.check().unwrap();
            let ends = (UNIT - skew % UNIT) % UNIT + ENDS + (skew + len) % UNIT;
            match added {
                Ok(gained) => assert_eq!(gained, len - ends),
                Err(error) => assert!(
                    error == RegionError::TooShort && len < ends + 2 * UNIT,
                    "{len} bytes, skewed by {skew}"
                ),
            }
            // With a record, the least block is longer than the least region.
            let fits = added.is_ok_and(|gained| gained >= cell_for(1));
            // SAFETY: the memory outlives the heap.
            assert_eq!(unsafe { heap.allocate(layout(1)) }.is_some(), fits);
        }
    }
}

fn a_stopped_heap_takes_nothing() {
    let mut heap = heap();
    let _block = allocate(&mut heap, 2 * PAGE);
    heap.provider_mut().foreign_down(PAGE);
    assert!(heap.reserve(PAGE).is_err() || heap.reserve(20 * PAGE).is_err());
    let (base, len) = heap.provider_mut().hand_over(BELOW, Part::Whole, 0).unwrap();
    // SAFETY: it is nobody else's.
    assert_eq!(unsafe { heap.add_region(base, len) }, Err(RegionError::HeapStopped));
    assert!(!heap.owns(base) && heap.cells().next().is_none());
}

fn a_locked_heap_takes_regions_too() {
    // SAFETY: no bytes at all.
    let heap = LockedHeap::new(unsafe { FixedBreak::from_raw(NonNull::dangling().as_ptr(), 0) });
    let arena = arena(PAGE);
    // SAFETY: memory that nobody else uses.
    let gained = unsafe { heap.add_region(arena.base().as_ptr(), PAGE) };
    assert_eq!((gained, heap.stats().added_bytes), (Ok(PAGE - ENDS), PAGE));
    heap.check().unwrap();
}

fn an_overwritten_head_is_found() {
    let (mut heap, arena) = (bare(), arena(4 * PAGE));
    let memory = arena.base();
    for offset in [0, 2 * PAGE] {
        // SAFETY: memory that nobody else uses.
        unsafe { heap.add_region(memory.as_ptr().add(offset), PAGE) }.unwrap();
    }
    let first = memory.addr().get() + 2 * PAGE + WORD;
    let length = PAGE - ENDS;
    for (found, expected, rule) in
        [(length + UNIT, length, Rule::Region), (length - UNIT, length - UNIT, Rule::CellSize)]
    {
        // SAFETY: the head of the second region.
        let head = unsafe { memory.add(2 * PAGE) }.cast::<usize>();
        // SAFETY: as above.
        unsafe { head.write(found) };
        let corruption = heap.check().unwrap_err();
        assert_eq!((corruption.at, corruption.rule, corruption.expected), (first, rule, expected));
    }
}

/// What lies between two regions may not even be mapped.
fn a_link_that_leads_into_a_hole_is_not_followed() {
    let (mut heap, arena) = (bare(), arena(4 * PAGE));
    let memory = arena.base();
    for offset in [0, 2 * PAGE] {
        // SAFETY: memory that nobody else uses.
        unsafe { heap.add_region(memory.as_ptr().add(offset), PAGE) }.unwrap();
    }
    let (first, hole) = (memory.addr().get() + WORD, memory.addr().get() + PAGE + UNIT - WORD);
    // The lower cell was first into the bin, so that its second link leads to the upper one.
    // SAFETY: the second link of the lower region's only cell.
    let link = unsafe { memory.add(3 * WORD) }.cast::<usize>();
    // SAFETY: as above.
    unsafe { link.write(hole) };
    let corruption = heap.check().unwrap_err();
    assert_eq!(
        (corruption.rule, corruption.expected, corruption.found),
        (Rule::Links, first, hole)
    );
}

proptest! {
    #![proptest_config(properties())]

    /// Memory that comes in pieces, cut anywhere and in any order, is as good as memory that comes at once.
    fn pieces_in_any_order_become_one(cuts in prop::collection::btree_set(1..4 * PAGE, 0..20), seed in any::<u64>(), skew in 0..UNIT) {
        during_property(&(&cuts, seed, skew), || pieces_become_one(&cuts, seed, skew));
    }
}

fn pieces_become_one(cuts: &BTreeSet<usize>, seed: u64, skew: usize) {
    let (mut heap, arena) = (bare(), arena(5 * PAGE));
    let memory = arena.base();
    let edges: Vec<_> = [0].into_iter().chain(cuts.iter().copied()).chain([4 * PAGE]).collect();
    let mut pieces: Vec<_> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
    pieces.sort_by_key(|piece| (piece.start as u64 + 1).wrapping_mul(seed | 1));
    let mut added = vec![false; 4 * PAGE];
    while !pieces.is_empty() {
        let before = pieces.len();
        pieces.retain(|piece| {
            // SAFETY: memory that nobody else uses.
            let answer =
                unsafe { heap.add_region(memory.as_ptr().add(skew + piece.start), piece.len()) };
            if answer.is_ok() {
                added[piece.clone()].fill(true);
            }
            heap.check().unwrap();
            answer.is_err()
        });
        // Too short alone, but not beside what has come meanwhile.
        if pieces.len() == before {
            break;
        }
    }
    if pieces.is_empty() {
        let ends = (UNIT - skew) % UNIT + ENDS + skew;
        assert_eq!(
            heap.cells().map(|cell| (cell.size, cell.state)).collect::<Vec<_>>(),
            [(4 * PAGE - ends, Free)]
        );
    }
    assert_eq!(heap.stats().added_bytes, added.iter().filter(|added| **added).count());
}
