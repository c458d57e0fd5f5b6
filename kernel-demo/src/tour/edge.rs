//! The heap and its break: giving back, and others who move the same break.

use crate::evidence::{Evidence, Shown, Step};
use brkalloc::{CellState, Rule};

use super::cells::{bytes, expect_sound, free, fresh_heap, malloc, print_cells};
use super::watch::Watch;

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "claims::c8_giving_back",
        claim: "C8",
        text: "Freeing the cell that ends at the break gives the memory back",
        shown_by: "1 MiB allocated, touched and freed",
        show: giving_back,
    },
    Step {
        name: "claims::c14_moved_up",
        claim: "C14",
        text: "Somebody else may move the break between two of our calls: up",
        shown_by: "16 KiB that the heap did not ask for",
        show: moved_up,
    },
    Step {
        name: "claims::c14_moved_down",
        claim: "C14",
        text: "Somebody else may move the break between two of our calls: down",
        shown_by: "4 KiB of the heap's, taken away",
        show: moved_down,
    },
];

fn giving_back(evidence: &mut Evidence<'_>) -> Shown {
    const SIZE: usize = 1 << 20;
    let mut heap = fresh_heap(evidence)?;
    let small = malloc(evidence, &mut heap, 100)?;
    let (low, watch) = (heap.stats().brk, Watch::start());
    let large = malloc(evidence, &mut heap, SIZE)?;
    // SAFETY: the block is that long.
    unsafe { large.write_bytes(1, SIZE) };
    evidence.say(format_args!(
        "malloc(1 MiB), and every byte of it written: the break moves from {low:#x} to {:#x}",
        heap.stats().brk
    ));
    evidence.expect_at_least("frames taken", 256, watch.frames());
    let before = Watch::start();
    free(&mut heap, large, SIZE);
    print_cells(evidence, &heap, "after free:");
    evidence.expect("movements of the break", 1, before.moves());
    evidence.expect_that(
        "the heap keeps 64 KiB for the next time, and the rest of a page",
        heap.stats().brk - low <= (64 << 10) + 4096,
    );
    evidence.expect_at_least("frames returned", 256 - 17, -before.frames());
    free(&mut heap, small, 100);
    let returned = heap.trim(0);
    evidence.say(format_args!(
        "the last block is freed, too, and the heap trimmed: {returned} more bytes go back"
    ));
    evidence.expect("bytes granted to the heap", 0, heap.stats().granted_bytes);
    drop(heap);
    Ok(())
}

fn moved_up(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    let below = malloc(evidence, &mut heap, 3000)?;
    let brk = heap.provider().raw();
    // SAFETY: a step up takes nothing away.
    let theirs = evidence.need("16 KiB for somebody else", unsafe { brk.sbrk(16 << 10) })?;
    evidence.say(format_args!(
        "somebody else moves the break from {theirs:#x} to {:#x}",
        brk.position()
    ));
    let above = malloc(evidence, &mut heap, 3000)?;
    print_cells(evidence, &heap, "malloc(3000) goes on above it:");
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
    evidence.expect_hex(
        "the region below serves on: malloc(2000)",
        below.addr().get() as u64,
        again.addr().get() as u64,
    );
    expect_sound(evidence, &heap);
    Ok(())
}

fn moved_down(evidence: &mut Evidence<'_>) -> Shown {
    let mut heap = fresh_heap(evidence)?;
    evidence.need("8 KiB", heap.reserve(8000))?;
    let brk = heap.provider().raw();
    let ours = brk.position();
    // SAFETY: the heap, whose memory this is, will not touch it: that is what this step shows.
    evidence.need("4 KiB to be taken", unsafe { brk.sbrk(-4096) })?;
    evidence.say(format_args!(
        "somebody else moves the break from {ours:#x} down to {:#x}",
        brk.position()
    ));
    // SAFETY: the heap lives until the end of the step.
    let refused = unsafe { heap.allocate(bytes(100_000)) };
    evidence.expect_that("malloc(100000) is null", refused.is_none());
    let found = heap.check().map_or_else(Ok, |()| Err("it says that all is well"));
    let corruption = evidence.need("a report of the heap", found)?;
    evidence.say(format_args!("{corruption}"));
    evidence.expect_that(
        "the rule that is broken is that of the break",
        corruption.rule == Rule::BreakBelowHeap,
    );
    evidence.expect_hex("expected", ours, corruption.expected as u64);
    evidence.expect_hex("found", brk.position(), corruption.found as u64);
    // SAFETY: as above.
    let small = unsafe { heap.allocate(bytes(1)) };
    evidence
        .expect_that("from now on the heap touches nothing: malloc(1) is null", small.is_none());
    Ok(())
}
