//! The break, and what stands behind it: nothing, until it is touched.

use core::hint::black_box;
use core::ptr;

use crate::arch::probe;
use crate::evidence::{Evidence, Missing, Shown, Step};
use crate::heap::HEAP;
use crate::memory::kernel_break::{RawBreak, ScratchBreak};
use crate::memory::layout::PAGE_SIZE;
use crate::memory::{Cause, MoveError, Policy, with};

use super::watch::{Bytes, Watch};

const GIB: isize = 1 << 30;

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[
    Step {
        name: "claims::c11_sbrk",
        claim: "C11",
        text: "sbrk reports the break and moves it by bytes; failure changes nothing",
        shown_by: "a break moved up, down, and too far",
        show: sbrk,
    },
    Step {
        name: "claims::c12_first_touch",
        claim: "C12",
        text: "Moving the break reserves addresses and takes no memory; the first touch does",
        shown_by: "1 GiB granted, three pages touched",
        show: first_touch,
    },
    Step {
        name: "claims::c13_giving_back",
        claim: "C13",
        text: "Moving the break down gives the pages back",
        shown_by: "the same break moved down; its pages touched again",
        show: giving_back,
    },
    Step {
        name: "claims::c12_policies",
        claim: "C12",
        text: "Out of frames on first touch: reserve at the move, or fail the touch",
        shown_by: "a strict and an overcommitting break, both too large",
        show: policies,
    },
    Step {
        name: "claims::c12_kernel_heap",
        claim: "C12",
        text: "The kernel's own heap is such a break",
        shown_by: "a box in the kernel's heap",
        show: kernel_heap,
    },
];

fn scratch(evidence: &mut Evidence<'_>, policy: Policy) -> Result<ScratchBreak, Missing> {
    evidence.need("a break", ScratchBreak::claim(policy).ok_or("all are in use"))
}

/// Moves a break whose memory nobody uses.
fn sbrk_unused(brk: RawBreak, by: isize) -> Result<u64, MoveError> {
    // SAFETY: the steps of this part keep no reference into their breaks.
    unsafe { brk.sbrk(by) }
}

fn sbrk(evidence: &mut Evidence<'_>) -> Shown {
    let scratch = scratch(evidence, Policy::Strict)?;
    let brk = scratch.raw();
    let base = brk.position();
    evidence.say(format_args!("sbrk(0) = {base:#x}"));
    evidence.expect_hex(
        "sbrk(+100) returns the old break",
        base,
        evidence_of(sbrk_unused(brk, 100)),
    );
    evidence.expect_hex("sbrk(0)", base + 100, brk.position());
    evidence.expect_hex(
        "sbrk(-30) returns the old break",
        base + 100,
        evidence_of(sbrk_unused(brk, -30)),
    );
    evidence.expect_hex("sbrk(0)", base + 70, brk.position());
    for (by, expected) in [(-71, MoveError::BelowBase), (100 * GIB, MoveError::BeyondLimit)] {
        let error = evidence
            .need("an error", sbrk_unused(brk, by).map_or_else(Ok, |_| Err("the break moved")))?;
        evidence.expect("sbrk too far", expected, error);
        evidence.expect_hex("sbrk(0)", base + 70, brk.position());
    }
    Ok(())
}

/// An address that no break has, where a move failed that should not have.
fn evidence_of(moved: Result<u64, MoveError>) -> u64 {
    moved.unwrap_or(u64::MAX)
}

fn first_touch(evidence: &mut Evidence<'_>) -> Shown {
    let scratch = scratch(evidence, Policy::Overcommit)?;
    let brk = scratch.raw();
    let watch = Watch::start();
    let base = evidence.need("1 GiB of addresses", sbrk_unused(brk, GIB))?;
    let memory = with(|memory| memory.counts().total as u64 * PAGE_SIZE);
    evidence.say(format_args!(
        "the break moves up by {}; this machine has {} of memory",
        Bytes(GIB as u64),
        Bytes(memory)
    ));
    watch.print(evidence, 4);
    evidence.expect("frames taken by the move", 0, watch.frames());

    let touch = Watch::start();
    let found = read(base);
    evidence.say(format_args!(
        "a word is read at {base:#x}; the instruction faults, is served, and runs again:"
    ));
    touch.print(evidence, 8);
    evidence.expect("page faults", 1, touch.faults());
    evidence.expect(
        "frames taken: the page, and a page table of each of three levels",
        4,
        touch.frames(),
    );
    evidence.expect("the word that was read", 0, found);

    let again = Watch::start();
    write(base + 56, 0xC0FFEE);
    let found = read(base + 56);
    evidence.expect("page faults of a write to the same page, and a read", 0, again.faults());
    evidence.expect_hex("the word that was written", 0xC0FFEE, found);

    let sparse = Watch::start();
    for page in [100, 200] {
        write(base + page * PAGE_SIZE, 1);
    }
    evidence.expect(
        "frames taken by two more pages, next to each other or not",
        2,
        sparse.frames(),
    );
    let info = brk.info();
    evidence.say(format_args!(
        "{} reserved, {} pages behind it",
        Bytes(info.end - info.base),
        info.pages
    ));
    evidence.expect("pages", 3, info.pages);
    Ok(())
}

fn giving_back(evidence: &mut Evidence<'_>) -> Shown {
    let scratch = scratch(evidence, Policy::Strict)?;
    let (brk, watch) = (scratch.raw(), Watch::start());
    let base = evidence.need("16 KiB of addresses", sbrk_unused(brk, 4 * PAGE_SIZE as isize))?;
    for page in 0..4 {
        write(base + page * PAGE_SIZE, 0xDEAD);
    }
    evidence.expect("frames taken by four pages and their tables", 7, watch.frames());

    let down = Watch::start();
    evidence.say(format_args!("the break moves down by three pages:"));
    evidence.need("a move down", sbrk_unused(brk, -3 * PAGE_SIZE as isize))?;
    down.print(evidence, 8);
    evidence.expect("frames returned", 3, -down.frames());
    let touched = probe::read(base + PAGE_SIZE);
    let report =
        evidence.need("a fault when the memory is touched", touched.map_or_else(Ok, Err))?;
    evidence.say(format_args!("{}", report.headline()));
    evidence.expect("what lies there", Cause::GivenBack(brk.name()), report.cause);

    evidence.need("a move up again", sbrk_unused(brk, PAGE_SIZE as isize))?;
    let found = read(base + PAGE_SIZE);
    evidence.expect(
        "after the break has moved up again: the word that was written before",
        0,
        found,
    );
    drop(scratch);
    evidence.expect("frames in use after all of it is given back", 0, watch.frames());
    Ok(())
}

fn policies(evidence: &mut Evidence<'_>) -> Shown {
    let watch = Watch::start();
    let all_memory = with(|memory| memory.counts().total) * PAGE_SIZE as usize;
    evidence.say(format_args!(
        "both are asked for {}, which is all memory of this machine, though some is in use",
        Bytes(all_memory as u64)
    ));
    let strict = scratch(evidence, Policy::Strict)?;
    let error = sbrk_unused(strict.raw(), all_memory.cast_signed())
        .map_or_else(Ok, |_| Err("the break moved"));
    let error = evidence.need("strict: a refusal", error)?;
    evidence.say(format_args!("strict: {error}"));
    evidence.expect_that(
        "strict: the move is refused for want of frames",
        matches!(error, MoveError::OutOfFrames(_)),
    );
    evidence.expect_hex("strict: the break", strict.raw().info().base, strict.raw().position());

    let overcommit = scratch(evidence, Policy::Overcommit)?;
    let base = evidence.need(
        "overcommit: the addresses",
        sbrk_unused(overcommit.raw(), all_memory.cast_signed()),
    )?;
    let pages = (base..base + all_memory as u64).step_by(PAGE_SIZE as usize);
    let fault = pages.map(probe::read).find_map(Result::err).ok_or("every page was touched");
    let report = evidence.need("overcommit: a touch that fails", fault)?;
    evidence.say(format_args!(
        "overcommit: after {} pages, {}",
        overcommit.raw().info().pages,
        report.headline()
    ));
    evidence.expect_that(
        "overcommit: the touch fails for want of frames",
        matches!(report.cause, Cause::OutOfFrames(_)),
    );
    drop(overcommit);
    drop(strict);
    evidence.expect("frames in use after both are given back", 0, watch.frames());
    Ok(())
}

fn kernel_heap(evidence: &mut Evidence<'_>) -> Shown {
    const SIZE: usize = 64 << 10;
    HEAP.trim(0);
    let watch = Watch::start();
    let block = black_box(alloc::vec![1_u8; SIZE].into_boxed_slice());
    evidence.expect_at_least(
        "pages that a box of 64 KiB faults in",
        SIZE / PAGE_SIZE as usize,
        watch.faults(),
    );
    evidence.say(format_args!("{}", HEAP.stats()));
    drop(block);
    HEAP.trim(0);
    evidence.expect("frames in use after it was dropped and the heap trimmed", 0, watch.frames());
    Ok(())
}

/// Reads a word that a break of this part has granted.
fn read(address: u64) -> u64 {
    let word = ptr::with_exposed_provenance::<u64>(address as usize);
    // SAFETY: granted to the step, aligned, and backed with memory on first touch.
    unsafe { word.read_volatile() }
}

/// Writes a word that a break of this part has granted.
fn write(address: u64, value: u64) {
    let word = ptr::with_exposed_provenance_mut::<u64>(address as usize);
    // SAFETY: granted to the step, aligned, and backed with memory on first touch.
    unsafe { word.write_volatile(value) };
}
