//! A process that never gives way does not keep the others from running.
//!
//! `spin` makes a child that spins until it is told to stop: who tells it must have run. `spin N`
//! spins N times, `spin forever` for ever.

#![no_std]
#![no_main]

use core::hint;

use programs::Span;
use runtime::system::memory::MapFlags;
use runtime::system::process::Ending;
use runtime::{Arguments, PAGE, Verdict, claim, in_child_watched, println, program};

program!(run);

/// Bytes of the page that both see.
const RUNS: usize = 0;
const STOP: usize = 1;

fn run(arguments: Arguments) -> Verdict {
    match arguments.first() {
        None => against_a_child(),
        Some("forever") => loop {
            hint::spin_loop();
        },
        Some(_) => {
            let times = arguments.number(0, 0);
            (0..times).for_each(|_| hint::spin_loop());
            println!("spun: {times} times");
            Ok(())
        }
    }
}

fn against_a_child() -> Verdict {
    let page = Span::map(PAGE, MapFlags::SHARED)?;
    let child = || {
        page.set(RUNS, 1);
        spin_until(&page, STOP);
        Ok(())
    };
    let parent = |_| {
        spin_until(&page, RUNS);
        println!("the child spins: the parent runs all the same");
        page.set(STOP, 1);
    };
    let ending = in_child_watched(child, parent)?;
    claim!(ending == Ending::WELL, "neither gave way, and both ran");
    Ok(())
}

fn spin_until(page: &Span, byte: usize) {
    while page.get(byte) == 0 {
        hint::spin_loop();
    }
}
