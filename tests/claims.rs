//! The documents' claims about the heap, C1–C8 and C14, each as a case. (The tour shows them once
//! more, with what they look like.)

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Break, BreakError, CellInfo, CellState, Heap, NoMap, Rule, Trim};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{Variant, WORD};
use crate::common::test_break::TestBreak;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 1).unwrap()
}

type CellHeap<P> = Heap<TestBreak, NoMap, P>;

fn heap_over<B, P: Variant>(brk: B) -> Heap<B, NoMap, P> {
    Heap::with_profile(brk, NoMap)
}

/// A heap over 1 MiB of which nothing is granted yet.
fn heap<P: Variant>() -> CellHeap<P> {
    heap_over(TestBreak::new(1 << 20, 0))
}

fn malloc<P: Variant>(heap: &mut CellHeap<P>, size: usize) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout(size)) }.expect("1 MiB is enough")
}

fn free<P: Variant>(heap: &mut CellHeap<P>, block: NonNull<u8>, size: usize) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout(size)) };
    heap.check().unwrap();
}

fn states<P: Variant>(heap: &CellHeap<P>) -> Vec<CellState> {
    heap.cells().map(|cell| cell.state).collect()
}

fn cell_of<P: Variant>(heap: &CellHeap<P>, block: NonNull<u8>) -> CellInfo {
    heap.cells().find(|cell| cell.payload() == block.addr().get()).expect("a block has a cell")
}

#[case(Plain, Small, Checked<Plain>)]
fn c1_a_cell_is_a_header_and_an_aligned_payload<P: Variant>() {
    let mut heap = heap::<P>();
    let blocks: Vec<_> = (1..200).map(|size| malloc(&mut heap, size)).collect();
    for (size, block) in (1..200).zip(blocks) {
        assert!(block.addr().get().is_multiple_of(2 * WORD), "{block:?}");
        let cell = cell_of(&heap, block);
        assert_eq!((cell.payload(), cell.state), (cell.address + WORD, CellState::Used));
        assert!(
            (P::taken_for(size)..P::taken_for(size) + 4 * WORD).contains(&cell.payload_size()),
            "{size} bytes in {cell}"
        );
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn c2_a_fresh_heap_is_one_free_cell<P: Variant>() {
    let mut heap = heap::<P>();
    assert_eq!(heap.cells().count(), 0);
    heap.reserve(100_000).unwrap();
    let cells: Vec<_> = heap.cells().collect();
    assert_eq!(cells.len(), 1);
    assert_eq!(cells[0].state, CellState::Top);
    assert!(cells[0].payload_size() >= 100_000);
}

#[case(Plain, Small, Checked<Plain>)]
fn c3_malloc_cuts_and_leaves_the_rest_free<P: Variant>() {
    let mut heap = heap::<P>();
    heap.reserve(10_000).unwrap();
    let whole = heap.cells().next().unwrap();
    let block = malloc(&mut heap, 100);
    let cells: Vec<_> = heap.cells().collect();
    assert_eq!(states(&heap), [CellState::Used, CellState::Top]);
    assert_eq!(cells[0].payload(), block.addr().get());
    assert_eq!(cells[0].size + cells[1].size, whole.size);
    assert_eq!(cells[1].address, cells[0].address + cells[0].size);
}

#[case(Plain, Small, Checked<Plain>)]
fn c4_freed_memory_is_searched_before_the_break_is_asked<P: Variant>() {
    let mut heap = heap::<P>();
    let (first, _wall) = (malloc(&mut heap, 5_000), malloc(&mut heap, 10));
    free(&mut heap, first, 5_000);
    let asked = heap.provider().asked;
    assert_eq!(malloc(&mut heap, 3_000), first);
    assert_eq!(heap.provider().asked, asked, "the break was asked");
    let _ = malloc(&mut heap, 50_000);
    assert_eq!(
        heap.provider().asked,
        asked + 1,
        "nothing fitted, and the break was not asked once"
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn c5_a_freed_block_stays_with_the_heap_and_comes_back<P: Variant>() {
    let mut heap = heap::<P>();
    let (block, _wall) = (malloc(&mut heap, 100), malloc(&mut heap, 10));
    let granted = heap.stats().granted_bytes;
    free(&mut heap, block, 100);
    assert_eq!(states(&heap), [CellState::Free, CellState::Used, CellState::Top]);
    assert_eq!(heap.stats().granted_bytes, granted);
    assert_eq!(malloc(&mut heap, 100), block);
}

#[case(Plain, Small, Checked<Plain>)]
fn c6_neighbours_that_are_free_become_one_cell<P: Variant>() {
    // In whatever order three neighbours are freed, one cell is left.
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let mut heap = heap::<P>();
        let _below = malloc(&mut heap, 10);
        let blocks = [malloc(&mut heap, 100), malloc(&mut heap, 200), malloc(&mut heap, 300)];
        let sizes = blocks.map(|block| cell_of(&heap, block).size);
        let _above = malloc(&mut heap, 10);
        for index in order {
            free(&mut heap, blocks[index], [100, 200, 300][index]);
        }
        assert_eq!(
            states(&heap),
            [CellState::Used, CellState::Free, CellState::Used, CellState::Top],
            "freed in order {order:?}"
        );
        assert_eq!(heap.cells().nth(1).unwrap().size, sizes.iter().sum());
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn c7_calloc_zeroes_and_realloc_keeps<P: Variant>() {
    let mut heap = heap::<P>();
    let dirty = malloc(&mut heap, 1_000);
    // SAFETY: the block is that long.
    unsafe { dirty.write_bytes(0xFF, 1_000) };
    free(&mut heap, dirty, 1_000);
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate_zeroed(layout(1_000)) }.unwrap();
    assert_eq!(block, dirty, "the dirty block is the one to be cleaned");
    // SAFETY: the block is that long.
    assert!(
        // SAFETY: the block is that long.
        unsafe { core::slice::from_raw_parts(block.as_ptr(), 1_000) }.iter().all(|&byte| byte == 0)
    );

    // SAFETY: the heap outlives the case.
    unsafe {
        let array = heap.allocate_zeroed_array(10, Layout::new::<(u32, u8)>()).unwrap();
        assert_eq!(array.cast::<[u8; 80]>().read(), [0; 80]);
        heap.deallocate(array, Layout::array::<(u32, u8)>(10).unwrap());
        assert_eq!(
            heap.allocate_zeroed_array(usize::MAX / 2, Layout::new::<u32>()),
            None,
            "the product overflows"
        );
        assert_eq!(
            heap.allocate_zeroed_array(usize::MAX / 4, Layout::new::<u16>()),
            None,
            "the product is no size"
        );
    }

    // Smaller, and larger with room behind: it stays. With a wall behind: it moves, and its
    // contents with it.
    let mut resize = |old, new| {
        // SAFETY: the block is live.
        unsafe { heap.reallocate(block, layout(old), new) }.unwrap()
    };
    assert_eq!((resize(1_000, 500), resize(500, 2_000), resize(2_000, 100)), (block, block, block));
    // SAFETY: the block is that long.
    unsafe { block.write_bytes(0x5A, 100) };
    let _wall = malloc(&mut heap, 10);
    // SAFETY: the block is live.
    let moved = unsafe { heap.reallocate(block, layout(100), 5_000) }.unwrap();
    assert_ne!(moved, block);
    // SAFETY: the block is that long.
    assert!(
        // SAFETY: the block is that long.
        unsafe { core::slice::from_raw_parts(moved.as_ptr(), 100) }
            .iter()
            .all(|&byte| byte == 0x5A)
    );
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn c8_freeing_the_last_cell_moves_the_break_down<P: Variant>() {
    let mut heap = heap::<P>();
    heap.set_trim(Trim::new(8 << 10, 0));
    let _first = malloc(&mut heap, 100);
    let low = heap.provider().end();
    let last = malloc(&mut heap, 100_000);
    assert!(heap.provider().end() > low);
    free(&mut heap, last, 100_000);
    assert_eq!(heap.provider().end(), low);
}

#[case(Plain, Small, Checked<Plain>)]
fn c8_small_frees_at_the_break_do_not_move_it_each_time<P: Variant>() {
    let mut heap = heap::<P>();
    let _first = malloc(&mut heap, 100);
    for _ in 0..100 {
        let block = malloc(&mut heap, 20_000);
        free(&mut heap, block, 20_000);
    }
    assert_eq!(heap.provider().asked, 2, "the break moved more often than to grow");
}

#[case(Plain, Small, Checked<Plain>)]
fn c8_an_empty_heap_gives_back_everything<P: Variant>() {
    let mut heap = heap::<P>();
    let start = heap.provider().end();
    let block = malloc(&mut heap, 300_000);
    free(&mut heap, block, 300_000);
    let granted = heap.stats().granted_bytes;
    assert_eq!(heap.trim(0), granted);
    assert_eq!(heap.provider().end(), start);
    assert_eq!((heap.cells().count(), heap.stats().granted_bytes), (0, 0));
    let _ = malloc(&mut heap, 100);
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn c8_a_break_that_refuses_to_come_down_costs_nothing<P: Variant>() {
    let mut heap = heap::<P>();
    heap.provider_mut().refuse_shrink = true;
    let block = malloc(&mut heap, 300_000);
    free(&mut heap, block, 300_000);
    assert_eq!(heap.trim(0), 0);
    assert_eq!(malloc(&mut heap, 300_000), block);
}

#[case(Plain, Small, Checked<Plain>)]
fn c14_foreign_code_moves_the_break_up<P: Variant>() {
    let mut heap = heap::<P>();
    let below = malloc(&mut heap, 3_000);
    heap.provider_mut().foreign_up(10_000);
    let above = malloc(&mut heap, 3_000);
    assert_eq!(
        states(&heap),
        [CellState::Used, CellState::Free, CellState::Hole, CellState::Used, CellState::Top]
    );
    assert_eq!(heap.stats().holes, 1);
    free(&mut heap, below, 3_000);
    free(&mut heap, above, 3_000);
    assert_eq!(states(&heap), [CellState::Free, CellState::Hole, CellState::Top]);
    heap.provider().assert_foreign_untouched();
    assert_eq!(malloc(&mut heap, 2_000), below, "the region below the hole serves on");
}

#[case(Plain, Small, Checked<Plain>)]
fn c14_foreign_code_moves_the_break_up_and_down_again<P: Variant>() {
    let mut heap = heap::<P>();
    let first = malloc(&mut heap, 3_000);
    heap.provider_mut().foreign_up(10_000);
    heap.provider_mut().foreign_undo();
    // SAFETY: the block is live.
    assert_eq!(
        // SAFETY: the block is live.
        unsafe { heap.reallocate(first, layout(3_000), 50_000) },
        Some(first),
        "the region goes on where it ended"
    );
    assert_eq!(heap.stats().holes, 0);
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn c14_a_break_that_others_moved_up_is_not_ours_to_lower<P: Variant>() {
    let mut heap = heap::<P>();
    let block = malloc(&mut heap, 300_000);
    heap.provider_mut().foreign_up(100);
    let end = heap.provider().end();
    free(&mut heap, block, 300_000);
    assert_eq!((heap.trim(0), heap.provider().end()), (0, end));
}

#[case(Plain, Small, Checked<Plain>)]
fn c14_the_heap_stops_and_reports_if_its_memory_is_taken<P: Variant>() {
    let mut heap = heap::<P>();
    let block = malloc(&mut heap, 3_000);
    let end = heap.provider().end().addr();
    heap.provider_mut().foreign_down(4_096);
    let corruption = heap.check().unwrap_err();
    assert_eq!((corruption.rule, corruption.at), (Rule::BreakBelowHeap, end - 4_096));
    assert_eq!((corruption.expected, corruption.found), (end, end - 4_096));

    // The next time that it needs the break it sees it too, and from then on leaves all memory
    // alone.
    assert_eq!(heap.reserve(100_000), Err(BreakError::MemoryTaken));
    heap.provider_mut().foreign_up(8_192);
    // SAFETY: the heap outlives the case, and the block is live.
    unsafe {
        assert_eq!(heap.allocate(layout(1)), None);
        assert_eq!(heap.try_allocate(layout(1)), None);
        assert_eq!(heap.reallocate(block, layout(3_000), 1), None);
        heap.deallocate(block, layout(3_000));
    }
    assert_eq!((heap.trim(0), heap.cells().count()), (0, 0));
    assert_eq!(heap.check().unwrap_err(), corruption);
    heap.provider().assert_foreign_untouched();
}

#[case(Plain, Small, Checked<Plain>)]
fn c14_a_trim_notices_that_memory_was_taken<P: Variant>() {
    let mut heap = heap::<P>();
    heap.reserve(8_000).unwrap();
    heap.provider_mut().foreign_down(4_096);
    assert_eq!(heap.trim(0), 0);
    heap.provider_mut().foreign_up(4_096);
    // SAFETY: the heap outlives the case.
    assert_eq!(unsafe { heap.try_allocate(layout(1)) }, None);
}

/// Break that foreign code moves down by this many bytes between a heap's test and its call.
struct Racing(TestBreak, usize);

// SAFETY: `TestBreak` keeps the promises; the heap under test is the only user.
unsafe impl Break for Racing {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        16
    }

    fn end(&self) -> *mut u8 {
        self.0.end()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let taken = core::mem::take(&mut self.1);
        if taken > 0 {
            // SAFETY: of a test that knows what it takes.
            unsafe { self.0.shrink(taken) }?;
        }
        self.0.grow(by)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.0.shrink(by) }
    }
}

/// What a resized block could take in next to it is not touched any more once the heap has stopped.
#[case(Plain, Small, Checked<Plain>)]
fn c14_a_grant_below_our_end_stops_a_resize<P: Variant>() {
    let mut heap = heap_over::<_, P>(Racing(TestBreak::new(1 << 16, 0), 0));
    // SAFETY: the heap outlives the case.
    let [below, block] = [1_000, 3_000].map(|size| unsafe { heap.allocate(layout(size)) }.unwrap());
    // SAFETY: live until now.
    unsafe { heap.deallocate(below, layout(1_000)) };
    // SAFETY: live, and that long.
    unsafe { block.write_bytes(0x5A, 3_000) };
    // The fencepost alone: where memory is gone with the break, so would be the end of the block.
    heap.provider_mut().1 = WORD;
    // SAFETY: live, and so it stays.
    assert_eq!(unsafe { heap.reallocate(block, layout(3_000), 3_500) }, None);
    assert_eq!(heap.check().unwrap_err().rule, Rule::BreakBelowHeap);
    // SAFETY: live, and that long.
    let bytes = unsafe { core::slice::from_raw_parts(block.as_ptr(), 3_000) };
    assert!(bytes.iter().all(|&byte| byte == 0x5A), "the block is as it was");
}

#[case(Plain, Small, Checked<Plain>)]
fn c14_a_grant_below_our_end_is_handed_back<P: Variant>() {
    let mut heap = heap_over::<_, P>(Racing(TestBreak::new(1 << 16, 0), 0));
    heap.reserve(4_000).unwrap();
    let end = heap.provider().end().addr();
    heap.provider_mut().1 = 1_024;
    assert_eq!(heap.reserve(10_000), Err(BreakError::MemoryTaken));
    assert_eq!(heap.provider().end().addr(), end - 1_024, "the grant was handed back");
    let corruption = heap.check().unwrap_err();
    assert_eq!(
        (corruption.rule, corruption.expected, corruption.found),
        (Rule::BreakBelowHeap, end, end - 1_024)
    );
}
