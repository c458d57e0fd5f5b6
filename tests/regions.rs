//! Memory that is added to a heap: it is found wherever it lies, and regions that touch are one.

use core::ptr;

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::property::for_all;
use crate::common::regions::{
    BELOW, ENDS, PAGE, add, allocate, arena, bare, free, heap, layout, states,
};
use crate::common::test_break::{BadBreak, Part};
use brkalloc::CellState::{Free, Hole, Top, Used};
use brkalloc::{Break, BreakError, Heap, Locked, NoMap, RegionError, Rule};
use proptest::prelude::*;

#[case(Plain, Small, Checked<Plain>)]
fn a_region_apart_is_a_free_cell_between_its_ends<P: Variant>() {
    let mut heap = heap::<P>();
    let _block = allocate(&mut heap, 100);
    assert_eq!(add(&mut heap, BELOW, Part::Lower, 1024), 1024 - ENDS);
    assert_eq!(states(&heap), [Free, Hole, Used, Top]);
    assert_eq!(add(&mut heap, 1, Part::Upper, 512), 512 - ENDS);
    assert_eq!(states(&heap), [Free, Hole, Used, Top, Hole, Free]);
    let stats = heap.stats();
    assert_eq!((stats.added_bytes, stats.granted_bytes, stats.holes), (1536, PAGE, 2));
    assert!(stats.to_string().contains(", added 1536 B"), "{stats}");
}

#[case(Plain, Small, Checked<Plain>)]
fn one_block_can_have_all_that_a_region_gained<P: Variant>() {
    let mut heap = heap::<P>();
    heap.provider_mut().refuse_grow = true;
    let gained = add(&mut heap, BELOW, Part::Lower, 1024);
    let size = P::asking_for(gained - WORD);
    let block = allocate(&mut heap, size);
    assert!(heap.provider().owns(block.addr().get()..block.addr().get() + size));
}

#[case(Plain, Small, Checked<Plain>)]
fn a_region_that_fills_a_hole_joins_both_sides<P: Variant>() {
    for refill in [1000, PAGE] {
        let mut heap = heap::<P>();
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

#[case(Plain, Small, Checked<Plain>)]
fn regions_are_all_there_is_before_the_first_grant<P: Variant>() {
    let mut heap = heap::<P>();
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

#[case(Plain, Small, Checked<Plain>)]
fn a_heap_can_live_from_regions_alone<P: Variant>() {
    let (mut heap, arena) = (bare::<P>(), arena(64 * PAGE));
    let memory = arena.base();
    let mut blocks = Vec::new();
    for page in [5, 1, 9, 33] {
        // SAFETY: nothing else uses the memory.
        unsafe { heap.add_region(memory.as_ptr().add(page * PAGE), PAGE) }.unwrap();
        // SAFETY: the memory outlives the heap.
        while let Some(block) = unsafe { heap.allocate(layout(500)) } {
            blocks.push(block);
            heap.check().unwrap();
        }
    }
    assert_eq!(blocks.len(), 4 * ((PAGE - ENDS) / P::cell_for(500)));
    for block in blocks {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout(500)) };
    }
    heap.check().unwrap();
    assert_eq!((states(&heap), heap.trim(0)), (vec![Free, Hole, Free, Hole, Free, Hole, Free], 0));
    assert_eq!(heap.reserve(PAGE), Err(BreakError::OutOfAddresses));
}

/// The break promises zeros, but never granted anything.
#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn zeros_come_from_what_was_kept_where_the_break_gives_nothing<P: Variant>() {
    let (mut heap, arena) =
        (Heap::<_, _, P>::with_profile(BadBreak::<true>::new(PAGE, 0), NoMap), arena(PAGE));
    heap.provider_mut().refuse_grow = true;
    // SAFETY: nothing else uses the memory.
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

#[case(Plain, Small, Checked<Plain>)]
fn unusable_regions_change_nothing<P: Variant>() {
    let mut heap = heap::<P>();
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

#[case(Plain, Small, Checked<Plain>)]
fn the_least_region_holds_the_least_block_at_every_alignment<P: Variant>() {
    let arena = arena(PAGE);
    let memory = arena.base();
    for skew in 0..2 * UNIT {
        for len in 1..10 * WORD + P::RECORD {
            let mut heap = bare::<P>();
            // SAFETY: nothing else uses the memory.
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
            let fits = added.is_ok_and(|gained| gained >= P::cell_for(1));
            // SAFETY: the memory outlives the heap.
            assert_eq!(unsafe { heap.allocate(layout(1)) }.is_some(), fits);
        }
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_stopped_heap_takes_nothing<P: Variant>() {
    let mut heap = heap::<P>();
    let _block = allocate(&mut heap, 2 * PAGE);
    heap.provider_mut().foreign_down(PAGE);
    assert!(heap.reserve(PAGE).is_err() || heap.reserve(20 * PAGE).is_err());
    let (base, len) = heap.provider_mut().hand_over(BELOW, Part::Whole, 0).unwrap();
    // SAFETY: nothing else uses the memory.
    assert_eq!(unsafe { heap.add_region(base, len) }, Err(RegionError::HeapStopped));
    assert!(!heap.owns(base) && heap.cells().next().is_none());
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_locked_heap_takes_regions_too<P: Variant>() {
    let (heap, arena) = (Locked::<_>::from_heap(bare::<P>()), arena(PAGE));
    // SAFETY: nothing else uses the memory.
    let gained = unsafe { heap.add_region(arena.base().as_ptr(), PAGE) };
    assert_eq!((gained, heap.stats().added_bytes), (Ok(PAGE - ENDS), PAGE));
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn an_overwritten_head_is_found<P: Variant>() {
    let (mut heap, arena) = (bare::<P>(), arena(4 * PAGE));
    let memory = arena.base();
    for offset in [0, 2 * PAGE] {
        // SAFETY: nothing else uses the memory.
        unsafe { heap.add_region(memory.as_ptr().add(offset), PAGE) }.unwrap();
    }
    let first = memory.addr().get() + 2 * PAGE + WORD;
    let length = PAGE - ENDS;
    for (found, expected, rule) in
        [(length + UNIT, length, Rule::Region), (length - UNIT, length - UNIT, Rule::CellSize)]
    {
        // SAFETY: the head of the second region.
        let head = unsafe { memory.add(2 * PAGE) }.cast::<usize>();
        // SAFETY: the head lies in memory of the heap.
        unsafe { head.write(found) };
        let corruption = heap.check().unwrap_err();
        assert_eq!((corruption.at, corruption.rule, corruption.expected), (first, rule, expected));
    }
}

/// What lies between two regions may not even be mapped.
#[case(Plain, Small, Checked<Plain>)]
fn a_link_that_leads_into_a_hole_is_not_followed<P: Variant>() {
    let (mut heap, arena) = (bare::<P>(), arena(4 * PAGE));
    let memory = arena.base();
    for offset in [0, 2 * PAGE] {
        // SAFETY: nothing else uses the memory.
        unsafe { heap.add_region(memory.as_ptr().add(offset), PAGE) }.unwrap();
    }
    let (first, hole) = (memory.addr().get() + WORD, memory.addr().get() + PAGE + UNIT - WORD);
    // The lower cell was first into the bin, so that its second link leads to the upper one.
    // SAFETY: the second link of the lower region's only cell.
    let link = unsafe { memory.add(3 * WORD) }.cast::<usize>();
    // SAFETY: the link lies in memory of the heap.
    unsafe { link.write(hole) };
    let corruption = heap.check().unwrap_err();
    assert_eq!(
        (corruption.rule, corruption.expected, corruption.found),
        (Rule::Links, first, hole)
    );
}

/// Memory that comes in pieces, cut anywhere and in any order, is as good as memory that comes at
/// once.
#[case(Plain, Small, Checked<Plain>)]
fn pieces_in_any_order_become_one<P: Variant>() {
    let cuts = prop::collection::btree_set(1..4 * PAGE, 0..20);
    for_all::<P, _>(&(cuts, any::<u64>(), 0..UNIT), |(cuts, seed, skew)| {
        pieces_become_one::<P>(cuts, *seed, *skew);
    });
}

fn pieces_become_one<P: Variant>(cuts: &BTreeSet<usize>, seed: u64, skew: usize) {
    let (mut heap, arena) = (bare::<P>(), arena(5 * PAGE));
    let memory = arena.base();
    let edges: Vec<_> = [0].into_iter().chain(cuts.iter().copied()).chain([4 * PAGE]).collect();
    let mut pieces: Vec<_> = edges.windows(2).map(|pair| pair[0]..pair[1]).collect();
    pieces.sort_by_key(|piece| (piece.start as u64 + 1).wrapping_mul(seed | 1));
    let mut added = vec![false; 4 * PAGE];
    while !pieces.is_empty() {
        let before = pieces.len();
        pieces.retain(|piece| {
            // SAFETY: nothing else uses the memory.
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
