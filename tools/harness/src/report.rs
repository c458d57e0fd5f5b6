//! What the reader sees while things run, and at the end.

use std::io::{self, IsTerminal, Write};

use crate::protocol::Event;
use crate::tally::Tally;

/// Shows a line of a build's output: on a terminal all of it, so that a long build is seen to move;
/// else nothing, since a build that fails shows its output anyway.
pub fn build_line(line: &str) {
    if io::stderr().is_terminal() {
        eprintln!("{line}");
    }
}

/// Shows an event of a test kernel as the kernel wrote it.
pub fn event(event: &Event) {
    match event {
        Event::Began(name) => {
            print!("test {name} ... ");
            // If nobody reads any more, the verdict still counts.
            let _ = io::stdout().flush();
        }
        Event::Verdict(true) => println!("ok"),
        Event::Verdict(false) => println!("FAILED"),
        Event::Detail(line) => println!("  {line}"),
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
