//! Moving the break reserves addresses and no memory; the first touch of a page brings a frame
//! (C12), moving it down gives it back (C13).
//!
//! `lazy [MiB]` says how far the break moves.

#![no_std]
#![no_main]

use programs::{Cost, Meter, Span, machine};
use runtime::system::Errno;
use runtime::{Arguments, PAGE, Untrue, Verdict, claim, println, program};

program!(run);

/// The break moves by so much at a time.
const STEP: usize = 64 << 20;

/// How many pages are written to.
const TOUCHED: usize = 16;

/// Pages under one page table. What is written is twice as far apart at least, so each page of it
/// needs a table of its own.
const UNDER_ONE_TABLE: usize = 512;
const LEAST_APART: usize = 2 * UNDER_ONE_TABLE;

fn run(arguments: Arguments) -> Verdict {
    let reserve = arguments.number(0, 1024) << 20;
    let apart = reserve / PAGE / (TOUCHED + 1) / UNDER_ONE_TABLE * UNDER_ONE_TABLE;
    if apart < LEAST_APART {
        println!("at least {} MiB", ((TOUCHED + 1) * LEAST_APART * PAGE) >> 20);
        return Err(Untrue::ARGUMENTS);
    }
    // What this needs of its own is touched before anything is counted.
    reserve_lazily(PAGE)?.set(0, 1);
    let before = machine::frames_free();
    let meter = Meter::start();
    let span = reserve_lazily(reserve)?;
    let Cost { faults, frames } = meter.read();
    println!("reserved: {} pages", span.pages());
    println!("faults: {faults}");
    claim!(faults == 0, "moving the break touches nothing");
    if let (Some(frames), Some(free)) = (frames, before) {
        println!("frames taken: {frames}");
        claim!(frames < TOUCHED, "and takes no frames, but perhaps for tables");
        println!("frames of the machine: {free}");
        claim!(
            span.pages() > 2 * free,
            "there are more than twice as many pages as there ever were frames"
        );
    }

    let first = (span.address() / PAGE).next_multiple_of(UNDER_ONE_TABLE) - span.address() / PAGE;
    only_written(&span, || (0..TOUCHED).map(|index| first + index * apart))?;
    // Under the same tables as those that were written, so that it takes no frame for a table
    // either. But Linux may have mapped all of what is under a table at once.
    let beside = if machine::is_linux() { UNDER_ONE_TABLE } else { UNDER_ONE_TABLE / 8 };
    only_read(&span, || (0..TOUCHED).map(|index| first + index * apart + beside))?;

    // SAFETY: the span is not used any more.
    unsafe { runtime::unsbrk(reserve) }?;
    if let (Some(before), Some(now)) = (before, machine::frames_free()) {
        println!("frames missing at the end: {}", before.saturating_sub(now));
        claim!(now + 2 * TOUCHED > before, "moving the break down gives the pages back");
    }
    Ok(())
}

/// The first touch of a page, by writing.
fn only_written<Pages: Iterator<Item = usize>>(span: &Span, pages: impl Fn() -> Pages) -> Verdict {
    let meter = Meter::start();
    span.touch(pages(), 7);
    let Cost { faults, frames } = meter.read();
    println!("pages written: {TOUCHED}");
    println!("faults: {faults}");
    claim!(faults == TOUCHED, "the first touch of each page is a fault");
    if let Some(frames) = frames {
        println!("frames taken: {frames}");
        claim!(
            (TOUCHED..4 * TOUCHED).contains(&frames),
            "memory is taken for what is touched, and tables for it"
        );
    }
    let meter = Meter::start();
    span.touch(pages(), 8);
    claim!(meter.read().faults == 0, "the second touch is no fault");
    claim!(span.holds(pages(), 8), "and the instruction that faulted was carried out");
    Ok(())
}

/// A page that is only read needs no frame: all of them can show the same zeros.
fn only_read<Pages: Iterator<Item = usize>>(span: &Span, pages: impl Fn() -> Pages) -> Verdict {
    let meter = Meter::start();
    let is_zero = span.holds(pages(), 0);
    let Cost { faults, frames } = meter.read();
    println!("pages read: {TOUCHED}");
    println!("faults: {faults}");
    claim!(is_zero, "what was never written reads as zero");
    claim!(faults == TOUCHED, "reading is a touch as well");
    if let Some(frames) = frames {
        println!("frames taken: {frames}");
        claim!(frames == 0, "but takes no frame");
    }
    let meter = Meter::start();
    span.touch(pages(), 9);
    let Cost { faults, frames } = meter.read();
    claim!(faults == TOUCHED, "the write after it is a fault once more");
    if let Some(frames) = frames {
        println!("frames taken: {frames}");
        claim!(frames == TOUCHED, "and takes a frame for each page");
    }
    Ok(())
}

/// Moves the break up, step by step: some kernels judge a step by its size.
fn reserve_lazily(len: usize) -> Result<Span, Untrue> {
    let start = runtime::sbrk(0)?.cast();
    let mut left = len;
    while left > 0 {
        let step = left.min(STEP);
        match runtime::sbrk(step) {
            Ok(_) => left -= step,
            Err(Errno::ENOMEM) => {
                println!("UNTRUE: the kernel refuses to promise {len} bytes, with {left} to go");
                return Err(Untrue::CLAIM);
            }
            Err(errno) => return Err(errno.into()),
        }
    }
    // SAFETY: new memory between the break as it was and as it is; nobody else moves it.
    Ok(unsafe { Span::new(core::ptr::NonNull::slice_from_raw_parts(start, len)) })
}
