//! Instructions and cache misses an operation, counted by callgrind.
//!
//! The second pass is counted; the caches are simulated from the start. What is simulated is a
//! first-level data cache of 32 KiB and one of 1 MiB behind it, whatever the machine has, so that
//! figures of different machines can be compared.

use std::io;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};

use super::{Failure, Job, Outcome, process, stage};
use crate::subject::{self, Subject};
use crate::workload::{self, Workload};

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 20;

/// How a child is started. The function named is [`counted`].
const VALGRIND: [&str; 9] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
    "--cache-sim=yes",
    "--I1=32768,8,64",
    "--D1=32768,8,64",
    "--LL=1048576,16,64",
    "--collect-atstart=no",
    "--toggle-collect=*counts*counted*",
];

/// What an operation costs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Instructions.
    pub instructions: f64,
    /// Reads and writes that miss 32 KiB.
    pub l1_misses: f64,
    /// Reads and writes that miss 1 MiB as well.
    pub l2_misses: f64,
}

/// Counts, in a child under valgrind.
///
/// # Errors
///
/// Why there are no figures.
pub fn once(subject: subject::Name, workload: workload::Name) -> Outcome<Counts> {
    let (operations, messages): (usize, String) =
        process::run_under(&VALGRIND, &Job::Count { subject, workload }, LIMIT)?;
    parse(&messages, operations)
        .ok_or_else(|| Failure::Crashed(format!("callgrind's output has no counts: {messages}")))
}

/// Whether valgrind is there.
///
/// # Errors
///
/// Why it cannot be run.
pub fn valgrind() -> io::Result<()> {
    Command::new(VALGRIND[0]).arg("--version").stdout(Stdio::null()).status().map(drop)
}

/// Two passes, the second in [`counted`]; the number of its operations.
pub(super) fn here(subject: subject::Name, workload: workload::Name) -> Outcome<usize> {
    stage::on(subject, workload, TwoPasses)
}

struct TwoPasses;

impl stage::Act for TwoPasses {
    type Figures = usize;

    fn act<S: Subject, W: Workload>(self, subject: &mut S, workload: &mut W) -> Outcome<usize> {
        stage::pass(subject, workload)?;
        counted(subject, workload)?;
        Ok(workload.operations())
    }
}

/// While this runs, callgrind counts.
#[inline(never)]
fn counted<S: Subject, W: Workload>(subject: &mut S, workload: &mut W) -> Outcome<()> {
    // The result is looked at after the call, so that this is no tail call, which callgrind would
    // not see.
    let result = stage::pass(subject, workload);
    std::hint::black_box(&result);
    result
}

fn parse(messages: &str, operations: usize) -> Option<Counts> {
    let events = events(messages)?;
    let an_operation = |names: &[&str]| {
        let figures: Vec<f64> = events
            .iter()
            .filter(|(name, _)| names.contains(name))
            .map(|(_, count)| *count)
            .collect();
        (figures.len() == names.len()).then(|| figures.iter().sum::<f64>() / operations as f64)
    };
    Some(Counts {
        instructions: an_operation(&["Ir"])?,
        l1_misses: an_operation(&["D1mr", "D1mw"])?,
        l2_misses: an_operation(&["DLmr", "DLmw"])?,
    })
}

/// Returns the count of one event in callgrind's summary.
pub(super) fn parse_event(messages: &str, event: &str) -> Option<f64> {
    let events = events(messages)?;
    events.iter().find(|(name, _)| *name == event).map(|(_, count)| *count)
}

/// Reads callgrind's summary: a line with the names of the events, a line with their counts.
fn events(messages: &str) -> Option<Vec<(&str, f64)>> {
    let line = |key: &str| {
        let (_, values) = messages.lines().find(|line| line.contains(key))?.split_once(" : ")?;
        Some(values.split_whitespace())
    };
    // Zeros at the end of the line are not printed.
    let counts =
        line("Collected")?.map_while(|count| count.parse().ok()).chain(std::iter::repeat(0.0));
    Some(line("Events  ")?.zip(counts).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn callgrinds_summary_is_read() {
        let messages = "==1== \n==1== Events    : Ir Dr Dw I1mr D1mr D1mw ILmr DLmr DLmw\n\
                        ==1== Collected : 5000 700 300 1 40 10 1 20 5\n==1== \n==1== I   refs:      5,000";
        let counts = parse(messages, 100).unwrap();
        assert_eq!(counts, Counts { instructions: 50.0, l1_misses: 0.5, l2_misses: 0.25 });
    }

    #[test]
    fn zeros_that_are_not_printed_are_counted() {
        let counts =
            parse("==1== Events    : Ir D1mr D1mw DLmr DLmw\n==1== Collected : 500 7\n", 100)
                .unwrap();
        assert_eq!(counts, Counts { instructions: 5.0, l1_misses: 0.07, l2_misses: 0.0 });
    }

    #[test]
    fn a_summary_without_caches_is_none() {
        assert_eq!(parse("==1== Events    : Ir\n==1== Collected : 5000\n", 100), None);
        assert_eq!(parse("valgrind: no such tool", 100), None);
    }
}
