//! Writes to some pages of a mapping, one after the other, and prints what that costs.
//!
//! `touch PAGES STRIDE` writes to every so-many-th of so many pages.

#![no_std]
#![no_main]

use programs::{Cost, Meter, Span, clock, machine};
use runtime::system::memory::MapFlags;
use runtime::{Arguments, PAGE, Untrue, Verdict, claim, println, program};

program!(run);

fn run(arguments: Arguments) -> Verdict {
    let (pages, stride) = (arguments.number(0, 512), arguments.number(1, 1));
    if pages == 0 || stride == 0 {
        return Err(Untrue::ARGUMENTS);
    }
    let span = Span::map(pages * PAGE, MapFlags::PRIVATE)?;
    let chosen = || (0..pages).step_by(stride);
    let meter = Meter::start();
    let begun = clock::now();
    span.touch(chosen(), 1);
    let ticks = clock::now() - begun;
    let Cost { faults, frames } = meter.read();
    println!("pages written: {}", chosen().count());
    println!("faults: {faults}");
    if let Some(frames) = frames {
        println!("frames: {frames}");
        claim!(frames >= chosen().count(), "each page that is written has a frame");
    }
    println!("ticks: {ticks}");
    // Linux may map more than a page at a fault, and may do so before the first one.
    claim!(
        machine::is_linux() || (1..=chosen().count()).contains(&faults),
        "no page faults more than once"
    );
    claim!(span.holds(chosen(), 1), "what was written is there");
    Ok(())
}
