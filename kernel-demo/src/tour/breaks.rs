//! The break, and what stands behind it: nothing, until it is touched.

use core::hint::black_box;
use core::ptr;

use crate::address_space::{Cause, MoveError};
use crate::evidence::{Evidence, Missing, Shown};
use crate::heap::HEAP;
use crate::memory::kernel_break::{KernelBreak, RawBreak};
use crate::memory::layout::PAGE_SIZE;
use crate::memory::{Policy, with};
use crate::testing::probe;

use super::watch::{Bytes, Watch};

const GIB: isize = 1 << 30;

fn scratch(evidence: &mut Evidence<'_>, policy: Policy) -> Result<KernelBreak, Missing> {
    evidence.need("a break", KernelBreak::claim(policy).ok_or("all are in use"))
}

/// Moves a break whose memory nobody uses.
fn sbrk_unused(brk: RawBreak, by: isize) -> Result<u64, MoveError> {
    // SAFETY: the steps of this part keep no reference into their breaks.
    unsafe { brk.sbrk(by) }
}

pub fn sbrk(evidence: &mut Evidence<'_>) -> Shown {
    let scratch = scratch(evidence, Policy::Strict)?;
    let brk = scratch.raw();
    let base = brk.position();
    evidence.say(format_args!("The break stands at {base:#x}, and moves up and down by bytes."));
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
    evidence.say(format_args!("A move too far is refused, and the break stays."));
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

pub fn first_touch(evidence: &mut Evidence<'_>) -> Shown {
    let scratch = scratch(evidence, Policy::Overcommit)?;
    let brk = scratch.raw();
    let watch = Watch::start();
    let base = evidence.need("1 GiB of addresses", sbrk_unused(brk, GIB))?;
    let memory = with(|memory| memory.counts().total as u64 * PAGE_SIZE);
    evidence.say(format_args!(
        "The break moves up by {} on a machine with {} of memory, and no frame is taken.",
        Bytes(GIB as u64),
        Bytes(memory)
    ));
    watch.print(evidence, 4);
    evidence.expect("frames taken by the move", 0, watch.frames());

    let touch = Watch::start();
    let found = read(base);
    evidence.say(format_args!(
        "A word is read at {base:#x}: the instruction faults, is served, and runs again."
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
    evidence.say(format_args!("The page is there now: a write and a read of it do not fault."));
    evidence.expect("page faults", 0, again.faults());
    evidence.expect_hex("the word that was written", 0xC0FFEE, found);

    let sparse = Watch::start();
    for page in [100, 200] {
        write(base + page * PAGE_SIZE, 1);
    }
    evidence.say(format_args!("Two more pages are touched, and each takes one frame."));
    evidence.expect("frames taken", 2, sparse.frames());
    let info = brk.info();
    evidence.show(format_args!("{} are reserved", Bytes(info.end - info.base)));
    evidence.expect("pages with a frame behind them", 3, info.pages);
    Ok(())
}

pub fn giving_back(evidence: &mut Evidence<'_>) -> Shown {
    let scratch = scratch(evidence, Policy::Strict)?;
    let (brk, watch) = (scratch.raw(), Watch::start());
    let base = evidence.need("16 KiB of addresses", sbrk_unused(brk, 4 * PAGE_SIZE as isize))?;
    for page in 0..4 {
        write(base + page * PAGE_SIZE, 0xDEAD);
    }
    evidence.say(format_args!("Four pages of a break are written to."));
    evidence.expect("frames taken by four pages and their tables", 7, watch.frames());

    let down = Watch::start();
    evidence.say(format_args!("The break moves down by three pages, and their frames go back."));
    evidence.need("a move down", sbrk_unused(brk, -3 * PAGE_SIZE as isize))?;
    down.print(evidence, 8);
    evidence.expect("frames returned", 3, -down.frames());
    let touched = probe::read(base + PAGE_SIZE);
    let report =
        evidence.need("a fault when the memory is touched", touched.map_or_else(Ok, Err))?;
    evidence.say(format_args!("What was given back cannot be touched any more."));
    evidence.show(format_args!("{report}"));
    evidence.expect("what lies there", Cause::GivenBack, report.cause);

    evidence.need("a move up again", sbrk_unused(brk, PAGE_SIZE as isize))?;
    let found = read(base + PAGE_SIZE);
    evidence.say(format_args!("The break moves up again: the pages that return are zero."));
    evidence.expect("the word that was written before", 0, found);
    drop(scratch);
    evidence.ensure("frames in use after all of it is given back", 0, watch.frames());
    Ok(())
}

pub fn policies(evidence: &mut Evidence<'_>) -> Shown {
    let watch = Watch::start();
    let all_memory = with(|memory| memory.counts().total) * PAGE_SIZE as usize;
    evidence.say(format_args!(
        "A strict break refuses at the move what there are no frames for: {}, all memory.",
        Bytes(all_memory as u64)
    ));
    let strict = scratch(evidence, Policy::Strict)?;
    let error = sbrk_unused(strict.raw(), all_memory.cast_signed())
        .map_or_else(Ok, |_| Err("the break moved"));
    let error = evidence.need("strict: a refusal", error)?;
    evidence.show(format_args!("strict: {error}"));
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
    evidence.say(format_args!("An overcommitting break moves, and a later touch fails."));
    evidence.show(format_args!(
        "overcommit: after {} pages, {}",
        overcommit.raw().info().pages,
        report
    ));
    evidence.expect_that(
        "overcommit: the touch fails for want of frames",
        matches!(report.cause, Cause::OutOfFrames(_)),
    );
    drop(overcommit);
    drop(strict);
    evidence.ensure("frames in use after both are given back", 0, watch.frames());
    Ok(())
}

pub fn kernel_heap(evidence: &mut Evidence<'_>) -> Shown {
    const SIZE: usize = 64 << 10;
    HEAP.trim(0);
    let watch = Watch::start();
    let block = black_box(alloc::vec![1_u8; SIZE].into_boxed_slice());
    evidence.say(format_args!("The kernel's own heap is such a break: a box of 64 KiB is made."));
    evidence.expect_at_least("page faults", SIZE / PAGE_SIZE as usize, watch.faults());
    evidence.show(format_args!("{}", HEAP.stats()));
    drop(block);
    HEAP.trim(0);
    evidence.ensure("frames in use after it was dropped and the heap trimmed", 0, watch.frames());
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
