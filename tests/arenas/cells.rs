//! Blocks of an arena that are cells, and what is done now and then.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::NonNull;

use brkalloc::inner::Slots as SlotProvider;
use brkalloc::{CellInfo, CellState, Usual};

use super::blocks::{Block, layout};
use super::slots::{TestArenas, arenas, arenas_over, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

fn allocate<C: SlotProvider, P: Variant>(heap: &TestArenas<P, C>, layout: Layout) -> NonNull<u8> {
    // SAFETY: the heap outlives the case.
    unsafe { heap.allocate(layout) }.expect("there is enough")
}

fn free<C: SlotProvider, P: Variant>(heap: &TestArenas<P, C>, block: NonNull<u8>, layout: Layout) {
    // SAFETY: the cases free what they got, once.
    unsafe { heap.deallocate(block, layout) };
}

#[case(Usual, Plain, Checked<Usual>)]
fn holes_of_an_abandoned_arena_serve_others_when_memory_is_short<P: Variant>() {
    let heap = arenas::<P>(2 << 20, 2);
    let all_of = |size| {
        std::iter::from_fn(|| Block::new(&heap, layout(size, 8), size as u8)).collect::<Vec<_>>()
    };
    // Holes in the arena of a slot that is abandoned, from which others are served when there is
    // nothing else.
    let walls = on_slot(0, || {
        let (walls, holes): (Vec<_>, Vec<_>) =
            (0..).zip(all_of(3_000)).partition(|(number, _)| number % 2 == 0);
        holes.into_iter().for_each(|(_, block)| block.free(&heap));
        // SAFETY: nobody is interrupted.
        unsafe { heap.abandon() };
        walls
    });
    let mut blocks = on_slot(1, || all_of(1_040));
    assert!(blocks.len() > 100);
    on_slot(0, || {
        // The slot has its arena again, with the first free; and blocks that became as short.
        let mut walls = walls.into_iter().map(|(_, block)| block);
        walls.next().unwrap().free(&heap);
        walls.for_each(|mut block| {
            block.resize(&heap, 1_040).unwrap();
            blocks.push(block);
        });
        blocks.into_iter().for_each(|block| block.free(&heap));
        let longer = all_of(1_150);
        longer.iter().for_each(Block::verify);
        longer.into_iter().for_each(|block| block.free(&heap));
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn the_cells_of_the_callers_arena_are_shown_and_no_others<P: Variant>() {
    let heap = arenas::<P>(2 << 20, 2);
    let shown = || {
        let mut cells = Vec::new();
        heap.for_each_cell(|cell| cells.push(cell));
        cells
    };
    let layout = layout(3_000, 8);
    let (block, first) = on_slot(0, || {
        assert_eq!(shown(), [], "there is no arena yet");
        let block = allocate(&heap, layout);
        (block, shown())
    });
    let address = block.addr().get();
    let is_around = |cell: &CellInfo| {
        (cell.payload()..cell.address + cell.size).contains(&address)
            && cell.state == CellState::Used
    };
    assert_eq!(first.iter().filter(|cell| is_around(cell)).count(), 1, "{first:?}");
    assert!(first.is_sorted_by_key(|cell| cell.address), "{first:?}");
    on_slot(1, || {
        let other = allocate(&heap, layout);
        assert!(!shown().iter().any(is_around), "the block is in another arena");
        free(&heap, other, layout);
    });
    on_slot(0, || {
        assert_eq!(shown(), first, "as before");
        free(&heap, block, layout);
        assert!(!shown().iter().any(is_around), "the block is free");
    });
    assert_all_is_free(heap);
}

#[case(Usual, Plain, Checked<Usual>)]
fn blocks_of_one_size_fill_the_segments_of_their_arena_whatever_the_size<P: Variant>() {
    for size in (1..31).map(|step| step * 4_300) {
        let heap = arenas::<P>(64 << 20, 1);
        on_slot(0, || {
            let blocks: Vec<_> = (0..25).map(|_| allocate(&heap, layout(size, 8))).collect();
            let (held, live) = (heap.stats().segment_bytes, blocks.len() * size);
            assert!(
                held <= live / 8 * 12 + ((4 * 64) << 10),
                "{held} bytes for {live} in blocks of {size}"
            );
            blocks.into_iter().for_each(|block| free(&heap, block, layout(size, 8)));
        });
        assert_all_is_free(heap);
    }
}

#[case(Usual, Plain, Checked<Usual>)]
fn what_is_unused_in_the_callers_arena_may_be_forgotten<P: Variant>() {
    let heap = arenas::<P>(64 << 20, 2);
    let size = layout(200, 8);
    on_slot(0, || {
        let blocks: Vec<_> = (0..50_000).map(|_| allocate(&heap, size)).collect();
        let (live, freed): (Vec<_>, Vec<_>) = (0..).zip(blocks).partition(|(n, _)| n % 2_000 == 0);
        for (_, block) in &live {
            // SAFETY: as long as that.
            unsafe { block.write_bytes(7, size.size()) };
        }
        freed.into_iter().for_each(|(_, block)| free(&heap, block, size));
        let mut bytes = 0;
        heap.unused_memory(4096, 64 << 10, |piece| {
            // SAFETY: the heap says that nobody needs what is there.
            unsafe { piece.cast::<u8>().write_bytes(0, piece.len()) };
            bytes += piece.len();
        });
        assert!(bytes > 50_000 * 200 / 2, "{bytes} bytes");
        heap.check().unwrap();
        for (_, block) in live {
            // SAFETY: written above.
            let content = unsafe { NonNull::slice_from_raw_parts(block, size.size()).as_ref() };
            assert!(content.iter().all(|&byte| byte == 7));
            free(&heap, block, size);
        }
    });
    on_slot(1, || heap.unused_memory(4096, 1, |_| {}));
    assert_all_is_free(heap);
}

thread_local!(static MISSES: Cell<usize> = const { Cell::new(0) });

/// One slot, and a heap to use after a miss.
struct Counting(&'static std::sync::OnceLock<TestArenas<Usual, Counting>>);

// SAFETY: one thread, the case's, is on the slot.
unsafe impl SlotProvider for Counting {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        1
    }

    fn enter(&self) -> usize {
        0
    }

    fn missed(&self) {
        MISSES.set(MISSES.get() + 1);
        // In the middle of nothing: to look at all, to allocate and to free is allowed.
        let Some(heap) = self.0.get().filter(|_| MISSES.get().is_multiple_of(50)) else { return };
        heap.check().unwrap();
        heap.trim(0);
        let block = allocate(heap, layout(200_000, 8));
        free(heap, block, layout(200_000, 8));
    }
}

#[case]
fn the_provider_may_use_the_heap_after_an_allocation_with_no_block_at_hand() {
    static HEAP: std::sync::OnceLock<TestArenas<Usual, Counting>> = std::sync::OnceLock::new();
    let heap = HEAP.get_or_init(|| arenas_over(64 << 20, Counting(&HEAP)));
    let blocks: Vec<_> =
        (0..20_000).map(|n| (n % 900 + 1, allocate(heap, layout(n % 900 + 1, 1)))).collect();
    let misses = MISSES.get();
    assert!((20_000 / 64..20_000).contains(&misses), "{misses} misses");
    blocks.into_iter().for_each(|(size, block)| free(heap, block, layout(size, 1)));
    assert_eq!(MISSES.get(), misses, "to free is no miss");
    heap.check().unwrap();
}
