//! Two processes, the same addresses, different contents (C19).
//!
//! Parent and child take turns, so both live while each looks at its own: a shared page says whose
//! turn it is.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::boxed::Box;
use core::sync::atomic::{AtomicU64, Ordering};

use programs::Span;
use runtime::system::memory::MapFlags;
use runtime::system::process::{self, Ending};
use runtime::{Arguments, PAGE, Verdict, claim, in_child_watched, println, program};

program!(run);

/// In the data of both.
static NUMBER: AtomicU64 = AtomicU64::new(0);

const OF_PARENT: u64 = 1111;
const OF_CHILD: u64 = 2222;

fn run(_: Arguments) -> Verdict {
    let turns = Span::map(PAGE, MapFlags::SHARED)?;
    let boxed = Box::new(AtomicU64::new(0));
    let mut parent_saw = Ok(());
    let ending = in_child_watched(
        || live("child", OF_CHILD, &boxed, &turns, 0),
        |_| parent_saw = live("parent", OF_PARENT, &boxed, &turns, 1),
    )?;
    parent_saw?;
    claim!(ending == Ending::WELL, "the child saw only what it wrote itself");
    claim!(boxed.load(Ordering::Relaxed) == OF_PARENT + 1, "and nothing of that has come here");
    Ok(())
}

/// Writes, lets the other one write, and looks again; twice over.
fn live(who: &str, own: u64, boxed: &AtomicU64, turns: &Span, first: u8) -> Verdict {
    for (round, own) in [(0, own), (1, own + 1)] {
        wait_for(turns, 4 * round + first);
        NUMBER.store(own, Ordering::Relaxed);
        boxed.store(own, Ordering::Relaxed);
        turns.set(0, 4 * round + first + 1);

        wait_for(turns, 4 * round + first + 2);
        let (in_data, on_heap) = (NUMBER.load(Ordering::Relaxed), boxed.load(Ordering::Relaxed));
        println!(
            "{who}: process {}: {in_data} at {:p}, {on_heap} at {boxed:p}",
            process::getpid(),
            &raw const NUMBER
        );
        claim!((in_data, on_heap) == (own, own), "{who}: both are my own");
        turns.set(0, 4 * round + first + 3);
    }
    Ok(())
}

fn wait_for(turns: &Span, turn: u8) {
    while turns.get(0) != turn {
        process::sched_yield();
    }
}
