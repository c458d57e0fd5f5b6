//! Copy-on-write, seen in fault counts: a child costs a copy of the pages that are written, and no
//! others.

#![no_std]
#![no_main]

use programs::{Cost, Meter, Span};
use runtime::system::memory::MapFlags;
use runtime::system::process::Ending;
use runtime::{Arguments, PAGE, Verdict, claim, in_child, println, program};

program!(run);

const PAGES: usize = 64;
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
    let meter = Meter::start();
    span.touch(1..=WRITTEN, OF_CHILD);
    let Cost { faults, frames } = meter.read();
    println!("parent's faults of writing: {faults}");
    claim!(faults == WRITTEN, "the parent's first write to each is a fault as well");
    if let Some(frames) = frames {
        println!("frames taken: {frames}");
        claim!(frames == 0, "but nothing is copied for the last owner");
    }
    Ok(())
}

fn child(span: &Span) -> Verdict {
    let meter = Meter::start();
    let is_inherited = span.holds(0..PAGES, OF_PARENT);
    let Cost { faults, frames } = meter.read();
    println!("pages inherited: {PAGES}");
    println!("child's faults of reading: {faults}");
    claim!(is_inherited, "the child has what the parent had");
    claim!(faults == 0, "and reading it is no fault");
    if let Some(frames) = frames {
        claim!(frames == 0, "nor takes a frame");
    }

    let meter = Meter::start();
    span.touch(1..=WRITTEN, OF_CHILD);
    let Cost { faults, frames } = meter.read();
    println!("child's pages written: {WRITTEN}");
    println!("child's faults of writing: {faults}");
    claim!(faults == WRITTEN, "the first write to each is a fault");
    if let Some(frames) = frames {
        println!("frames taken: {frames}");
        claim!(frames == WRITTEN, "and copies it");
    }
    claim!(
        span.holds(1..=WRITTEN, OF_CHILD) && span.holds(WRITTEN + 1..PAGES, OF_PARENT),
        "the rest is still the parent's"
    );
    let meter = Meter::start();
    span.touch(1..=WRITTEN, OF_CHILD);
    claim!(meter.read().faults == 0, "a page is copied once");
    Ok(())
}
