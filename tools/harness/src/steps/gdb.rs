//! A session of the debugger that types by itself: from the program's first `brk` to the page that
//! its heap writes to.

use super::{Context, Outcome, Screen};
use crate::Error;
use crate::gdb::{self, Session};
use kerntest::tally::{Failure, Kind, Tally};

/// What is typed. Breakpoint 1 is `serve`, breakpoint 2 is `brk`.
const COMMANDS: &[&str] = &[
    "disable 1",
    "continue",
    "backtrace 3",
    "program-symbols",
    "disable 2",
    "enable 1",
    "continue",
    "areas",
    "walk fault.address",
    "set $touched = fault.address",
    "finish",
    "walk $touched",
    "ignore 1 3",
    "continue",
    "cells",
    "console",
];

/// What a session must show, in this order.
const SHOWN: &[&str] = &[
    "breakpoint: src/system/memory.rs",
    "breakpoint: src/system/calls/memory.rs",
    "#0  kernel_demo::system::",
    "symbols of maps-story, loaded at 0x5",
    " rw- Heap",
    "not present",
    "nothing is mapped there",
    " rw- user",
    "  physical 0x",
    " used",
    "brk(",
];

/// Runs the session.
pub(super) fn session(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    if gdb::version().is_none() {
        return Ok(Outcome::LeftOut("there is no gdb with Python; `make gdb` installs it".into()));
    }
    // On one CPU the program is always where the debugger looks.
    let machine = context.machine.with_cpus(1).for_tour(&context.setup);
    let (project, setup) = (&context.project, &context.setup);
    let session =
        Session::build(project, setup, &machine, gdb::PROGRAM, |line| screen.detail(line))?;
    let lines = session.script(COMMANDS)?;
    lines.iter().for_each(|line| screen.detail(line));
    let tally = match missing(&lines) {
        None => Tally::one_passed(),
        Some(text) => {
            let details = [&[format!("expected, and not found: {text:?}")], &lines[..]].concat();
            Tally::one_failed(Failure::new("gdb: a session", Kind::Assertion, details))
        }
    };
    Ok(Outcome::Ran(tally))
}

/// The first of the texts that the session did not show in its place.
fn missing(lines: &[String]) -> Option<&'static str> {
    let mut rest = lines.iter();
    SHOWN.iter().copied().find(|text| !rest.any(|line| line.contains(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_must_show_all_in_order() {
        let mut lines: Vec<String> = SHOWN.iter().map(|&text| format!("x {text} x")).collect();
        assert_eq!(missing(&lines), None);
        lines.swap(4, 5);
        assert_eq!(missing(&lines), Some(SHOWN[5]));
        assert_eq!(missing(&[]), Some(SHOWN[0]));
    }
}
