//! The tour: the kernel shows claim after claim with its evidence, and its exit status is the
//! verdict.

use std::io::{self, Write};
use std::ops::RangeInclusive;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use kerntest::judge::{Ending, exit};
use kerntest::machine::{Limits, Machine, Progress};
use kerntest::tally::{Failure, Kind};

use crate::preloaded::{MARK, Preloaded};

/// The numbers of the claims: `C1` is the first.
pub const CLAIMS: RangeInclusive<u32> = 1..=29;

/// How long the whole tour may take.
const LIMIT: Duration = Duration::from_secs(120);

/// How long it may take if it waits for keys.
const LIMIT_AT_TERMINAL: Duration = Duration::from_secs(24 * 3600);

/// So many of the last lines are kept for the report on a crash.
const LAST_LINES: usize = 30;

/// The tour's image, and how to boot it.
#[derive(Clone, Copy, Debug)]
pub struct Tour<'a> {
    /// The built image.
    pub image: &'a Path,
    /// The machine to boot.
    pub machine: &'a Machine,
    /// What the kernel reads: which claims, or which program.
    pub keys: &'a [(&'a str, &'a str)],
}

impl Tour<'_> {
    /// Boots and judges, with the host's part where the kernel waits for it: then `host` is among
    /// the keys. `on_bytes` gets what the kernel writes as it comes.
    pub fn run_with_host(
        &self,
        host: &Preloaded,
        mut on_bytes: impl FnMut(&[u8]),
    ) -> Option<Failure> {
        let (reader, mut writer) = match io::pipe() {
            Ok(pipe) => pipe,
            Err(error) => return failed(Kind::Emulator, vec![format!("no pipe: {error}")]),
        };
        let mut unread = Vec::new();
        let mut answered = false;
        self.run_with(reader.into(), LIMIT, |bytes| {
            on_bytes(bytes);
            unread.extend_from_slice(bytes);
            let waits = !answered && String::from_utf8_lossy(&unread).contains(MARK);
            if waits {
                answered = true;
                // A machine that has ended does not read it; how it ended is the verdict.
                let _ = writer.write_all(host.lines().as_bytes());
            }
        })
    }

    /// Boots and judges; `None` if all is well. `on_bytes` gets what the kernel writes as it comes.
    pub fn run(&self, on_bytes: impl FnMut(&[u8])) -> Option<Failure> {
        self.run_with(Stdio::null(), LIMIT, on_bytes)
    }

    /// Boots a kernel that reads the terminal: it may wait for keys.
    pub fn run_at_terminal(&self, on_bytes: impl FnMut(&[u8])) -> Option<Failure> {
        self.run_with(Stdio::inherit(), LIMIT_AT_TERMINAL, on_bytes)
    }

    /// Boots a kernel that reads this input, within the limit.
    pub fn run_with(
        &self,
        input: Stdio,
        limit: Duration,
        mut on_bytes: impl FnMut(&[u8]),
    ) -> Option<Failure> {
        let Self { image, machine, keys } = *self;
        let mut output = Vec::new();
        let ending = machine.boot_with(input, image, keys, Limits::both(limit), |bytes| {
            output.extend_from_slice(bytes);
            on_bytes(bytes);
            Progress::None
        });
        let output = String::from_utf8_lossy(&output);
        if keys.iter().any(|&(key, _)| key == "program") {
            verdict_on_program(&output, &ending)
        } else {
            verdict(&output, &ending)
        }
    }
}

/// How a reader at the terminal ends a machine, other than by a command of its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ctrl-] x, which is for QEMU.
    Machine,
    /// Ctrl-C, before the program has taken the terminal.
    Program,
}

/// Finds out whether the reader ended the machine, of which this is all that it wrote.
pub fn stop(output: &str) -> Option<Stop> {
    let last = output.trim_end().lines().last()?;
    // QEMU writes it wherever the cursor is.
    if last.ends_with("QEMU: Terminated") {
        Some(Stop::Machine)
    } else if last.ends_with(": interrupted") {
        Some(Stop::Program)
    } else {
        None
    }
}

fn failed(kind: Kind, details: Vec<String>) -> Option<Failure> {
    Some(Failure::new("tour", kind, details))
}

/// What is wrong if the machine did not get to its end, with the last lines that it wrote.
fn crash(output: &str, ending: &Ending) -> Option<Failure> {
    let (kind, mut details) = ending.cause()?;
    let lines: Vec<&str> = output.lines().collect();
    let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
    details.extend(last.iter().map(|&line| line.to_owned()));
    failed(kind, details)
}

/// What is wrong with a program that wrote `output`, in a machine that ended like this. What it
/// wrote does not count: programs write what they like.
fn verdict_on_program(output: &str, ending: &Ending) -> Option<Failure> {
    match crash(output, ending) {
        None if ending.says_all_passed() => None,
        None => failed(Kind::Assertion, vec![output.lines().last().unwrap_or("").to_owned()]),
        crash => crash,
    }
}

/// What is wrong with a tour that wrote `output` and ended like this.
fn verdict(output: &str, ending: &Ending) -> Option<Failure> {
    if let Some(failure) = crash(output, ending) {
        return Some(failure);
    }
    let unfulfilled: Vec<String> =
        output.lines().filter(|line| line.contains("FAILED")).map(str::to_owned).collect();
    match (ending.says_all_passed(), unfulfilled.is_empty()) {
        (true, true) => match claims(output) {
            claims if claims.is_empty() => failed(Kind::Empty, vec!["it showed no claim".into()]),
            claims if !claims.is_sorted_by(|one, next| one < next) => {
                failed(Kind::Contradiction, vec![format!("claims are not in order: {claims:?}")])
            }
            _ => None,
        },
        (false, false) => failed(Kind::Assertion, unfulfilled),
        (true, false) => {
            let mut details = vec![format!("it ended with status {}, but wrote:", exit::PASSED)];
            details.extend(unfulfilled);
            failed(Kind::Contradiction, details)
        }
        (false, true) => {
            let details = vec![format!("{ending}, but no line says FAILED")];
            failed(Kind::Contradiction, details)
        }
    }
}

/// The numbers of the claims that were shown, in their order.
pub fn claims(output: &str) -> Vec<u32> {
    let number = |line: &str| line.strip_prefix("[C")?.split_once(']')?.0.parse().ok();
    output.lines().filter_map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(output: &str, status: i32) -> Option<Kind> {
        let stderr = String::new();
        verdict(output, &Ending::Exited { status, stderr }).map(|failure| failure.kind)
    }

    #[test]
    fn a_tour_passes_only_if_text_and_status_agree() {
        let good = "[C1] shown\n";
        let bad = "[C1] shown\n[C2] FAILED: expected 1, found 2\n";
        assert_eq!(kind(good, 33), None);
        assert_eq!(kind(bad, 35), Some(Kind::Assertion));
        assert_eq!(kind(bad, 33), Some(Kind::Contradiction));
        assert_eq!(kind(good, 35), Some(Kind::Contradiction));
        assert_eq!(kind("", 33), Some(Kind::Empty));
    }

    #[test]
    fn a_claim_that_comes_twice_or_too_early_is_a_contradiction() {
        assert_eq!(kind("[C1] one\n  [C3]\n[C2] two\n[C12] more\n", 33), None);
        assert_eq!(kind("[C2] two\n[C1] one\n", 33), Some(Kind::Contradiction));
        assert_eq!(kind("[C1] one\n[C1] again\n", 33), Some(Kind::Contradiction));
    }

    #[test]
    fn a_programs_exit_status_is_its_verdict_whatever_it_writes() {
        let kind = |status| {
            let ending = Ending::Exited { status, stderr: String::new() };
            verdict_on_program("FAILED to fail\n", &ending).map(|failure| failure.kind)
        };
        assert_eq!(
            (kind(33), kind(35), kind(37)),
            (None, Some(Kind::Assertion), Some(Kind::Panic))
        );
    }

    #[test]
    fn a_reader_who_stops_the_machine_is_known_by_its_last_line() {
        assert_eq!(stop("$ spin\r\nQEMU: Terminated\n\r"), Some(Stop::Machine));
        assert_eq!(stop("$ QEMU: Terminated\n\r"), Some(Stop::Machine));
        assert_eq!(stop("\nshell: interrupted\n"), Some(Stop::Program));
        assert_eq!(stop("spin: interrupted\n$ "), None);
        assert_eq!(stop(""), None);
    }

    #[test]
    fn a_tour_that_crashes_says_how() {
        for (status, expected) in
            [(37, Kind::Panic), (39, Kind::Fault), (0, Kind::TripleFault), (1, Kind::Emulator)]
        {
            assert_eq!(kind("[C1] shown\n", status), Some(expected));
        }
    }

    #[test]
    fn a_tour_that_hangs_shows_where() {
        let failure = verdict("[C1] shown\n[C2] next", &Ending::TimedOut(LIMIT)).unwrap();
        assert_eq!(failure.kind, Kind::TimeOut);
        assert_eq!(failure.details[2], "[C2] next");
    }
}
