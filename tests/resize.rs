//! Where a block goes when it is resized, in the order in which the heap tries.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellInfo, CellState, Heap, NoMap, Trim};

use crate::common::case;
use crate::common::driver::Driver;
use crate::common::ops::Op;
use crate::common::prelude::*;
use crate::common::profile::{UNIT, Variant, WORD};
use crate::common::test_break::{BadBreak, Part, TestBreak};
use crate::common::test_map::TestMap;

/// A heap with three cells of ten units in a row and a wall behind, and room above the wall only by
/// moving the break.
struct Row<P: Variant> {
    heap: Heap<TestBreak, NoMap, P>,
    blocks: [NonNull<u8>; 3],
}

/// The layout of a block that fills so many units.
fn layout<P: Variant>(units: usize) -> Layout {
    Layout::from_size_align(P::asking_for(units * UNIT - WORD), WORD).unwrap()
}

fn heap_over<P: Variant>(brk: TestBreak) -> Heap<TestBreak, NoMap, P> {
    Heap::with_profile(brk, NoMap)
}

impl<P: Variant> Row<P> {
    fn new() -> Self {
        let mut brk = TestBreak::new(1 << 16, 0);
        brk.granule = 1;
        let mut heap = heap_over::<P>(brk);
        let mut allocate = |units| {
            // SAFETY: the heap outlives the case.
            unsafe { heap.allocate(layout::<P>(units)) }.unwrap()
        };
        allocate(2);
        let blocks = [allocate(10), allocate(10), allocate(10)];
        allocate(2);
        heap.provider_mut().refuse_grow = true;
        Self { heap, blocks }
    }

    fn free(&mut self, index: usize) {
        // SAFETY: live until now.
        unsafe { self.heap.deallocate(self.blocks[index], layout::<P>(10)) };
    }

    /// Resizes the middle block, whose contents must come along.
    fn resize(&mut self, units: usize) -> Option<NonNull<u8>> {
        let (old, size) = (self.blocks[1], layout::<P>(10).size());
        for offset in 0..size {
            // SAFETY: the block is live and that long.
            unsafe { old.add(offset).write(offset as u8) };
        }
        // SAFETY: the block is live.
        let new = unsafe { self.heap.reallocate(old, layout::<P>(10), layout::<P>(units).size()) };
        self.heap.check().unwrap();
        let kept = new.unwrap_or(old);
        for offset in 0..size.min(layout::<P>(units).size()) {
            // SAFETY: the block is live and that long.
            assert_eq!(unsafe { kept.add(offset).read() }, offset as u8, "byte {offset}");
        }
        new
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn between_used_cells_it_cannot_grow<P: Variant>() {
    let mut row = Row::<P>::new();
    assert_eq!(row.resize(11), None);
    assert_eq!(row.resize(5), Some(row.blocks[1]));
}

#[case(Plain, Small, Checked<Plain>)]
fn the_free_cell_behind_is_taken_first<P: Variant>() {
    let mut row = Row::<P>::new();
    row.free(0);
    row.free(2);
    let middle = row.blocks[1];
    assert_eq!(row.resize(15), Some(middle));
    assert_eq!(row.heap.stats().free_cells, 2, "what is left behind, and the one before");
}

#[case(Plain, Small, Checked<Plain>)]
fn the_free_cell_behind_is_taken_to_its_last_byte<P: Variant>() {
    let mut row = Row::<P>::new();
    row.free(2);
    let middle = row.blocks[1];
    assert_eq!(row.resize(20), Some(middle));
    assert_eq!(row.heap.stats().free_cells, 0);
}

#[case(Plain, Small, Checked<Plain>)]
fn the_largest_free_cell_is_told_wherever_it_lies<P: Variant>() {
    for freed in [[0, 2], [2, 0]] {
        let mut row = Row::<P>::new();
        freed.into_iter().for_each(|index| row.free(index));
        // The first one, with what the middle one gives up, or the last one.
        row.resize(5);
        assert_eq!(row.heap.stats().largest_free, 15 * UNIT - WORD);
        let mut row = Row::<P>::new();
        row.free(0);
        row.resize(5);
        assert_eq!(row.heap.stats().largest_free, 10 * UNIT - WORD, "the first of two");
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn then_the_previous_cell<P: Variant>() {
    for units in 11..=20 {
        let mut row = Row::<P>::new();
        row.free(0);
        assert_eq!(row.resize(units), Some(row.blocks[0]), "{units} units");
        assert_eq!(row.heap.stats().live_cells, 4);
        let left = 20 - units;
        assert_eq!(row.heap.stats().free_cells, usize::from(left >= 2), "{left} units are left");
    }
    let mut row = Row::<P>::new();
    row.free(0);
    assert_eq!(row.resize(21), None);
}

#[case(Plain, Small, Checked<Plain>)]
fn then_both<P: Variant>() {
    for units in 21..=30 {
        let mut row = Row::<P>::new();
        row.free(0);
        row.free(2);
        assert_eq!(row.resize(units), Some(row.blocks[0]), "{units} units");
        assert_eq!(row.heap.stats().free_cells, usize::from(30 - units >= 2));
    }
    let mut row = Row::<P>::new();
    row.free(0);
    row.free(2);
    assert_eq!(row.resize(31), None);
}

#[case(Plain, Small, Checked<Plain>)]
fn the_cell_before_is_taken_only_where_the_alignment_allows<P: Variant>() {
    let mut heap = heap_over::<P>(TestBreak::new(1 << 20, 0));
    let page = Layout::from_size_align(100, 4096).unwrap();
    // SAFETY: the heap outlives its blocks, and each is freed once.
    unsafe {
        let aligned = heap.allocate(page).unwrap();
        let _wall = heap.allocate(layout::<P>(2)).unwrap();
        let moved = heap.reallocate(aligned, page, 3_000).unwrap();
        assert_eq!(moved.addr().get() % 4096, 0);
    }
    heap.check().unwrap();
}

#[case(Plain, Small, Checked<Plain>)]
fn the_last_block_moves_the_break<P: Variant>() {
    let mut row = Row::<P>::new();
    row.heap.provider_mut().refuse_grow = false;
    // SAFETY: the heap outlives its blocks.
    unsafe {
        let last = row.heap.allocate(layout::<P>(4)).unwrap();
        let asked = row.heap.provider().asked;
        assert_eq!(row.heap.reallocate(last, layout::<P>(4), layout::<P>(400).size()), Some(last));
        assert_eq!(row.heap.provider().asked, asked + 1);
    }
    row.heap.check().unwrap();
}

/// Regions of a heap beside the break's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regions {
    /// None.
    One,
    /// One above all memory that the break can grant.
    Apart,
    /// One that the last grant of the break touches, full of a live block.
    Touching,
}

/// Returns a heap over `len` bytes with its first block, of `size` bytes, if it grants that.
fn heap_with_block<P: Variant>(
    regions: Regions,
    len: usize,
    size: usize,
) -> Option<(Heap<TestBreak, NoMap, P>, NonNull<u8>)> {
    let mut brk = TestBreak::new(len, 5 * WORD);
    brk.granule = 128;
    let mut heap = heap_over::<P>(brk);
    // SAFETY: the heap outlives the blocks; the memory is nobody else's.
    unsafe {
        let block = heap.allocate(Layout::from_size_align(size, WORD).unwrap())?;
        let part = if regions == Regions::Apart { Part::Upper } else { Part::Lower };
        if regions != Regions::One {
            let (base, len) = heap.provider_mut().hand_over(1, part, 1024).unwrap();
            let gained = heap.add_region(base, len).unwrap();
            if regions == Regions::Touching {
                let rest = Layout::from_size_align(gained - WORD - P::OVERHEAD, WORD).unwrap();
                heap.allocate(rest).unwrap();
            }
        }
        Some((heap, block))
    }
}

/// What is left of the provider's memory may be less than a smallest cell. (Compact code does
/// without it.)
#[case(Usual, Miniature, Plain, Checked<Usual>, Checked<Miniature>, Checked<Plain>)]
fn the_last_block_grows_as_long_as_a_fresh_one<P: Variant>() {
    let all = [Regions::One, Regions::Apart, Regions::Touching];
    for (regions, words) in all.into_iter().flat_map(|is| (0..16).map(move |n| (is, n))) {
        let len = 16_000 + words * WORD + words % 3;
        let is_granted = |&size: &usize| heap_with_block::<P>(regions, len, size).is_some();
        let most = (0..len).rev().find(is_granted).unwrap();
        for size in (most - 5 * UNIT..most).step_by(WORD / 2) {
            let (mut heap, block) = heap_with_block::<P>(regions, len, size).unwrap();
            let mut layout = Layout::from_size_align(size, WORD).unwrap();
            for new in [size + UNIT, most].map(|new| new.min(most)) {
                // SAFETY: the block is live, and has this layout.
                let resized = unsafe { heap.reallocate(block, layout, new) };
                assert_eq!(resized, Some(block), "{size} bytes to {new} in {len}, {regions:?}");
                layout = Layout::from_size_align(new, WORD).unwrap();
                // SAFETY: the block is live and that long.
                unsafe { block.write_bytes(0xA5, new) };
                heap.check().unwrap();
            }
            // SAFETY: the block is live, and has this layout.
            unsafe { heap.deallocate(block, layout) };
            heap.check().unwrap();
            let all = Layout::from_size_align(most, WORD).unwrap();
            // SAFETY: the heap outlives the block.
            assert!(unsafe { heap.allocate(all) }.is_some(), "{most} bytes in {len}");
            heap.check().unwrap();
        }
    }
}

/// A refused request is refused again: the first refusal must not leave a grant behind that the
/// second request makes use of.
#[case(Usual, Plain, Small, Checked<Usual>)]
fn a_block_at_the_end_of_memory_grows_at_the_first_request<P: Variant>() {
    for len in 2200..2300 {
        let grow = [
            Op::Granule { log: 3 },
            Op::Allocate { size: 0, align: 1, zeroed: false },
            Op::Allocate { size: 169, align: 2048, zeroed: false },
            Op::Allocate { size: 0, align: 1, zeroed: false },
            Op::Resize { block: 2, size: 185 },
        ];
        Driver::<Heap<_, TestMap, P>>::mapping(BadBreak::new(len, 11)).run(&grow);
    }
}

/// Otherwise a buffer that grows step by step would leave a trail of holes as long as itself.
#[case(Plain, Small, Checked<Plain>)]
fn two_buffers_that_grow_in_turn_stay_within_twice_their_size<P: Variant>() {
    let mut brk = TestBreak::new(8 << 20, 0);
    brk.granule = 4096;
    let mut heap = heap_over::<P>(brk);
    let mut size = 4096;
    // SAFETY: the heap outlives its blocks; each has the layout that it was last given.
    unsafe {
        let of = |size| Layout::from_size_align(size, 8).unwrap();
        let mut buffers = [heap.allocate(of(size)).unwrap(), heap.allocate(of(size)).unwrap()];
        while size < 1 << 20 {
            for buffer in &mut buffers {
                *buffer = heap.reallocate(*buffer, of(size), size + 4096).unwrap();
            }
            size += 4096;
        }
    }
    let granted = heap.provider().granted();
    assert!(granted <= 2 * 2 * size, "{granted} bytes for {}", 2 * size);
}

/// Payload of a long block's cell, in bytes: longer than a block of a slab.
const LONG: usize = 2000 * UNIT - WORD;

/// Returns a heap with long blocks in a row, each with its cell full, and a wall behind.
fn long_blocks<P: Variant, const N: usize>() -> (Heap<TestBreak, NoMap, P>, [NonNull<u8>; N]) {
    let mut brk = TestBreak::new(1 << 20, 0);
    brk.granule = 1;
    let mut heap = heap_over::<P>(brk);
    // SAFETY: the heap outlives the case.
    let mut allocate = || unsafe { heap.allocate(long::<P>(LONG)) }.unwrap();
    let blocks = [(); N].map(|()| allocate());
    allocate();
    (heap, blocks)
}

/// The layout of a block whose cell has this payload.
fn long<P: Variant>(payload: usize) -> Layout {
    Layout::from_size_align(P::asking_for(payload), 1).unwrap()
}

/// Resizes a long block to a cell with this payload. Its contents must come along.
fn resize_long<P: Variant>(
    heap: &mut Heap<TestBreak, NoMap, P>,
    block: NonNull<u8>,
    payload: usize,
) -> NonNull<u8> {
    let (old, new) = (long::<P>(LONG), long::<P>(payload));
    let kept = old.size().min(new.size());
    // SAFETY: the block is live, and that long.
    let new = unsafe {
        (0..old.size()).for_each(|offset| block.add(offset).write(offset as u8));
        heap.reallocate(block, old, new.size()).unwrap()
    };
    // SAFETY: as many bytes are kept.
    unsafe { (0..kept).for_each(|offset| assert_eq!(new.add(offset).read(), offset as u8)) };
    heap.check().unwrap();
    new
}

/// Also where the break could move up, and memory is elsewhere.
#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn a_long_block_takes_the_cells_beside_it_to_their_last_byte<P: Variant>() {
    let cell = LONG + WORD;
    for (freed, start, cells) in [(&[0][..], 0, 2), (&[0, 2], 0, 3), (&[2], 1, 2)] {
        for more in [0, 1] {
            let (mut heap, blocks) = long_blocks::<P, 3>();
            for &index in freed {
                // SAFETY: live until now.
                unsafe { heap.deallocate(blocks[index], long::<P>(LONG)) };
            }
            let new = resize_long(&mut heap, blocks[1], cells * cell - WORD + more);
            assert_eq!(new == blocks[start], more == 0, "{freed:?} and {more} more bytes");
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn the_last_long_block_moves_the_break_up_and_down<P: Variant>() {
    for has_top in [false, true] {
        let (mut heap, _) = long_blocks::<P, 1>();
        heap.set_trim(Trim::new(LONG, 0));
        // SAFETY: the heap outlives the case.
        let last = unsafe { heap.allocate(long::<P>(LONG)) }.unwrap();
        if has_top {
            heap.reserve(100).unwrap();
        }
        let granted = heap.stats().granted_bytes;
        assert_eq!(resize_long(&mut heap, last, 4 * LONG), last);
        assert!(heap.stats().granted_bytes >= granted + 2 * LONG);
        let (large, small) = (long::<P>(4 * LONG), long::<P>(LONG));
        // SAFETY: the block is live.
        assert_eq!(unsafe { heap.reallocate(last, large, small.size()) }, Some(last));
        assert!(heap.stats().granted_bytes <= granted, "what is not needed goes back");
        heap.check().unwrap();
    }
}

/// A rest that is too short for a cell stays with the block.
#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn what_a_long_block_does_not_need_is_free<P: Variant>() {
    let cell = LONG + WORD;
    let free = |heap: &Heap<TestBreak, NoMap, P>| {
        let is_free = |cell: &CellInfo| cell.state == CellState::Free;
        heap.cells().filter(is_free).map(|cell| cell.size).collect::<Vec<_>>()
    };
    for rest in [UNIT, 2 * UNIT, 3 * UNIT, 100 * UNIT] {
        let expected = if rest == UNIT { vec![] } else { vec![rest] };
        // Shorter, behind it a used cell.
        let (mut heap, blocks) = long_blocks::<P, 2>();
        assert_eq!(resize_long(&mut heap, blocks[0], LONG - rest), blocks[0]);
        assert_eq!(free(&heap), expected, "{rest} bytes less");
        // Longer, behind it a free one.
        let (mut heap, blocks) = long_blocks::<P, 2>();
        // SAFETY: live until now.
        unsafe { heap.deallocate(blocks[1], long::<P>(LONG)) };
        assert_eq!(resize_long(&mut heap, blocks[0], LONG + cell - rest), blocks[0]);
        assert_eq!(free(&heap), expected, "{rest} bytes are left");
    }
}
