//! The heap: cells, and what becomes of them.

use core::alloc::Layout;
use core::ptr::NonNull;

use crate::evidence::{Evidence, Missing, Shown};
use crate::memory::Policy;
use crate::memory::kernel_break::KernelBreak;
use brkalloc::{CellInfo, CellState, Heap, NoMap, Plain, PlainHeap, Profile};

use super::told::{self, Call};
use super::watch::Watch;

/// The heap of a step, over a break of its own: the documents' heap, unless a step says otherwise.
pub type DemoHeap<P = Plain> = Heap<KernelBreak, NoMap, P>;

/// A heap of which nothing is granted yet.
pub fn fresh_heap(evidence: &mut Evidence<'_>) -> Result<DemoHeap, Missing> {
    let brk = KernelBreak::claim(Policy::Strict).ok_or("all are in use");
    Ok(PlainHeap::with_profile(evidence.need("a break", brk)?, NoMap))
}

/// `malloc`, where failure ends the step.
#[track_caller]
pub fn malloc<P: Profile>(
    evidence: &mut Evidence<'_>,
    heap: &mut DemoHeap<P>,
    size: usize,
) -> Result<NonNull<u8>, Missing> {
    // SAFETY: the steps drop their heaps after the last use of a block.
    let run = |heap: &mut DemoHeap<P>| unsafe { heap.allocate(bytes(size)) };
    let block = told::call(heap, Call::Allocate(size), run, told::address);
    evidence.need("a block", block.ok_or("out of memory"))
}

/// `free`.
#[track_caller]
pub fn free<P: Profile>(heap: &mut DemoHeap<P>, block: NonNull<u8>, size: usize) {
    // SAFETY: the steps free what they allocated with this size, once.
    let run = |heap: &mut DemoHeap<P>| unsafe { heap.deallocate(block, bytes(size)) };
    told::call(heap, Call::Free(block, size), run, |()| 0);
}

/// Makes room, where failure ends the step.
#[track_caller]
pub fn reserve(evidence: &mut Evidence<'_>, heap: &mut DemoHeap, what: &str, size: usize) -> Shown {
    let reserved = told::call(heap, Call::Reserve(size), |heap| heap.reserve(size), |_| 0);
    evidence.need(what, reserved)
}

/// Gives back what can be given back, and returns how many bytes.
#[track_caller]
pub fn trim(heap: &mut DemoHeap) -> usize {
    told::call(heap, Call::Trim, |heap| heap.trim(0), |returned| *returned)
}

/// `calloc`.
#[track_caller]
fn calloc(heap: &mut DemoHeap, count: usize, element: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the steps drop their heaps after the last use of a block.
    let run = |heap: &mut DemoHeap| unsafe { heap.allocate_zeroed_array(count, element) };
    let size = count.saturating_mul(element.size());
    told::call(heap, Call::AllocateZeroed(size), run, told::address)
}

/// The layout of so many bytes.
pub const fn bytes(size: usize) -> Layout {
    match Layout::from_size_align(size, 1) {
        Ok(layout) => layout,
        Err(_) => panic!("a size that is no size"),
    }
}

/// Prints every cell of a heap, and all of them to scale; blank is memory of other code.
pub fn print_cells(evidence: &mut Evidence<'_>, heap: &DemoHeap, sentence: &str) {
    evidence.say(format_args!("{sentence}"));
    for cell in heap.cells() {
        evidence.show(format_args!("  {cell}"));
    }
    evidence.show(format_args!("  |{}|  # used . free _ top", heap.picture(64)));
}

/// Checks all invariants of a heap.
pub fn expect_sound<P: Profile>(evidence: &mut Evidence<'_>, heap: &DemoHeap<P>) {
    if let Err(corruption) = heap.check() {
        evidence.say(format_args!("The heap is corrupt: {corruption}"));
    }
    evidence.ensure("every invariant of the heap holds", true, heap.check().is_ok());
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

pub fn header_and_payload(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    for size in [1, 24, 100] {
        let block = malloc(evidence, &mut heap, size)?;
        let cell = cell_of(evidence, &heap, block)?;
        evidence.say(format_args!(
            "malloc({size}) returns {:#x}, the payload of a cell of {} bytes at {:#x}.",
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
    evidence.say(format_args!("The cells lie side by side, and nothing lies between them."));
    evidence.expect(
        "bytes of all cells together: as many as from the first to the end of the last",
        ends,
        sizes,
    );
    Ok(())
}

pub fn one_free_cell(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    evidence.say(format_args!("A heap is made over a break that has not moved yet."));
    evidence.expect("cells", 0, heap.cells().count());
    let watch = Watch::start();
    reserve(evidence, &mut heap, "16 KiB", 16 << 10)?;
    print_cells(evidence, &heap, "The break moves up by whole pages, and the heap has one cell.");
    evidence.expect("cells", 1, heap.cells().count());
    evidence.expect("free cells", 1, count(&heap, &[CellState::Top]));
    evidence.expect_at_least("bytes that it holds", 16 << 10, heap.stats().largest_free);
    evidence.say(format_args!("Only the header and the end of the cell were touched."));
    evidence.expect("pages faulted in", 2, watch.faults());
    Ok(())
}

pub fn splitting(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    reserve(evidence, &mut heap, "4 KiB", 4000)?;
    print_cells(evidence, &heap, "The heap has one free cell.");
    let whole: usize = heap.cells().map(|cell| cell.size).sum();
    let block = malloc(evidence, &mut heap, 1000)?;
    print_cells(evidence, &heap, "malloc(1000) splits its cell off, and a free cell is left.");
    let cell = cell_of(evidence, &heap, block)?;
    evidence.expect("used cells", 1, count(&heap, &[CellState::Used]));
    evidence.expect("free cells", 1, count(&heap, &[CellState::Top, CellState::Free]));
    let rest = heap.cells().nth(1).map_or(0, |cell| cell.address);
    evidence.expect_hex("where the rest begins", (cell.address + cell.size) as u64, rest as u64);
    evidence.expect("sum of the cells", whole, heap.cells().map(|cell| cell.size).sum());
    Ok(())
}

pub fn searching_first(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let block = malloc(evidence, &mut heap, 3000)?;
    let _wall = malloc(evidence, &mut heap, 10)?;
    free(&mut heap, block, 3000);
    print_cells(evidence, &heap, "3000 bytes are freed; a used cell lies behind them.");
    let watch = Watch::start();
    let fitting = malloc(evidence, &mut heap, 2000)?;
    evidence.say(format_args!("malloc(2000) finds the freed memory, and the break stays."));
    evidence.expect_hex(
        "malloc(2000) returns the freed block",
        block.addr().get() as u64,
        fitting.addr().get() as u64,
    );
    evidence.expect("movements of the break", 0, watch.moves());
    let _large = malloc(evidence, &mut heap, 9000)?;
    evidence.say(format_args!("malloc(9000) fits no free cell, so the break moves up."));
    watch.print(evidence, 1);
    evidence.expect("movements of the break", 1, watch.moves());
    Ok(())
}

pub fn coming_back(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let block = malloc(evidence, &mut heap, 500)?;
    let _wall = malloc(evidence, &mut heap, 10)?;
    let (watch, granted) = (Watch::start(), heap.stats().granted_bytes);
    free(&mut heap, block, 500);
    print_cells(
        evidence,
        &heap,
        "A block of 500 bytes is freed: its cell waits in a bin, and the break stays.",
    );
    evidence.expect("free cells that wait in a bin", 1, count(&heap, &[CellState::Free]));
    evidence.expect("bytes granted to the heap", granted, heap.stats().granted_bytes);
    let again = malloc(evidence, &mut heap, 500)?;
    evidence.say(format_args!("malloc of the same size takes it from the bin."));
    evidence.expect_hex(
        "malloc of the same size returns the block",
        block.addr().get() as u64,
        again.addr().get() as u64,
    );
    evidence.expect("movements of the break", 0, watch.moves());
    evidence.expect("page faults", 0, watch.faults());
    Ok(())
}

pub fn coalescing(evidence: &mut Evidence<'_>) -> Shown {
    const BLOCKS: usize = 8;
    let mut heap = fresh_heap(evidence)?;
    let mut blocks = [NonNull::dangling(); BLOCKS];
    for block in &mut blocks {
        *block = malloc(evidence, &mut heap, 200)?;
    }
    let _wall = malloc(evidence, &mut heap, 10)?;
    blocks.iter().step_by(2).for_each(|block| free(&mut heap, *block, 200));
    print_cells(
        evidence,
        &heap,
        "Every other one of eight blocks is freed: the free memory is in pieces.",
    );
    evidence.expect("free cells before the wall", BLOCKS / 2, count(&heap, &[CellState::Free]));
    let fits = heap
        .cells()
        .any(|cell| cell.state == CellState::Free && cell.payload_size() >= BLOCKS / 2 * 200);
    evidence.expect_that("800 bytes are free, but none of them holds 800 bytes", !fits);
    blocks.iter().skip(1).step_by(2).for_each(|block| free(&mut heap, *block, 200));
    print_cells(evidence, &heap, "The other blocks are freed, and the free cells become one.");
    evidence.expect("free cells before the wall", 1, count(&heap, &[CellState::Free]));
    let watch = Watch::start();
    let large = malloc(evidence, &mut heap, BLOCKS * 200)?;
    evidence.say(format_args!("A block as large as all of them together fits there."));
    evidence.expect_hex(
        "malloc(1600) returns the first block",
        blocks[0].addr().get() as u64,
        large.addr().get() as u64,
    );
    evidence.expect("movements of the break", 0, watch.moves());
    expect_sound(evidence, &heap);
    Ok(())
}

pub fn calloc_and_realloc(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let dirty = malloc(evidence, &mut heap, 400)?;
    fill(dirty, 400, 0xFF);
    free(&mut heap, dirty, 400);
    let zeroed = calloc(&mut heap, 100, Layout::new::<[u8; 4]>());
    let block = evidence.need("calloc(100, 4)", zeroed.ok_or("out of memory"))?;
    evidence.say(format_args!("calloc(100, 4) takes memory that was written to, and zeroes it."));
    evidence.expect_hex(
        "calloc(100, 4) returns the dirty block",
        dirty.addr().get() as u64,
        block.addr().get() as u64,
    );
    evidence.expect("bytes of it that are not zero", 0, others(block, 400, 0));
    let product = calloc(&mut heap, usize::MAX / 2, Layout::new::<u32>());
    evidence.say(format_args!("A product that overflows is refused."));
    evidence.expect_that("calloc(2^63 - 1, 4) is null", product.is_none());

    fill(block, 400, 0x5A);
    let kept = resize(evidence, &mut heap, block, 400, 2000)?;
    evidence.say(format_args!("realloc keeps the block where it is if there is room behind it."));
    evidence.expect_hex(
        "realloc to 2000 bytes",
        block.addr().get() as u64,
        kept.addr().get() as u64,
    );
    let _wall = malloc(evidence, &mut heap, 10)?;
    let moved = resize(evidence, &mut heap, kept, 2000, 5000)?;
    evidence.say(format_args!(
        "With a used cell behind it, realloc to 5000 bytes moves it from {:#x} to {:#x}.",
        kept.addr(),
        moved.addr()
    ));
    evidence.expect_that("it moved", moved != kept);
    evidence.expect("bytes that did not come along", 0, others(moved, 400, 0x5A));
    let shrunk = resize(evidence, &mut heap, moved, 5000, 100)?;
    evidence.say(format_args!("A block that becomes smaller stays."));
    evidence.expect_hex(
        "realloc to 100 bytes",
        moved.addr().get() as u64,
        shrunk.addr().get() as u64,
    );
    expect_sound(evidence, &heap);
    Ok(())
}

#[track_caller]
fn resize(
    evidence: &mut Evidence<'_>,
    heap: &mut DemoHeap,
    block: NonNull<u8>,
    old: usize,
    new: usize,
) -> Result<NonNull<u8>, Missing> {
    // SAFETY: the block is live and that long.
    let run = |heap: &mut DemoHeap| unsafe { heap.reallocate(block, bytes(old), new) };
    let resized = told::call(heap, Call::Reallocate(block, old, new), run, told::address);
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
