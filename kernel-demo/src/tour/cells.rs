//! The heap: cells, and what becomes of them.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::evidence::{Evidence, Missing, Shown, Step};
use crate::memory::Policy;
use crate::memory::kernel_break::ScratchBreak;
use brkalloc::{CellInfo, CellState, Heap, NoMap, Plain, PlainHeap, Profile};

use super::watch::Watch;

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "claims::c1_header_and_payload",
        claim: "C1",
        text: "A cell is a header and a payload; payloads are 16-byte aligned",
        shown_by: "cells of 1, 24 and 100 bytes",
        show: header_and_payload,
    },
    Step {
        name: "claims::c2_one_free_cell",
        claim: "C2",
        text: "A fresh heap is one single free cell holding all of it",
        shown_by: "the cells of a heap that was given 16 KiB",
        show: one_free_cell,
    },
    Step {
        name: "claims::c3_cutting",
        claim: "C3",
        text: "malloc cuts what it needs from a free cell; the rest is a new free cell",
        shown_by: "the cells before and after a malloc",
        show: cutting,
    },
    Step {
        name: "claims::c4_searching_first",
        claim: "C4",
        text: "malloc first searches freed memory, and only then asks the system",
        shown_by: "two mallocs, and what the break did",
        show: searching_first,
    },
    Step {
        name: "claims::c5_coming_back",
        claim: "C5",
        text: "free puts the cell on a free list; the next fitting malloc gets it back",
        shown_by: "a block freed and allocated again",
        show: coming_back,
    },
    Step {
        name: "claims::c6_merging",
        claim: "C6",
        text: "Heaps fragment; adjacent free cells are merged",
        shown_by: "every other block freed, then the rest",
        show: merging,
    },
    Step {
        name: "claims::c7_calloc_and_realloc",
        claim: "C7",
        text: "calloc checks and zeroes; realloc keeps the block, or moves and copies",
        shown_by: "dirty memory, and a block with a wall behind it",
        show: calloc_and_realloc,
    },
];

/// The heap of a step, over a break of its own: the documents' heap, unless a step says otherwise.
pub type DemoHeap<P = Plain> = Heap<ScratchBreak, NoMap, P>;

/// A heap of which nothing is granted yet.
pub fn fresh_heap(evidence: &mut Evidence<'_>) -> Result<DemoHeap, Missing> {
    let brk = ScratchBreak::claim(Policy::Strict).ok_or("all are in use");
    Ok(PlainHeap::with_profile(evidence.need("a break", brk)?, NoMap))
}

/// `malloc`, where failure ends the step.
pub fn malloc<P: Profile>(
    evidence: &mut Evidence<'_>,
    heap: &mut DemoHeap<P>,
    size: usize,
) -> Result<NonNull<u8>, Missing> {
    // SAFETY: the steps drop their heaps after the last use of a block.
    let block = unsafe { heap.allocate(bytes(size)) };
    evidence.need("a block", block.ok_or("out of memory"))
}

/// `free`.
pub fn free<P: Profile>(heap: &mut DemoHeap<P>, block: NonNull<u8>, size: usize) {
    // SAFETY: the steps free what they allocated with this size, once.
    unsafe { heap.deallocate(block, bytes(size)) };
}

/// The layout of so many bytes.
pub const fn bytes(size: usize) -> Layout {
    match Layout::from_size_align(size, 1) {
        Ok(layout) => layout,
        Err(_) => panic!("a size that is no size"),
    }
}

/// Prints every cell of a heap, and all of them to scale: `#` used, `.` free, `_` the top, blank:
/// somebody else's.
pub fn print_cells(evidence: &mut Evidence<'_>, heap: &DemoHeap, title: &str) {
    evidence.say(format_args!("{title}"));
    for cell in heap.cells() {
        evidence.say(format_args!("    {cell}"));
    }
    evidence.say(format_args!("    |{}|", heap.picture(64)));
}

/// Checks all invariants of a heap.
pub fn expect_sound<P: Profile>(evidence: &mut Evidence<'_>, heap: &DemoHeap<P>) {
    match heap.check() {
        Ok(()) => evidence.expect_that("every invariant of the heap holds", true),
        Err(corruption) => {
            evidence.say(format_args!("{corruption}"));
            evidence.expect_that("every invariant of the heap holds", false);
        }
    }
}

fn cell_of(
    evidence: &mut Evidence<'_>,
    heap: &DemoHeap,
    block: NonNull<u8>,
) -> Result<CellInfo, Missing> {
    let cell = heap.cells().find(|cell| cell.payload() == block.addr().get());
    evidence.need("the block's cell", cell.ok_or("no cell has that payload"))
}

fn count(heap: &DemoHeap, states: &[CellState]) -> usize {
    heap.cells().filter(|cell| states.contains(&cell.state)).count()
}

fn header_and_payload(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    for size in [1, 24, 100] {
        let block = malloc(evidence, &mut heap, size)?;
        let cell = cell_of(evidence, &heap, block)?;
        evidence.say(format_args!(
            "malloc({size}) = {:#x}: a cell of {} bytes at {:#x}",
            block.addr(),
            cell.size,
            cell.address
        ));
        evidence.expect(
            "bytes from the header to the payload",
            8,
            block.addr().get() - cell.address,
        );
        evidence.expect("address of the payload, modulo 16", 0, block.addr().get() % 16);
        evidence.expect_at_least("bytes of the payload", size, cell.payload_size());
    }
    let sizes: usize = heap.cells().map(|cell| cell.size).sum();
    let ends = heap.cells().last().map_or(0, |cell| cell.address + cell.size)
        - heap.cells().next().map_or(0, |cell| cell.address);
    evidence.expect(
        "bytes of all cells together: as many as from the first to the end of the last",
        ends,
        sizes,
    );
    Ok(())
}

fn one_free_cell(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    evidence.expect("cells before anything was granted", 0, heap.cells().count());
    let watch = Watch::start();
    evidence.need("16 KiB", heap.reserve(16 << 10))?;
    print_cells(evidence, &heap, "16 KiB are reserved:");
    evidence.expect("cells", 1, heap.cells().count());
    evidence.expect("free cells", 1, count(&heap, &[CellState::Top]));
    evidence.expect_at_least("bytes that it holds", 16 << 10, heap.stats().largest_free);
    evidence.expect("pages behind it: where the header is, and where it ends", 2, watch.faults());
    Ok(())
}

fn cutting(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    evidence.need("4 KiB", heap.reserve(4000))?;
    print_cells(evidence, &heap, "before:");
    let whole: usize = heap.cells().map(|cell| cell.size).sum();
    let block = malloc(evidence, &mut heap, 1000)?;
    print_cells(evidence, &heap, "after malloc(1000):");
    let cell = cell_of(evidence, &heap, block)?;
    evidence.expect("used cells", 1, count(&heap, &[CellState::Used]));
    evidence.expect("free cells", 1, count(&heap, &[CellState::Top, CellState::Free]));
    let rest = heap.cells().nth(1).map_or(0, |cell| cell.address);
    evidence.expect_hex("where the rest begins", (cell.address + cell.size) as u64, rest as u64);
    evidence.expect("sum of the cells", whole, heap.cells().map(|cell| cell.size).sum());
    Ok(())
}

fn searching_first(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let block = malloc(evidence, &mut heap, 3000)?;
    let _wall = malloc(evidence, &mut heap, 10)?;
    free(&mut heap, block, 3000);
    print_cells(evidence, &heap, "3000 bytes were freed, with a used cell behind them:");
    let watch = Watch::start();
    let fitting = malloc(evidence, &mut heap, 2000)?;
    evidence.expect_hex(
        "malloc(2000) takes the freed memory",
        block.addr().get() as u64,
        fitting.addr().get() as u64,
    );
    evidence.expect("movements of the break", 0, watch.moves());
    let _large = malloc(evidence, &mut heap, 9000)?;
    evidence.say(format_args!("malloc(9000) fits nowhere:"));
    watch.print(evidence, 1);
    evidence.expect("movements of the break", 1, watch.moves());
    Ok(())
}

fn coming_back(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let block = malloc(evidence, &mut heap, 500)?;
    let _wall = malloc(evidence, &mut heap, 10)?;
    let (watch, granted) = (Watch::start(), heap.stats().granted_bytes);
    free(&mut heap, block, 500);
    print_cells(evidence, &heap, "after free:");
    evidence.expect("free cells that wait in a bin", 1, count(&heap, &[CellState::Free]));
    evidence.expect("bytes granted to the heap", granted, heap.stats().granted_bytes);
    let again = malloc(evidence, &mut heap, 500)?;
    evidence.expect_hex(
        "malloc of the same size",
        block.addr().get() as u64,
        again.addr().get() as u64,
    );
    evidence.expect("movements of the break", 0, watch.moves());
    evidence.expect("page faults", 0, watch.faults());
    Ok(())
}

fn merging(evidence: &mut Evidence<'_>) -> Shown {
    const BLOCKS: usize = 8;
    let mut heap = fresh_heap(evidence)?;
    let mut blocks = [NonNull::dangling(); BLOCKS];
    for block in &mut blocks {
        *block = malloc(evidence, &mut heap, 200)?;
    }
    let _wall = malloc(evidence, &mut heap, 10)?;
    blocks.iter().step_by(2).for_each(|block| free(&mut heap, *block, 200));
    print_cells(evidence, &heap, "every other block was freed:");
    evidence.expect("free cells before the wall", BLOCKS / 2, count(&heap, &[CellState::Free]));
    let fits = heap
        .cells()
        .any(|cell| cell.state == CellState::Free && cell.payload_size() >= BLOCKS / 2 * 200);
    evidence.expect_that("800 bytes are free, but none of them holds 800 bytes", !fits);
    blocks.iter().skip(1).step_by(2).for_each(|block| free(&mut heap, *block, 200));
    print_cells(evidence, &heap, "the others were freed, too:");
    evidence.expect("free cells before the wall", 1, count(&heap, &[CellState::Free]));
    let watch = Watch::start();
    let large = malloc(evidence, &mut heap, BLOCKS * 200)?;
    evidence.expect_hex(
        "a block as large as all of them together",
        blocks[0].addr().get() as u64,
        large.addr().get() as u64,
    );
    evidence.expect("movements of the break", 0, watch.moves());
    expect_sound(evidence, &heap);
    Ok(())
}

fn calloc_and_realloc(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let dirty = malloc(evidence, &mut heap, 400)?;
    fill(dirty, 400, 0xFF);
    free(&mut heap, dirty, 400);
    // SAFETY: the heap outlives the block.
    let zeroed = unsafe { heap.allocate_zeroed_array(100, Layout::new::<[u8; 4]>()) };
    let block = evidence.need("calloc(100, 4)", zeroed.ok_or("out of memory"))?;
    evidence.expect_hex(
        "calloc(100, 4) gets dirty memory",
        dirty.addr().get() as u64,
        block.addr().get() as u64,
    );
    evidence.expect("bytes of it that are not zero", 0, others(block, 400, 0));
    // SAFETY: the heap outlives the block.
    let product = unsafe { heap.allocate_zeroed_array(usize::MAX / 2, Layout::new::<u32>()) };
    evidence
        .expect_that("calloc(2^63 - 1, 4), whose product overflows, is null", product.is_none());

    fill(block, 400, 0x5A);
    let kept = resize(evidence, &mut heap, block, 400, 2000)?;
    evidence.expect_hex(
        "realloc to 2000, with room behind",
        block.addr().get() as u64,
        kept.addr().get() as u64,
    );
    let _wall = malloc(evidence, &mut heap, 10)?;
    let moved = resize(evidence, &mut heap, kept, 2000, 5000)?;
    evidence.say(format_args!(
        "realloc to 5000, with a wall behind: from {:#x} to {:#x}",
        kept.addr(),
        moved.addr()
    ));
    evidence.expect_that("it moved", moved != kept);
    evidence.expect("bytes that did not come along", 0, others(moved, 400, 0x5A));
    let shrunk = resize(evidence, &mut heap, moved, 5000, 100)?;
    evidence.expect_hex("realloc to 100", moved.addr().get() as u64, shrunk.addr().get() as u64);
    expect_sound(evidence, &heap);
    Ok(())
}

fn resize(
    evidence: &mut Evidence<'_>,
    heap: &mut DemoHeap,
    block: NonNull<u8>,
    old: usize,
    new: usize,
) -> Result<NonNull<u8>, Missing> {
    // SAFETY: the block is live and that long.
    let resized = unsafe { heap.reallocate(block, bytes(old), new) };
    evidence.need("a resized block", resized.ok_or("out of memory"))
}

fn fill(block: NonNull<u8>, size: usize, byte: u8) {
    // SAFETY: the steps pass live blocks and their sizes.
    unsafe { block.write_bytes(byte, size) };
}

/// How many bytes of a block are not `byte`.
fn others(block: NonNull<u8>, size: usize, byte: u8) -> usize {
    // SAFETY: the steps pass live blocks, which they have written, and their sizes.
    let bytes = unsafe { NonNull::slice_from_raw_parts(block, size).as_ref() };
    bytes.iter().filter(|&&found| found != byte).count()
}
