//! Requests and regions at the edge of what is possible, for both heaps and for the lock around
//! them.

use core::alloc::{GlobalAlloc, Layout};

use brkalloc::{
    Break, BreakError, FixedBreak, Heap, Locked, LockedHeap, NoMap, RawHeap, Rule, SimpleHeap,
};

use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::profile::{Variant, WORD};
use crate::common::subject::Subject;
use crate::common::test_break::TestBreak;

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

type TestHeap<P> = Heap<TestBreak, NoMap, P>;

fn heap_over<P: Variant>(brk: TestBreak) -> TestHeap<P> {
    Heap::with_profile(brk, NoMap)
}

fn locked<P: Variant>(brk: TestBreak) -> LockedHeap<TestBreak, NoMap, P> {
    Locked::from_heap(heap_over(brk))
}

/// An impossible request is `None` and leaves the heap unchanged.
fn impossible_requests<H: Subject>() {
    let mut heap = H::new(TestBreak::new(1 << 20, 8));
    let mut oracle = Oracle::default();
    // SAFETY: the heap outlives the case.
    let block = oracle.add(unsafe { heap.allocate(layout(100, 8)) }.unwrap(), layout(100, 8));
    let (map, granted) = (heap.map(), heap.brk().granted());
    let most = isize::MAX as usize;
    for align in (0..WORD * 8 - 1).map(|shift| 1_usize << shift) {
        for size in [most, most - 1, most - 4096, most / 2, most / 2 + 1, 1 << 20, (1 << 20) - 100]
        {
            let Ok(layout) = Layout::from_size_align(size, align) else { continue };
            // SAFETY: the heap outlives the case.
            assert_eq!(unsafe { heap.allocate(layout) }, None, "{layout:?}");
            // SAFETY: the heap outlives the case.
            assert_eq!(unsafe { heap.allocate_zeroed(layout) }, None, "{layout:?}");
        }
    }
    for size in [most - 7, most - 4096, most, usize::MAX, 1 << 20] {
        // SAFETY: the block is live; an answer of `None` leaves it so.
        assert_eq!(unsafe { heap.reallocate(block.at, block.layout, size) }, None, "{size}");
    }
    assert_eq!((heap.map(), heap.brk().granted()), (map, granted));
    oracle.assert_all_filled();
    heap.verify(&oracle);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn heap_refuses_the_impossible_and_is_as_it_was<P: Variant>() {
    impossible_requests::<TestHeap<P>>();
}

#[case]
fn simple_heap_refuses_the_impossible_and_is_as_it_was() {
    impossible_requests::<SimpleHeap<_>>();
}

/// Any alignment that there is room for.
fn every_alignment<H: Subject>() {
    let mut heap = H::new(TestBreak::new(16 << 20, 24));
    let mut oracle = Oracle::default();
    for _ in 0..3 {
        for shift in 0..22 {
            for size in [0, 1, 40, 5_000] {
                let layout = layout(size, 1 << shift);
                // SAFETY: the heap outlives the case.
                if let Some(at) = unsafe { heap.allocate(layout) } {
                    oracle.add(at, layout);
                } else {
                    assert!(shift > 19, "{layout:?} does not fit into 16 MiB");
                }
                heap.verify(&oracle);
            }
        }
        while let Some(block) = oracle.pick(3) {
            oracle.remove(&block);
            // SAFETY: live until now.
            unsafe { heap.deallocate(block.at, block.layout) };
        }
        heap.flush();
        heap.assert_one_free_cell_a_region();
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn heap_serves_every_alignment<P: Variant>() {
    every_alignment::<TestHeap<P>>();
}

#[case]
fn simple_heap_serves_every_alignment() {
    every_alignment::<SimpleHeap<_>>();
}

#[case(Plain, Small, Checked<Plain>)]
fn an_aligned_block_that_was_freed_is_found_again<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 0));
    let page = layout(4096, 4096);
    let mut allocate = |layout| {
        // SAFETY: the heap outlives the case.
        unsafe { heap.allocate(layout) }.unwrap()
    };
    let (first, _wall) = (allocate(page), allocate(layout(1, 1)));
    let asked = heap.provider().asked;
    for _ in 0..10 {
        // SAFETY: live until now.
        unsafe { heap.deallocate(first, page) };
        // SAFETY: the heap outlives the case.
        assert_eq!(unsafe { heap.allocate(page) }, Some(first));
    }
    assert_eq!(heap.provider().asked, asked);
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn blocks_of_no_bytes_have_addresses_of_their_own<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 0));
    // SAFETY: the heap outlives the case.
    let blocks: Vec<_> = (0..10).map(|_| unsafe { heap.allocate(layout(0, 1)) }.unwrap()).collect();
    let distinct: BTreeSet<_> = blocks.iter().collect();
    assert_eq!(distinct.len(), blocks.len());
    for block in blocks {
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout(0, 1)) };
    }
    assert_eq!(heap.stats().live_cells, 0);
}

#[case(Plain, Small, Checked<Plain>)]
fn a_region_is_used_to_its_last_cell<P: Variant>() {
    // From the smallest region that holds a block, at every alignment of its ends.
    for skew in 0..4 * WORD {
        for len in 0..20 * WORD {
            let mut heap = heap_over::<P>(TestBreak::new(len.max(1), skew));
            // SAFETY: the heap outlives the case.
            let block = unsafe { heap.allocate(layout(1, 1)) };
            heap.check().unwrap();
            let waste = 0_usize.wrapping_sub(skew) % (2 * WORD) + WORD;
            assert_eq!(
                block.is_some(),
                len >= waste + P::cell_for(1) + WORD,
                "{len} bytes, skewed by {skew}"
            );
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_provider_that_refuses_the_rounded_step_is_asked_for_the_exact_one<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1_000, 0));
    assert_eq!(heap.provider().granule(), 4_096);
    // SAFETY: the heap outlives the case.
    assert!(unsafe { heap.allocate(layout(900, 1)) }.is_some());
    heap.check().unwrap();
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn try_allocate_never_asks_the_provider<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 0));
    // SAFETY: the heap outlives the case.
    assert_eq!(unsafe { heap.try_allocate(layout(1, 1)) }, None);
    assert_eq!(heap.provider().asked, 0);
    heap.reserve(1_000).unwrap();
    let asked = heap.provider().asked;
    // SAFETY: the heap outlives the case.
    assert!(unsafe { heap.try_allocate(layout(1_000, 1)) }.is_some());
    // SAFETY: the heap outlives the case.
    while unsafe { heap.try_allocate(layout(100, 1)) }.is_some() {}
    assert_eq!(heap.provider().asked, asked);
    heap.check().unwrap();
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn owned_addresses_and_usable_sizes_are_known<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 0));
    let start = heap.provider().end();
    assert!(!heap.owns(start));
    // SAFETY: the heap outlives its blocks.
    let below = unsafe { heap.allocate(layout(100, 8)) }.unwrap();
    let theirs = heap.provider().end();
    heap.provider_mut().foreign_up(1_000);
    let end_of_theirs = heap.provider().end();
    // SAFETY: the heap outlives its blocks.
    let above = unsafe { heap.allocate(layout(8_000, 8)) }.unwrap();
    for block in [below, above] {
        assert!(heap.owns(block.as_ptr()));
    }
    assert!(
        !heap.owns(theirs) && !heap.owns(end_of_theirs.wrapping_sub(1)),
        "what lies in the hole is not ours"
    );
    assert!(!heap.owns(heap.provider().end()) && !heap.owns(start.wrapping_sub(1)));
    for (block, size) in [(below, 100), (above, 8_000)] {
        // SAFETY: a live block.
        let usable = unsafe { heap.usable_size(block) };
        assert!((size..size + 4 * WORD).contains(&usable), "{usable} for {size}");
        // SAFETY: so many bytes may be used.
        unsafe { block.write_bytes(0xFF, usable) };
    }
    heap.check().unwrap();
}

#[case]
fn a_fixed_break_is_a_break() {
    let mut memory = TestBreak::new(100, 0);
    let region = memory.grow(100).unwrap();
    // SAFETY: the region was granted to this case, which uses it through the break alone.
    let mut brk = unsafe { FixedBreak::from_raw(region.cast().as_ptr(), region.len()) };
    let start = brk.end();
    assert_eq!((brk.grow(101), brk.end()), (Err(BreakError::OutOfAddresses), start));
    let grant = brk.grow(60).unwrap();
    assert_eq!((grant.cast::<u8>().as_ptr(), grant.len(), brk.remaining()), (start, 60, 40));
    assert_eq!(brk.end().addr(), start.addr() + 60);
    assert!(brk.grow(41).is_err());
    // SAFETY: granted above, and never used.
    assert_eq!(unsafe { brk.shrink(61) }, Err(BreakError::OutOfAddresses));
    // SAFETY: the bytes were granted and never used.
    assert_eq!(unsafe { brk.shrink(60) }, Ok(()));
    assert_eq!((brk.end(), brk.remaining()), (start, 100));
    assert_eq!(brk.grow(usize::MAX), Err(BreakError::OutOfAddresses));
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_break_may_come_after_the_heap<P: Variant>() {
    let mut heap = Heap::<_, _, P>::with_profile(None, NoMap);
    // SAFETY: the heap outlives the case.
    assert_eq!(unsafe { heap.allocate(layout(100, 8)) }, None);
    assert_eq!(heap.reserve(100), Err(BreakError::OutOfMemory));
    assert_eq!((heap.trim(0), heap.check()), (0, Ok(())));

    *heap.provider_mut() = Some(TestBreak::new(1 << 20, 8));
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout(100, 8)) }.expect("the break is there");
    assert_eq!(heap.check(), Ok(()));
    // SAFETY: live until now.
    unsafe { heap.deallocate(block, layout(100, 8)) };
    let granted = heap.provider().as_ref().unwrap().granted();
    assert_eq!((heap.trim(0), heap.provider().as_ref().unwrap().granted()), (granted, 0));
}

#[case]
fn a_static_heap_needs_no_initialisation() {
    const SIZE: usize = 64 << 10;
    static mut ARENA: [u8; SIZE] = [0; SIZE];
    // SAFETY: no other code names ARENA.
    static HEAP: LockedHeap<FixedBreak> =
        LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });
    // SAFETY: the heap is static; the block is freed once.
    unsafe {
        let block = HEAP.alloc(layout(1_000, 64));
        assert!((&raw const ARENA).cast::<u8>().addr() <= block.addr());
        HEAP.dealloc(block, layout(1_000, 64));
    }
    assert_eq!(HEAP.stats().live_cells, 0);
    HEAP.check().unwrap();
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn the_lock_passes_everything_on<P: Variant>() {
    let heap = locked::<P>(TestBreak::new(1 << 20, 0));
    // SAFETY: the heap outlives its blocks; the block is freed once.
    unsafe {
        assert_eq!(heap.try_allocate(layout(1, 1)), None);
        heap.reserve(10_000).unwrap();
        assert_eq!(heap.inspect(|heap| heap.cells().count()), 1);
        let block = heap.try_allocate(layout(10_000, 1)).unwrap();
        let block = heap.reallocate(block, layout(10_000, 1), 20_000).unwrap();
        assert_eq!(heap.stats().live_cells, 1);
        heap.deallocate(block, layout(20_000, 1));
    }
    assert_eq!(heap.reserve(2 << 20), Err(BreakError::OutOfMemory));
    let granted = heap.stats().granted_bytes;
    assert!(granted >= 20_000);
    assert_eq!(heap.trim(0), granted);
    heap.reserve(10).unwrap();
    heap.check().unwrap();
    // SAFETY: the heap and its provider stay where they are.
    unsafe { heap.with(|heap| heap.provider_mut().foreign_down(1)) };
    assert_eq!(heap.check().unwrap_err().rule, Rule::BreakBelowHeap);
}

#[case(Plain, Small, Checked<Plain>)]
fn everything_that_can_be_printed_says_what_it_is<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 0));
    let empty = "live 0 B in 0 cells (peak 0 B), free 0 B in 0 cells (largest 0 B), granted 0 B up to 0x0, fragmentation 0.0 %";
    assert_eq!(heap.stats().to_string(), empty);
    // SAFETY: the heap outlives the block.
    let block = unsafe { heap.allocate(layout(1, 1)) }.unwrap();
    heap.provider_mut().foreign_up(64);
    heap.reserve(5_000).unwrap();
    let states: Vec<_> = heap.cells().map(|cell| cell.to_string()).collect();
    assert_eq!(states[0], format!("{:#x} {:>8} used", block.addr().get() - WORD, P::cell_for(1)));
    assert_eq!(heap.cells().to_string(), states.join("\n"));
    let kinds: Vec<_> = states.iter().map(|line| line.rsplit(' ').next().unwrap()).collect();
    assert_eq!(kinds, ["used", "free", "hole", "top"]);
    assert!(heap.stats().to_string().ends_with(", holes: 1"), "{}", heap.stats());

    let errors = [
        BreakError::OutOfAddresses,
        BreakError::OutOfMemory,
        BreakError::Refused,
        BreakError::MemoryTaken,
    ];
    let texts: BTreeSet<_> = errors.iter().map(BreakError::to_string).collect();
    assert_eq!(texts.len(), errors.len());
    assert!(texts.iter().all(|text| text.contains("break")), "{texts:?}");
}

/// The C side of `GlobalAlloc`: null in, null out.
fn nulls<H: RawHeap>(heap: &Locked<H>) {
    let small = layout(8, 8);
    // SAFETY: the heap outlives the case; null is allowed here, though `GlobalAlloc` does not ask
    // for it.
    unsafe {
        heap.dealloc(core::ptr::null_mut(), small);
        let block = heap.realloc(core::ptr::null_mut(), small, 100);
        assert!(!block.is_null(), "realloc of nothing is malloc (C7)");
        assert!(heap.realloc(block, layout(100, 8), isize::MAX as usize).is_null());
        heap.dealloc(block, layout(100, 8));
        assert!(heap.alloc(layout(isize::MAX as usize, 1)).is_null());
        assert!(heap.alloc_zeroed(layout(isize::MAX as usize, 1)).is_null());
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn null_is_answered_with_null<P: Variant>() {
    nulls(&locked::<P>(TestBreak::new(1 << 16, 0)));
    nulls(&Locked::<_>::from_heap(SimpleHeap::new(TestBreak::new(1 << 16, 0))));
}
