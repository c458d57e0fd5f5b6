//! What the reader sees while things run, and at the end.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::{build, c, process};
use kerntest::Happened;
use kerntest::judge::is_assertion;
use kerntest::protocol::Event;
use kerntest::tally::Tally;

/// Returns what takes the lines of builds, and shows one line for each build that compiles
/// anything: what it builds, how many crates, and how long; and what is left out. (A build that
/// fails shows its output anyway.)
pub fn builds() -> impl FnMut(&str) {
    let mut builds = Builds::default();
    move |line| builds.take(line)
}

/// The build that runs.
struct Builds {
    what: String,
    shown: Option<Shown>,
}

impl Default for Builds {
    fn default() -> Self {
        Self { what: "what has changed".to_owned(), shown: None }
    }
}

impl Builds {
    fn take(&mut self, line: &str) {
        if let Some(what) = build::begun(line) {
            *self = Self { what: what.to_owned(), shown: None };
        } else if process::compiles(line) {
            let what = &self.what;
            self.shown.get_or_insert_with(|| Shown::begin(what)).compiles();
        } else if line.starts_with(c::LEFT_OUT) || line.trim_start().starts_with("Blocking") {
            // The line of the build before is complete.
            self.shown = None;
            eprintln!("{line}");
        }
    }
}

/// The line of a build, which is complete when this is dropped.
struct Shown {
    crates: Option<Sender<()>>,
    line: Option<JoinHandle<()>>,
}

impl Shown {
    fn begin(what: &str) -> Self {
        let start = format!("building {what} …");
        let (crates, compiled) = mpsc::channel();
        let show = if io::stderr().is_terminal() { on_terminal } else { in_file };
        let line = thread::spawn(move || show(&start, &compiled, Instant::now()));
        Self { crates: Some(crates), line: Some(line) }
    }

    fn compiles(&self) {
        if let Some(crates) = &self.crates {
            // The line may have been closed by its reader, who has seen enough.
            let _ = crates.send(());
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.crates = None;
        // A line that could not be written is no reason to end a build.
        let _ = self.line.take().map(JoinHandle::join);
    }
}

/// Writes a line anew each second, until there are no more crates.
fn on_terminal(start: &str, compiled: &Receiver<()>, begun: Instant) {
    let mut crates = 0;
    loop {
        let end = match compiled.recv_timeout(Duration::from_secs(1)) {
            Ok(()) => {
                crates += 1;
                ""
            }
            Err(RecvTimeoutError::Timeout) => "",
            Err(RecvTimeoutError::Disconnected) => "\n",
        };
        eprint!("\r{start} {}\x1b[K{end}", work(crates, begun.elapsed()));
        if !end.is_empty() {
            return;
        }
    }
}

/// Writes the start of a line, and when there are no more crates the end.
fn in_file(start: &str, compiled: &Receiver<()>, begun: Instant) {
    eprint!("{start}");
    let crates = compiled.iter().count();
    eprintln!(" {}", work(crates, begun.elapsed()));
}

/// What was done in this time.
fn work(crates: usize, time: Duration) -> String {
    let s = if crates == 1 { "" } else { "s" };
    format!("{crates} crate{s}, {} s", time.as_secs())
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
    use super::*;

    #[test]
    fn a_line_is_shown_for_a_build_that_compiles_and_none_for_another() {
        let mut builds = Builds::default();
        for line in [&*build::phase("the kernel"), "warning: unused", "    Finished `dev` profile"]
        {
            builds.take(line);
            assert!(builds.shown.is_none(), "{line}");
        }
        builds.take("   Compiling core v0.0.0");
        assert!(builds.shown.is_some());
        assert_eq!(builds.what, "the kernel");
        builds.take(&build::phase("its image"));
        assert!(builds.shown.is_none());
    }

    #[test]
    fn a_line_says_what_was_done() {
        assert_eq!(work(1, Duration::from_millis(2900)), "1 crate, 2 s");
        assert_eq!(work(24, Duration::from_secs(31)), "24 crates, 31 s");
    }
}
