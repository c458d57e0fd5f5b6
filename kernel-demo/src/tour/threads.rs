//! Programs with threads: one lock for all, an arena for each, and what serves which size.

use crate::evidence::{Evidence, Missing, Shown};

use super::ring3::{self, Ring3, settings};

/// A number that a program has printed behind this text.
fn figure(evidence: &mut Evidence<'_>, ring3: &Ring3, name: &str) -> Result<usize, Missing> {
    let line = ring3.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|rest| rest.trim_start_matches(": ").parse().ok());
    evidence.need("a figure of the program's", number.ok_or("it printed none"))
}

pub fn one_lock(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "The program one-lock has four threads, which allocate and free until one had to wait."
    ));
    let ring3 = ring3::show(evidence, settings(), "one-lock", 5)?;
    let waited = figure(evidence, &ring3, "times that a thread waited for it")?;
    evidence.expect_at_least("of these, waits: the thread does nothing meanwhile", 1, waited);
    ring3.finish(evidence);
    Ok(())
}

pub fn an_arena_each(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "The program thread-arenas prints its map around malloc and free, in two threads: the heap's \
         line."
    ));
    let mut ring3 = Ring3::start(evidence, settings())?;
    let pid = ring3.spawn(evidence, "thread-arenas", &[], ring3::options())?;
    ring3.run();
    ring3
        .print_if(evidence, usize::MAX, |line| !line.starts_with("  ") || line.ends_with("[heap]"));
    ring3.expect_true(evidence, pid, 9)?;
    // Each map begins with its title; of the heap there is one line or none.
    let [mut maps, mut with_heap] = [0; 2];
    for line in ring3.lines() {
        maps += usize::from(line.starts_with("map "));
        with_heap += usize::from(line.starts_with("  ") && line.ends_with("[heap]"));
    }
    evidence.expect("maps", 6, maps);
    evidence.expect("maps with a heap: all but the first", 5, with_heap);
    ring3.finish(evidence);
    Ok(())
}

pub fn back_to_its_arena(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "The program passed-on has a second thread, which frees what the main thread allocated."
    ));
    ring3::show(evidence, settings(), "passed-on", 4)?.finish(evidence);
    Ok(())
}

pub fn strategies(evidence: &mut Evidence<'_>) -> Shown {
    evidence.say(format_args!(
        "The program strategies asks for blocks of nine sizes, and finds out what serves each."
    ));
    ring3::show(evidence, settings(), "strategies", 5)?.finish(evidence);
    Ok(())
}
