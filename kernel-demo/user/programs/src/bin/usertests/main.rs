//! Each promise of the system calls, at its edges: after xv6's program of this name, whose idea it
//! is to run each case in a child.
//!
//! ```text
//!   usertests             all cases          a child that ends well has passed
//!   usertests NAME …      those whose names begin so
//!   usertests list        the names          free frames are counted before and after each case
//! ```

#![no_std]
#![no_main]

mod mappings;
mod pointers;
mod processes;
mod protection;
mod sbrk;
mod stack;

use core::hint;

use programs::machine;
use runtime::system::process::{self, Ending};
use runtime::{Arguments, Untrue, Verdict, in_child, println, program};

program!(run);

/// A case: its name, and what must end well.
type Case = (&'static str, fn() -> Verdict);

/// By what they are about.
const CASES: [&[Case]; 6] = [
    &sbrk::CASES,
    &pointers::CASES,
    &stack::CASES,
    &protection::CASES,
    &mappings::CASES,
    &processes::CASES,
];

/// How often others are let run until all frames of a case must be back. (Those of an orphan go
/// back when it ends.)
const PATIENCE: usize = 1000;

/// Frames that the kernel's own heap may keep for the next process. (The kernel's side counts every
/// frame when all processes have ended.)
const HEAP_SLACK: isize = 20;

fn cases() -> impl Iterator<Item = Case> {
    CASES.into_iter().flatten().copied()
}

fn run(arguments: Arguments) -> Verdict {
    if arguments.first() == Some("list") {
        cases().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    }
    let is_chosen = |name: &str| {
        arguments.first().is_none() || arguments.iter().any(|start| name.starts_with(start))
    };
    // What this process itself has to touch once, it touches before anything is counted.
    in_child(|| Ok(()))?;
    let (mut passed, mut failed) = (0, 0);
    for (name, case) in cases().filter(|(name, _)| is_chosen(name)) {
        let ending = one(case)?;
        println!("case {name}: {}", if ending == Ok(()) { "ok" } else { "FAILED" });
        match ending {
            Ok(()) => passed += 1,
            Err(Failure::Ended(ending)) => println!("  it ended by {ending}"),
            Err(Failure::Frames(missing)) => println!("  {missing} frames are missing"),
        }
        failed += usize::from(ending.is_err());
    }
    println!("passed: {passed}");
    println!("failed: {failed}");
    match (passed, failed) {
        (0, 0) => Err(Untrue::ARGUMENTS),
        (_, 0) => Ok(()),
        _ => Err(Untrue::CLAIM),
    }
}

/// How a case failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
    Ended(Ending),
    Frames(isize),
}

/// Runs a case in a child.
fn one(case: fn() -> Verdict) -> Result<Result<(), Failure>, Untrue> {
    let before = machine::frames_free();
    let ending = in_child(case)?;
    if ending != Ending::WELL {
        return Ok(Err(Failure::Ended(ending)));
    }
    let missing = || {
        before
            .zip(machine::frames_free())
            .map_or(0, |(before, now)| before.cast_signed() - now.cast_signed())
    };
    for _ in 0..PATIENCE {
        if missing() <= HEAP_SLACK {
            return Ok(Ok(()));
        }
        process::sched_yield();
    }
    Ok(Err(Failure::Frames(missing())))
}

/// Does something in a child that must end by a segmentation fault.
fn must_fault<R>(what: &str, run: impl FnOnce() -> R) -> Verdict {
    let ending = in_child(|| {
        hint::black_box(run());
        Ok(())
    })?;
    runtime::ensure!(ending == Ending::SEGMENTATION_FAULT, "{what}: {ending}");
    Ok(())
}
