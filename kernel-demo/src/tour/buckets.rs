//! Buckets: what the documents tell of them is what slabs are.

use core::ptr::NonNull;

use crate::evidence::{Evidence, Shown, Step};
use crate::memory::Policy;
use crate::memory::kernel_break::ScratchBreak;
use brkalloc::{CellState, Heap, Usual};

use super::cells::{DemoHeap, expect_sound, free, malloc};
use super::watch::Watch;

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[Step {
    name: "claims::c9_buckets",
    claim: "C9",
    text: "Buckets: zones of equal cells; a request rounds up to the next bucket",
    shown_by: "slabs of 64 bytes, and what is larger than the last bucket",
    show: buckets,
}];

/// Blocks of one size, more than two slabs hold beside those that were cells before the first slab.
const MANY: usize = 300;

fn buckets(evidence: &mut Evidence<'_>) -> Shown {
    let brk = ScratchBreak::claim(Policy::Strict).ok_or("all are in use");
    let mut heap = Heap::new(evidence.need("a break", brk)?);

    let (count, last) = heap.block_sizes().fold((0, 0), |(count, _), size| (count + 1, size));
    evidence.say(format_args!("{count} buckets; the last is for blocks of {last} bytes"));
    let bucket = heap.block_sizes().find(|size| *size >= 61).unwrap_or(0);
    evidence.expect("malloc(61) rounds up to the bucket of", 64, bucket);

    let watch = Watch::start();
    let mut blocks = [NonNull::dangling(); MANY];
    for block in &mut blocks {
        *block = malloc(evidence, &mut heap, 61)?;
    }
    evidence.say(format_args!(
        "malloc(61), {MANY} times; a bucket that is empty gets more of a larger free cell, or the break moves:"
    ));
    watch.print(evidence, 2);
    evidence.say(format_args!(
        "the first ones are cells, until a zone of its own pays for the size; then:"
    ));
    print_slabs(evidence, &heap);
    // SAFETY: a live block.
    let usable = unsafe { heap.usable_size(blocks[MANY - 1]) };
    evidence.expect("bytes of the last block that may be used", bucket, usable);
    let neighbours = blocks
        .windows(2)
        .filter(|pair| pair[0].addr().get().abs_diff(pair[1].addr().get()) == bucket)
        .count();
    evidence.expect_at_least(
        "blocks that lie side by side, without a header between",
        MANY / 2,
        neighbours,
    );
    evidence.expect_at_least("zones of 64 bytes", 2, zones(&heap, 64));

    let other = malloc(evidence, &mut heap, 240)?;
    let large = malloc(evidence, &mut heap, last + 1)?;
    let is_cell = heap
        .cells()
        .any(|cell| cell.state == CellState::Used && cell.payload() == large.addr().get());
    evidence.expect_that("what is larger than the last bucket is a cell of its own", is_cell);

    blocks.iter().for_each(|block| free(&mut heap, *block, 61));
    free(&mut heap, other, 240);
    free(&mut heap, large, last + 1);
    heap.flush();
    evidence.expect(
        "zones after all is freed: their pages are free cells again",
        0,
        zones(&heap, 64),
    );
    expect_sound(evidence, &heap);
    Ok(())
}

fn print_slabs(evidence: &mut Evidence<'_>, heap: &DemoHeap<Usual>) {
    heap.cells()
        .filter(|cell| matches!(cell.state, CellState::Slab { .. }))
        .for_each(|cell| evidence.say(format_args!("    {cell}")));
}

/// Returns the number of slabs of blocks of this size.
fn zones(heap: &DemoHeap<Usual>, size: usize) -> usize {
    heap.cells()
        .filter(
            |cell| matches!(cell.state, CellState::Slab { block_size, .. } if block_size == size),
        )
        .count()
}
