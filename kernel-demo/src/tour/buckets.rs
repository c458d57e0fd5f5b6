//! Buckets: what the documents tell of them is what slabs are.

use core::ptr::NonNull;

use crate::evidence::{Evidence, Shown};
use crate::memory::Policy;
use crate::memory::kernel_break::KernelBreak;
use brkalloc::{CellState, Heap, Usual};

use super::cells::{DemoHeap, expect_sound, free, malloc};
use super::told::{self, Call};
use super::watch::Watch;

/// Blocks of one size, more than two slabs hold beside those that were cells before the first slab.
const MANY: usize = 300;

pub fn buckets(evidence: &mut Evidence<'_>) -> Shown {
    let brk = KernelBreak::claim(Policy::Strict).ok_or("all are in use");
    let mut heap = Heap::new(evidence.need("a break", brk)?);

    let (count, last) = heap.block_sizes().fold((0, 0), |(count, _), size| (count + 1, size));
    evidence
        .say(format_args!("There are {count} buckets; the last is for blocks of {last} bytes."));
    let bucket = heap.block_sizes().find(|size| *size >= 61).unwrap_or(0);
    evidence.expect("malloc(61) rounds up to the bucket of", 64, bucket);

    let watch = Watch::start();
    let mut blocks = [NonNull::dangling(); MANY];
    for block in &mut blocks {
        *block = malloc(evidence, &mut heap, 61)?;
    }
    evidence.say(format_args!(
        "malloc(61) runs {MANY} times. To fill a bucket, a larger free cell is split, or the break moves."
    ));
    watch.print(evidence, 2);
    evidence.say(format_args!(
        "The first few are cells; the others lie in zones of equal blocks, without a header for each."
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
    evidence.say(format_args!("A block above the last bucket has a cell of its own."));
    evidence.expect_that("its cell begins before the payload", is_cell);

    blocks.iter().for_each(|block| free(&mut heap, *block, 61));
    free(&mut heap, other, 240);
    free(&mut heap, large, last + 1);
    told::call(&mut heap, Call::Trim, DemoHeap::flush, |()| 0);
    evidence.say(format_args!("All is freed, and the zones become free cells again."));
    evidence.expect("zones", 0, zones(&heap, 64));
    expect_sound(evidence, &heap);
    Ok(())
}

fn print_slabs(evidence: &mut Evidence<'_>, heap: &DemoHeap<Usual>) {
    heap.cells()
        .filter(|cell| matches!(cell.state, CellState::Slab { .. }))
        .for_each(|cell| evidence.show(format_args!("  {cell}")));
}

/// Returns the number of slabs of blocks of this size.
fn zones(heap: &DemoHeap<Usual>, size: usize) -> usize {
    heap.cells()
        .filter(
            |cell| matches!(cell.state, CellState::Slab { block_size, .. } if block_size == size),
        )
        .count()
}
