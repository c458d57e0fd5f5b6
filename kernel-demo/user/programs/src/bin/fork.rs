//! Copy-on-write, seen in fault counts: a child costs a copy of the pages that are written, and no others.

#![no_std]
#![no_main]

use programs::{Span, machine};
use runtime::system::memory::MapFlags;
use runtime::system::process::{self, Ending};
use runtime::{Arguments, PAGE, Verdict, claim, in_child, println, program};

program!(run);

/// Page 0 is for what has to be touched once before it is counted.
const PAGES: usize = 65;
const WRITTEN: usize = 8;

const OF_PARENT: u8 = 0x11;
const OF_CHILD: u8 = 0x22;

fn run(_: Arguments) -> Verdict {
    let span = Span::map(PAGES * PAGE, MapFlags::PRIVATE)?;
    span.touch(0..PAGES, OF_PARENT);

    let ending = in_child(|| child(&span))?;
    claim!(ending == Ending::WELL, "the child saw what it should");
    claim!(span.holds(0..PAGES, OF_PARENT), "nothing that it wrote is here");

    // The child is gone: each page has one owner again, but is still write-protected.
    let (frames, faults) = (machine::frames_free(), process::usage().faults);
    span.touch(1..=WRITTEN, OF_CHILD);
    let written = process::usage().faults - faults;
    println!("parent's faults of writing: {written}");
    claim!(written == WRITTEN, "the parent's first write to each is a fault as well");
    if let Some(taken) = taken_since(frames) {
        println!("frames taken: {taken}");
        claim!(taken == 0, "but nothing is copied for the last owner");
    }
    Ok(())
}

fn child(span: &Span) -> Verdict {
    // What this needs of its own, stack and data, is written to once before it is counted.
    span.set(0, OF_CHILD);
    let (frames, faults) = (machine::frames_free(), process::usage().faults);
    let is_inherited = span.holds(1..PAGES, OF_PARENT);
    let read = process::usage().faults - faults;
    let taken = taken_since(frames);
    println!("pages inherited: {PAGES}");
    println!("child's faults of reading: {read}");
    claim!(is_inherited, "the child has what the parent had");
    claim!(read == 0, "and reading it is no fault");
    claim!(taken.is_none_or(|taken| taken == 0), "nor takes a frame");

    let (frames, faults) = (machine::frames_free(), process::usage().faults);
    span.touch(1..=WRITTEN, OF_CHILD);
    let written = process::usage().faults - faults;
    let taken = taken_since(frames);
    println!("child's pages written: {WRITTEN}");
    println!("child's faults of writing: {written}");
    claim!(written == WRITTEN, "the first write to each is a fault");
    if let Some(taken) = taken {
        println!("frames taken: {taken}");
        claim!(taken == WRITTEN, "and copies it");
    }
    claim!(span.holds(1..=WRITTEN, OF_CHILD) && span.holds(WRITTEN + 1..PAGES, OF_PARENT), "the rest is still the parent's");
    let faults = process::usage().faults;
    span.touch(1..=WRITTEN, OF_CHILD);
    claim!(process::usage().faults == faults, "a page is copied once");
    Ok(())
}

fn taken_since(before: Option<usize>) -> Option<usize> {
    Some(before?.saturating_sub(machine::frames_free()?))
}
