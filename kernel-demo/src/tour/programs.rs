//! Programs in ring 3 that show the documents' claims about a heap in a process.

use alloc::vec::Vec;

use crate::evidence::{Evidence, Shown};
use crate::system::{Accounting, Options, Settings, Tracing};

use super::ring3::{self, Ring3, options, settings};

pub fn maps(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!("The program maps-story prints its own map, five times."));
    let ring3 = ring3::show(evidence, settings(), "maps-story", 10)?;
    // Each map begins with its title; of the heap there is one line or none.
    let mut heaps: Vec<u64> = Vec::new();
    for line in ring3.lines() {
        match line {
            title if title.starts_with("map ") => heaps.push(0),
            region if region.ends_with("[heap]") => {
                if let (Some(heap), Some((start, end))) = (heaps.last_mut(), range(region)) {
                    *heap = end - start;
                }
            }
            _ => {}
        }
    }
    evidence.say(format_args!("The line of the heap tells the story."));
    evidence.expect("maps", 5, heaps.len());
    if let [before, first, more, freed, trimmed] = heaps[..] {
        evidence.expect("bytes of the heap's region before the first malloc", 0, before);
        evidence.expect_that("it appears, and grows", 0 < first && first < more);
        evidence.expect("bytes of it after free: as many as before", more, freed);
        evidence.expect_that(
            "it becomes smaller when the heap is told to give back what is free",
            trimmed < freed,
        );
    }
    ring3.finish(evidence);
    Ok(())
}

/// The addresses of a line of a map.
fn range(line: &str) -> Option<(u64, u64)> {
    let (start, end) = line.split_whitespace().next()?.split_once('-')?;
    Some((u64::from_str_radix(start, 16).ok()?, u64::from_str_radix(end, 16).ok()?))
}

pub fn trace(evidence: &mut Evidence<'_>) -> Shown {
    let mut ring3 = Ring3::start(evidence, settings())?;
    let traced = Options { trace: Tracing::CallsAndFaults, quiet: true, ..options() };
    let simple = ring3.spawn(evidence, "simple", &[], traced)?;
    let hello = ring3.spawn(evidence, "hello", &[], options())?;
    let segv = ring3.spawn(evidence, "segv", &["null"], traced)?;
    ring3.run();
    evidence.say(format_args!(
        "simple (process 1) and segv (process 3) are traced, hello is not; without calls of write:"
    ));
    ring3.print_if(evidence, 40, |line| line.starts_with("[pid ") && !line.contains(" write("));

    let own = |line: &str| {
        line.strip_prefix("[pid     1] ")
            .map(str::trim_end)
            .filter(|call| call.starts_with("brk("))
            .and_then(brk)
    };
    let brks: Vec<(u64, u64)> = ring3.lines().filter_map(own).collect();
    evidence.say(format_args!("The trace has each move of the break of simple."));
    evidence.expect_at_least("calls of brk", 4, brks.len());
    evidence.expect_that(
        "the first asks where the break is",
        brks.first().is_some_and(|&(asked, _)| asked == 0),
    );
    let granted =
        brks.iter().filter(|(asked, _)| *asked != 0).all(|(asked, answered)| asked == answered);
    evidence.expect_that("each of the others gets what it asks for", granted);
    let (highest, last) =
        (brks.iter().map(|&(_, end)| end).max(), brks.last().map(|&(_, end)| end));
    evidence.expect_that(
        "the break goes up with malloc, and comes down with the last free",
        last < highest,
    );
    let faults = ring3
        .lines()
        .filter(|line| line.starts_with("[pid     1] --- page fault {") && line.contains("[heap]"))
        .count();
    evidence.say(format_args!("Page faults are in the trace too, and the end of a process."));
    evidence.expect_at_least("page faults on what brk granted", 1, faults);

    evidence.expect(
        "lines of the process that is not traced",
        0,
        ring3.lines().filter(|line| line.starts_with("[pid     2]")).count(),
    );
    let ending = "[pid     3] +++ killed by SIGSEGV +++";
    evidence.expect_that(
        "the trace of a process that is ended says so",
        ring3.lines().any(|line| line.starts_with(ending)),
    );
    ring3.ensure_end(evidence, "exit status of simple", simple, 0)?;
    ring3.ensure_end(evidence, "exit status of hello", hello, 0)?;
    ring3.ensure_end(evidence, "exit status of segv, as a shell shows it", segv, 139)?;
    ring3.finish(evidence);
    Ok(())
}

/// What a call of `brk` asked for, 0 for `NULL`, and what it was answered.
fn brk(call: &str) -> Option<(u64, u64)> {
    let (argument, rest) = call.strip_prefix("brk(")?.split_once(')')?;
    let hex = |text: &str| u64::from_str_radix(text.trim().strip_prefix("0x")?, 16).ok();
    let asked = if argument == "NULL" { 0 } else { hex(argument)? };
    Some((asked, hex(rest.trim_start().strip_prefix('=')?)?))
}

pub fn lazy(evidence: &mut Evidence<'_>) -> Shown {
    evidence
        .say(format_args!("The program lazy does the same in a process: 1 GiB, 32 pages touched."));
    // The break moves by more memory than there is, so a strict account would refuse.
    let settings = Settings { accounting: Accounting::Overcommit, ..settings() };
    ring3::show(evidence, settings, "lazy", 12)?.finish(evidence);
    Ok(())
}

pub fn pinned(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!("The program pinned has 8 MiB at the break, then on a mapping."));
    ring3::show(evidence, settings(), "pinned", 8)?.finish(evidence);
    Ok(())
}

pub fn foreign(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!("The program foreign has a library that moves its break."));
    ring3::show(evidence, settings(), "foreign", 8)?.finish(evidence);
    Ok(())
}

pub fn shared(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!("The program shared has two processes that allocate from one heap."));
    ring3::show(evidence, settings(), "shared", 12)?.finish(evidence);
    Ok(())
}
