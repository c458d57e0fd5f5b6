//! Moving the break reserves addresses and no memory; the first touch of a page brings a frame
//! (C12), moving it down gives it back (C13).
//!
//! `lazy [MiB]` says how far the break moves: 1024 by default, which is more than the machine has.

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

/// Pages under one page table. What is written is twice as far apart if there is room, so each page
/// of it needs a table of its own.
const UNDER_ONE_TABLE: usize = 512;
const FAR_APART: usize = 2 * UNDER_ONE_TABLE;

/// Minimum distance of pages that are written, in pages: others lie between them that are read.
const LEAST_APART: usize = 4;

/// Where the touched pages lie.
#[derive(Clone, Copy)]
struct Pattern {
    first: usize,
    apart: usize,
    /// From a page that is written to the next one that is read.
    beside: usize,
    /// Whether each page is sure to be a fault of its own. Linux may map all of what is under a
    /// table at once.
    exact: bool,
}

impl Pattern {
    fn of(span: &Span) -> Self {
        let apart = span.pages() / (TOUCHED + 1);
        if apart < FAR_APART {
            let exact = !machine::is_linux();
            return Self { first: 0, apart, beside: apart / 2, exact };
        }
        let page = span.address() / PAGE;
        // Under the same tables as those that were written, so that it takes no frame for a table
        // either; in Linux under others.
        let beside = if machine::is_linux() { UNDER_ONE_TABLE } else { UNDER_ONE_TABLE / 8 };
        Self {
            first: page.next_multiple_of(UNDER_ONE_TABLE) - page,
            apart: apart / UNDER_ONE_TABLE * UNDER_ONE_TABLE,
            beside,
            exact: true,
        }
    }

    /// The pages from this offset on.
    fn pages(self, offset: usize) -> impl Iterator<Item = usize> {
        (0..TOUCHED).map(move |index| self.first + offset + index * self.apart)
    }

    /// Whether the first touch of each page takes this number of faults.
    fn is_one_each(self, faults: usize) -> bool {
        if self.exact { faults == TOUCHED } else { (1..=TOUCHED).contains(&faults) }
    }
}

fn run(arguments: Arguments) -> Verdict {
    let reserve = arguments.number(0, 1024) << 20;
    if reserve / PAGE < (TOUCHED + 1) * LEAST_APART {
        println!("at least 1 MiB");
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
        claim!(frames < TOUCHED, "and takes no frames, except perhaps for page tables");
        println!("frames of the machine: {free}");
        // A caller who says how much may stay below the memory of the machine.
        if arguments.first().is_none() {
            claim!(
                span.pages() > 2 * free,
                "there are more than twice as many pages as there ever were frames"
            );
        }
    }

    let pattern = Pattern::of(&span);
    only_written(&span, pattern)?;
    only_read(&span, pattern)?;

    // SAFETY: the span is not used any more.
    unsafe { runtime::unsbrk(reserve) }?;
    if let (Some(before), Some(now)) = (before, machine::frames_free()) {
        println!("frames fewer than before, for stack and tables: {}", before.saturating_sub(now));
        claim!(now + 2 * TOUCHED > before, "moving the break down gives the pages back");
    }
    Ok(())
}

/// The first touch of a page, by writing.
fn only_written(span: &Span, pattern: Pattern) -> Verdict {
    let pages = || pattern.pages(0);
    let meter = Meter::start();
    span.touch(pages(), 7);
    let Cost { faults, frames } = meter.read();
    println!("pages written: {TOUCHED}");
    println!("faults: {faults}");
    claim!(pattern.is_one_each(faults), "the first touch of each page is a fault");
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
fn only_read(span: &Span, pattern: Pattern) -> Verdict {
    let pages = || pattern.pages(pattern.beside);
    let meter = Meter::start();
    let is_zero = span.holds(pages(), 0);
    let Cost { faults, frames } = meter.read();
    println!("pages read: {TOUCHED}");
    println!("faults: {faults}");
    claim!(is_zero, "what was never written reads as zero");
    claim!(pattern.is_one_each(faults), "reading is a touch as well");
    if let Some(frames) = frames {
        println!("frames taken: {frames}");
        claim!(frames == 0, "but takes no frame");
    }
    let meter = Meter::start();
    span.touch(pages(), 9);
    let Cost { faults, frames } = meter.read();
    claim!(pattern.is_one_each(faults), "the write after it is a fault once more");
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
