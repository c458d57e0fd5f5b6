//! The heap and its break: giving back, and others who move the same break.

use crate::evidence::{Evidence, Shown};
use brkalloc::{CellState, Rule};

use super::cells::{
    DemoHeap, bytes, expect_sound, free, fresh_heap, malloc, print_cells, reserve, trim,
};
use super::watch::Watch;

/// Draws a heap up to its break, a character for each 32 KiB.
fn draw(evidence: &mut Evidence<'_>, heap: &DemoHeap, when: &str) {
    const UNIT: usize = 32 << 10;
    let size: usize = heap.cells().map(|cell| cell.size).sum();
    let picture = heap.picture(size.div_ceil(UNIT));
    evidence.show(format_args!("{when:12} |{picture}|  break {:#x}", heap.stats().brk));
}

pub fn giving_back(evidence: &mut Evidence<'_>) -> Shown {
    const SIZE: usize = 1 << 20;
    let mut heap = fresh_heap(evidence)?;
    let small = malloc(evidence, &mut heap, 100)?;
    let (low, watch) = (heap.stats().brk, Watch::start());
    let large = malloc(evidence, &mut heap, SIZE)?;
    // SAFETY: the block is that long.
    unsafe { large.write_bytes(1, SIZE) };
    evidence.say(format_args!(
        "malloc(1 MiB) moves the break up, and each byte of the block is written to."
    ));
    evidence.show(format_args!("the heap up to its break, 32 KiB a character: # used, _ free"));
    draw(evidence, &heap, "before free");
    evidence.expect_at_least("frames taken", 256, watch.frames());
    let before = Watch::start();
    free(&mut heap, large, SIZE);
    evidence.say(format_args!(
        "The block ends at the break: free moves the break down, and the frames go back."
    ));
    draw(evidence, &heap, "after free");
    evidence.expect("movements of the break", 1, before.moves());
    evidence.expect_at_least("frames returned", 256 - 17, -before.frames());
    evidence.expect_that(
        "the heap keeps 64 KiB for the next request, and the rest of a page",
        heap.stats().brk - low <= (64 << 10) + 4096,
    );
    free(&mut heap, small, 100);
    let returned = trim(&mut heap);
    evidence.say(format_args!(
        "The last block is freed and the heap trimmed: the other {returned} bytes go back."
    ));
    evidence.expect("bytes granted to the heap", 0, heap.stats().granted_bytes);
    drop(heap);
    Ok(())
}

pub fn moved_up(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let below = malloc(evidence, &mut heap, 3000)?;
    let brk = heap.provider().raw();
    // SAFETY: a step up takes nothing away.
    let theirs = evidence.need("16 KiB for other code", unsafe { brk.sbrk(16 << 10) })?;
    evidence.say(format_args!(
        "Other code moves the break up from {theirs:#x} to {:#x}.",
        brk.position()
    ));
    evidence.ensure("bytes that the break moved", 16 << 10, brk.position() - theirs);
    let above = malloc(evidence, &mut heap, 3000)?;
    print_cells(evidence, &heap, "malloc(3000) goes on above it, and the heap has a hole.");
    evidence.expect("holes in the heap", 1, heap.stats().holes);
    let hole = heap
        .cells()
        .find(|cell| cell.state == CellState::Hole)
        .map_or(0, |hole| hole.address + hole.size);
    evidence.expect_that(
        "the new region begins above what is theirs",
        hole as u64 >= theirs + (16 << 10),
    );
    free(&mut heap, below, 3000);
    free(&mut heap, above, 3000);
    let again = malloc(evidence, &mut heap, 2000)?;
    evidence.say(format_args!("The memory below the hole is used again."));
    evidence.expect_hex(
        "malloc(2000) returns the first block",
        below.addr().get() as u64,
        again.addr().get() as u64,
    );
    expect_sound(evidence, &heap);
    Ok(())
}

pub fn moved_down(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    reserve(evidence, &mut heap, "8 KiB", 8000)?;
    let brk = heap.provider().raw();
    let ours = brk.position();
    // SAFETY: the heap, whose memory this is, will not touch it: that is what this step shows.
    evidence.need("4 KiB to be taken", unsafe { brk.sbrk(-4096) })?;
    evidence.say(format_args!(
        "Other code moves the break down from {ours:#x} to {:#x}, into the heap.",
        brk.position()
    ));
    // SAFETY: the heap lives until the end of the step.
    let refused = unsafe { heap.allocate(bytes(100_000)) };
    evidence.expect_that("malloc(100000) is null", refused.is_none());
    let found = heap.check().map_or_else(Ok, |()| Err("it says that all is well"));
    let corruption = evidence.need("a report of the heap", found)?;
    evidence.say(format_args!("The heap reports which invariant is broken."));
    evidence.show(format_args!("{corruption}"));
    evidence.expect_that(
        "the rule that is broken is that of the break",
        corruption.rule == Rule::BreakBelowHeap,
    );
    evidence.expect_hex("expected", ours, corruption.expected as u64);
    evidence.expect_hex("found", brk.position(), corruption.found as u64);
    // SAFETY: as above.
    let small = unsafe { heap.allocate(bytes(1)) };
    evidence.say(format_args!("From then on the heap touches nothing."));
    evidence.expect_that("malloc(1) is null", small.is_none());
    Ok(())
}
