//! Moving the break reserves addresses and no memory; the first touch of a page brings a frame (C12), moving it down gives it back (C13).
//!
//! `lazy [MiB]` says how far the break moves.

#![no_std]
#![no_main]

use programs::{Span, machine};
use runtime::system::{Errno, process};
use runtime::{Arguments, PAGE, Untrue, Verdict, claim, println, program};

program!(run);

/// The break moves by so much at a time.
const STEP: usize = 64 << 20;

/// How many pages are written to.
const TOUCHED: usize = 16;

fn run(arguments: Arguments) -> Verdict {
    let reserve = arguments.number(0, 1024) << 20;
    // What comes later has run once, so that its own first touches are not counted.
    let warm = Span::from_break(PAGE)?;
    warm.touch([0], 1);
    let frames = machine::frames_free();
    let faults = process::usage().faults;

    let span = reserve_lazily(reserve)?;
    let reserved = process::usage().faults - faults;
    println!("reserved: {} pages", span.pages());
    println!("faults: {reserved}");
    claim!(reserved == 0, "moving the break touches nothing");
    claim!(taken_since(frames).is_none_or(|taken| taken < 16), "and takes no frames");
    if let Some(free) = frames {
        println!("frames of the machine: {free}");
        claim!(span.pages() > 2 * free, "there are more than twice as many pages as there ever were frames");
    }

    let apart = span.pages() / TOUCHED;
    let first_of_each = || (0..TOUCHED).map(|index| index * apart);
    let faults = process::usage().faults;
    span.touch(first_of_each(), 7);
    let written = process::usage().faults - faults;
    println!("pages written: {TOUCHED}");
    println!("faults: {written}");
    claim!(written == TOUCHED, "the first touch of each page is a fault");
    let faults = process::usage().faults;
    span.touch(first_of_each(), 8);
    claim!(process::usage().faults == faults, "the second is none");
    claim!(span.holds(first_of_each(), 8), "and the instruction that faulted was carried out");
    if let Some(taken) = taken_since(frames) {
        println!("frames taken: {taken}");
        claim!((TOUCHED..span.pages() / 16).contains(&taken), "memory is taken for what was touched, not for what was reserved");
    }

    only_read(&span, apart)?;

    // SAFETY: the span is not used any more.
    unsafe { runtime::unsbrk(reserve) }?;
    if let (Some(before), Some(now)) = (frames, machine::frames_free()) {
        println!("frames missing at the end: {}", before.saturating_sub(now));
        claim!(now + TOUCHED > before, "moving the break down gives the pages back");
    }
    Ok(())
}

/// A page that is only read needs no frame: all of them can show the same zeros.
fn only_read(span: &Span, apart: usize) -> Verdict {
    let pages = || (0..TOUCHED).map(|index| index * apart + 1);
    let frames = machine::frames_free();
    let faults = process::usage().faults;
    claim!(span.holds(pages(), 0), "what was never written reads as zero");
    let read = process::usage().faults - faults;
    println!("faults of reading: {read}");
    claim!(read == TOUCHED, "reading is a touch as well");
    if let Some(taken) = taken_since(frames) {
        println!("frames taken by reading: {taken}");
        claim!(taken == 0, "but takes no frame");
    }
    let faults = process::usage().faults;
    span.touch(pages(), 9);
    claim!(process::usage().faults - faults == TOUCHED, "the write after it is a fault once more");
    if let Some(taken) = taken_since(frames) {
        claim!(taken >= TOUCHED, "and takes one");
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

fn taken_since(before: Option<usize>) -> Option<usize> {
    Some(before?.saturating_sub(machine::frames_free()?))
}
