//! Memory that is added beside the break's: the break goes on where it touches, and gives back no
//! more than it granted.

use core::ptr::{self, NonNull};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant};
use crate::common::regions::{
    BELOW, ENDS, PAGE, add, allocate, arena, free, heap, layout, states, top,
};
use crate::common::test_break::{Part, TestBreak, ZeroedBreak};
use brkalloc::CellState::{Free, Hole, Top, Used};
use brkalloc::{Break, BreakError, FixedBreak, Heap, NoMap, Rule, Trim};

#[case(Plain, Small, Checked<Plain>)]
fn memory_right_below_joins_and_stays_when_the_break_comes_down<P: Variant>() {
    let mut heap = heap::<P>();
    let block = allocate(&mut heap, 100);
    free(&mut heap, block, 100);
    add(&mut heap, BELOW, Part::Upper, 1000);
    assert_eq!(states(&heap), [Top]);
    assert_eq!((heap.trim(0), heap.stats().granted_bytes), (PAGE, 0), "all that was granted");
    heap.check().unwrap();
    assert_eq!(heap.provider().granted(), 0);
    assert!(
        (1000 - 2 * UNIT..1000).contains(&top(&heap)),
        "{} are left of what was added",
        top(&heap)
    );
    // What is granted then makes the same region longer.
    let block = allocate(&mut heap, 2000);
    assert_eq!(states(&heap), [Used, Top]);
    free(&mut heap, block, 2000);
    assert_eq!((states(&heap), heap.stats().holes), (vec![Top], 0));
}

#[case(Plain, Small, Checked<Plain>)]
fn memory_right_below_is_no_part_of_what_a_trim_keeps_or_gives_back<P: Variant>() {
    for keep in [0, 1, 500, 1000, 1001, 3000, PAGE, 2 * PAGE] {
        let mut heap = heap::<P>();
        heap.reserve(3 * PAGE).unwrap();
        add(&mut heap, BELOW, Part::Upper, 1001);
        let granted = heap.provider().granted();
        let back = heap.trim(keep);
        heap.check().unwrap();
        assert_eq!(heap.provider().granted(), granted - back);
        assert!(top(&heap) >= keep.min(granted - 2 * UNIT), "{} of {keep} are left", top(&heap));
        assert!(top(&heap) < keep + 1001 + PAGE, "{} are left of {keep}", top(&heap));
        assert_eq!(heap.trim(keep), 0, "the second time there is nothing to do");
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_block_in_added_memory_lets_all_that_was_granted_go<P: Variant>() {
    let mut heap = heap::<P>();
    add(&mut heap, BELOW, Part::Upper, 1000);
    let block = allocate(&mut heap, 1000 - 60);
    heap.reserve(2 * PAGE).unwrap();
    assert_eq!(states(&heap), [Used, Top]);
    assert_eq!((heap.trim(0), heap.provider().granted()), (3 * PAGE, 0));
    heap.check().unwrap();
    free(&mut heap, block, 1000 - 60);
    assert_eq!(states(&heap), [Top]);
}

#[case(Plain, Small, Checked<Plain>)]
fn memory_right_above_joins_and_holds_the_break_up<P: Variant>() {
    let mut heap = heap::<P>();
    heap.reserve(2 * PAGE).unwrap();
    let granted = heap.provider().granted();
    heap.provider_mut().foreign_up(PAGE);
    add(&mut heap, 1, Part::Lower, 1000);
    assert_eq!(states(&heap), [Top]);
    assert!(top(&heap) > granted + 900);
    assert_eq!(heap.trim(0), 0);
    heap.set_trim(Trim::new(0, 0));
    let block = allocate(&mut heap, 100);
    free(&mut heap, block, 100);
    assert_eq!(heap.provider().granted(), granted, "nothing can go back");
}

#[case(Plain, Small, Checked<Plain>)]
fn a_grant_that_starts_where_an_added_region_ends_makes_it_longer<P: Variant>() {
    let mut heap = heap::<P>();
    let first = allocate(&mut heap, 100);
    heap.provider_mut().foreign_up(2 * PAGE);
    add(&mut heap, 1, Part::Upper, 1000);
    assert_eq!(states(&heap), [Used, Top, Hole, Free]);
    let (granted, there) = (heap.provider().granted(), heap.provider().end());
    let second = allocate(&mut heap, PAGE);
    assert_eq!(states(&heap), [Used, Free, Hole, Used, Top], "the block begins in what was added");
    assert_eq!(heap.stats().holes, 1);
    free(&mut heap, second, PAGE);
    assert!(heap.trim(0) > 0);
    assert_eq!(
        (heap.provider().granted(), heap.provider().end()),
        (granted, there),
        "what was added stays"
    );
    free(&mut heap, first, 100);
}

#[case(Plain, Small, Checked<Plain>)]
fn the_break_that_grows_up_to_a_region_joins_it<P: Variant>() {
    let mut heap = Heap::<_, _, P>::with_profile(TestBreak::new(2 * PAGE, 0), NoMap);
    let used = allocate(&mut heap, 100);
    assert_eq!(add(&mut heap, 1, Part::Lower, 512), 512 - ENDS);
    assert_eq!(states(&heap), [Used, Top, Hole, Free]);
    heap.reserve(PAGE).unwrap();
    assert_eq!((states(&heap), heap.stats().holes), (vec![Used, Top], 0));
    let large = allocate(&mut heap, 2 * PAGE);
    assert_eq!(states(&heap), [Used, Used, Top], "one block over both");
    free(&mut heap, large, 2 * PAGE);
    free(&mut heap, used, 100);
    assert_eq!((heap.trim(0), states(&heap)), (0, vec![Top]));
}

#[case(Plain, Small, Checked<Plain>)]
fn the_break_that_goes_on_above_memory_that_was_added_comes_down_to_there<P: Variant>() {
    let mut heap = heap::<P>();
    let below = allocate(&mut heap, 100);
    heap.provider_mut().foreign_up(1000);
    add(&mut heap, 1, Part::Whole, 0);
    let (granted, there) = (heap.provider().granted(), heap.provider().end());
    heap.reserve(3 * PAGE).unwrap();
    free(&mut heap, below, 100);
    assert_eq!((states(&heap), heap.stats().holes), (vec![Top], 0));
    assert!(heap.trim(0) > 0);
    heap.check().unwrap();
    assert_eq!((heap.provider().granted(), heap.provider().end()), (granted, there));
    assert_eq!(heap.trim(0), 0);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_break_that_comes_down_leaves_the_regions_above_where_they_are<P: Variant>() {
    let mut heap = heap::<P>();
    heap.reserve(3 * PAGE).unwrap();
    add(&mut heap, 1, Part::Upper, 1000);
    for keep in [2 * PAGE, PAGE, 0] {
        assert!(heap.trim(keep) > 0);
        heap.check().unwrap();
        assert_eq!(
            (states(&heap).last(), heap.stats().holes),
            (Some(&Free), 1),
            "{keep} were kept"
        );
    }
    heap.provider_mut().refuse_grow = true;
    allocate(&mut heap, 900);
}

#[case(Plain, Small, Checked<Plain>)]
fn memory_taken_is_about_what_the_break_granted<P: Variant>() {
    let mut heap = heap::<P>();
    add(&mut heap, 1, Part::Lower, PAGE);
    add(&mut heap, BELOW, Part::Upper, PAGE);
    let _block = allocate(&mut heap, 2 * PAGE);
    heap.provider_mut().foreign_down(100);
    assert_eq!(heap.check().unwrap_err().rule, Rule::BreakBelowHeap);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_break_over_memory_that_was_added_grants_in_vain<P: Variant>() {
    let arena = arena(PAGE);
    let memory = arena.base();
    // SAFETY: for the break alone, or so it thinks.
    let brk = unsafe { FixedBreak::from_raw(memory.as_ptr(), PAGE) };
    let mut heap = Heap::<_, _, P>::with_profile(brk, NoMap);
    // SAFETY: the promise is broken, which must be noticed before the memory is written to.
    unsafe { heap.add_region(memory.as_ptr(), PAGE) }.unwrap();
    // SAFETY: the memory outlives the heap.
    let block = unsafe { heap.allocate(layout(1000)) }.unwrap();
    // SAFETY: the memory outlives the heap.
    assert_eq!(unsafe { heap.allocate(layout(PAGE - 1000)) }, None);
    assert_eq!(heap.reserve(PAGE - 1000), Err(BreakError::Refused));
    heap.check().unwrap();
    assert_eq!((heap.stats().granted_bytes, heap.provider().remaining()), (0, PAGE));
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout(1000)) };
    assert_eq!(states(&heap), [Free]);
}

#[case(Plain, Small, Checked<Plain>)]
fn added_memory_is_not_taken_for_zeros<P: Variant>() {
    for (place, part) in
        [(BELOW, Part::Upper), (BELOW, Part::Lower), (1, Part::Lower), (1, Part::Whole)]
    {
        let mut heap = Heap::<_, _, P>::with_profile(ZeroedBreak::new(2 * PAGE, 0), NoMap);
        for size in [3 * PAGE / 2, 700, 300, PAGE, 100] {
            let Some((base, len)) = heap.provider_mut().hand_over(place, part, 300) else { break };
            // SAFETY: nothing else uses the memory from now on, and the provider's buffer is one
            // piece of memory.
            let _ = unsafe { heap.add_region(base, len) };
            // SAFETY: the heap outlives the case.
            if let Some(block) = unsafe { heap.allocate_zeroed(layout(size)) } {
                Oracle::default().add_zeroed(block, layout(size));
            }
            heap.check().unwrap();
        }
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn memory_that_the_break_grows_up_to_is_not_taken_for_zeros<P: Variant>() {
    let mut heap = Heap::<_, _, P>::with_profile(ZeroedBreak::new(2 * PAGE, 0), NoMap);
    let (base, len) = heap.provider_mut().hand_over(1, Part::Lower, 1000).unwrap();
    // SAFETY: nothing else uses the memory from now on, and the provider's buffer is one piece of
    // memory.
    unsafe { heap.add_region(base, len) }.unwrap();
    heap.reserve(3 * PAGE / 2).unwrap();
    assert_eq!(states(&heap), [Top]);
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate_zeroed(layout(2 * PAGE + 500)) }.unwrap();
    Oracle::default().add_zeroed(block, layout(2 * PAGE + 500));
}

/// Memory further up says nothing of what the break granted: that stays known as fresh.
#[case(Plain, Small, Checked<Plain>)]
fn blocks_in_a_region_above_leave_fresh_memory_fresh<P: Variant>() {
    let mut heap = Heap::<_, _, P>::with_profile(ZeroedBreak::new(16 * PAGE, 0), NoMap);
    heap.reserve(2 * PAGE).unwrap();
    let (base, len) = heap.provider_mut().hand_over(1, Part::Upper, 1000).unwrap();
    // SAFETY: nothing else uses the memory from now on.
    unsafe { heap.add_region(base, len) }.unwrap();
    // SAFETY: the heap outlives the case.
    let above = unsafe { heap.allocate(layout(500)) }.unwrap();
    assert!(above.as_ptr() >= base);
    let top = heap.cells().find(|cell| cell.state == Top).unwrap();
    let mark = NonNull::new(ptr::with_exposed_provenance_mut::<u8>(top.payload() + PAGE)).unwrap();
    // A write behind the heap's back into memory that it takes for fresh shows that it does not
    // clear it once more.
    // SAFETY: inside the free top, clear of its links and of its size at the end.
    unsafe { mark.write(7) };
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate_zeroed(layout(PAGE + 100)) }.unwrap();
    assert_eq!(block.addr().get(), top.payload());
    // SAFETY: inside the block.
    assert_eq!(unsafe { mark.read() }, 7);
}
