//! What the reader sees while things run, and at the end.

use std::io::{self, IsTerminal, Write};

use crate::{c, libtest};
use kerntest::Happened;
use kerntest::judge::is_assertion;
use kerntest::protocol::Event;
use kerntest::tally::Tally;

/// Shows a line of a build's output: on a terminal all of it; else a line for each crate that is
/// fetched or compiled, so that a long build is seen to move, and what is left out. (A build that
/// fails shows its output anyway.)
pub fn build_line(line: &str) {
    if io::stderr().is_terminal() || shows_work(line) {
        eprintln!("{line}");
    }
}

/// Whether a line tells of work that is done now.
fn shows_work(line: &str) -> bool {
    let is_over = line.trim_start().starts_with("Finished");
    let is_left_out = line.starts_with(c::LEFT_OUT);
    (libtest::is_progress(line) && !is_over) || line.starts_with("Building ") || is_left_out
}

/// Shows an event of a test kernel as the kernel wrote it.
pub fn happened(happened: &Happened<'_>) {
    let Happened::Said(event) = happened else { return };
    match event {
        Event::Began(name) => {
            print!("test {name} ... ");
            // If nobody reads any more, the verdict still counts.
            let _ = io::stdout().flush();
        }
        Event::Verdict(true) => println!("ok"),
        Event::Verdict(false) => println!("FAILED"),
        Event::Detail(line) => println!("  {line}"),
        Event::Panic(message) if is_assertion(message) => println!("FAILED\n  {message}"),
        Event::Panic(message) => println!("\nPANIC: {message}"),
        Event::Fault(summary) => println!("\nFAULT: {summary}"),
        Event::Running(_) | Event::Summary(_) | Event::Other(_) => {}
    }
}

/// Lists the failures and ends with the line `N passed, M failed`.
pub fn sum(tally: &Tally) {
    if !tally.is_clean() {
        println!("\nfailures:");
        for failure in &tally.failures {
            println!("\n{failure}");
        }
    }
    println!("\n{tally}");
}

#[cfg(test)]
mod tests {
    use super::shows_work;

    #[test]
    fn work_is_shown_and_its_end_is_not() {
        let shown = [
            "   Compiling core v0.0.0",
            " Downloading crates ...",
            "Building bootloader",
            "left out: a",
        ];
        assert!(shown.into_iter().all(shows_work));
        let hidden = ["    Finished `dev` profile", "warning: unused", "", "     Running tests"];
        assert!(!hidden.into_iter().any(shows_work));
    }
}
