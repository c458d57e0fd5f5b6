//! Runs the jobs, one by one, and says on the terminal how far it is.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::time::Duration;

use super::{BoundsOf, Machine, Measured, OfTrace, Report, SmallTarget, SystemSide};
use crate::measure::bounds::single::Single;
use crate::measure::tightness::Question;
use crate::measure::traces::Origin;
use crate::measure::{Failure, bounds, counts, tightness, time, traces};
use crate::subject::{self, Kind};
use crate::threads::{Load, Who};
use crate::workload;

/// Above so many nanoseconds an operation a subject is measured in one round only, and its
/// instructions are not counted.
const SLOW: f64 = 1000.0;

/// A line that is written over itself; only for somebody who watches.
fn progress(what: std::fmt::Arguments<'_>) {
    let mut to = std::io::stderr();
    if to.is_terminal() {
        // Progress that cannot be shown is no reason to stop.
        let _ = write!(to, "\r\x1b[K{what}").and_then(|()| to.flush());
    }
}

/// An empty report of this machine.
#[must_use]
pub fn report(quick: bool) -> Report {
    let state_bytes =
        size_of::<brkalloc::Heap<brkalloc::FixedBreak>>() - size_of::<brkalloc::FixedBreak>();
    Report { machine: Machine::this(), quick, state_bytes, ..Report::default() }
}

impl Report {
    /// Measures the time of all pairs, round by round; each round begins with another subject.
    pub fn time(
        &mut self,
        subjects: &[subject::Name],
        workloads: &[workload::Name],
        rounds: usize,
        budget: Duration,
    ) {
        for round in 0..rounds {
            for &workload in workloads {
                for turn in 0..subjects.len() {
                    let subject = subjects[(turn + round) % subjects.len()];
                    progress(format_args!(
                        "time: round {} of {rounds}: {workload}: {subject}",
                        round + 1
                    ));
                    if self.is_worth_another_look(workload, subject) {
                        self.time.push(workload, subject, time::once(subject, workload, budget));
                    }
                }
            }
        }
        progress(format_args!(""));
    }

    fn is_worth_another_look(&self, workload: workload::Name, subject: subject::Name) -> bool {
        match self.time.outcome(workload, subject) {
            None => true,
            Some(Ok(figure)) => *figure < SLOW,
            Some(Err(_)) => false,
        }
    }

    /// Takes in what `make size` measured.
    pub fn small_target(&mut self, path: &Path) {
        match SmallTarget::read(path) {
            Ok(figures) => self.small_target = Some(figures),
            Err(error) => eprintln!(
                "no figures of a small target: {}: {error}; `make size` measures them",
                path.display()
            ),
        }
    }

    /// Takes in what `make cost` counted.
    pub fn system_side(&mut self, path: &Path) {
        match SystemSide::read(path) {
            Ok(figures) => self.system_side = Some(figures),
            Err(error) => eprintln!(
                "no figures of the system's side: {}: {error}; `make cost` counts them",
                path.display()
            ),
        }
    }

    /// Counts instructions and cache misses of all pairs that are not known to be slow.
    pub fn counts(&mut self, subjects: &[subject::Name], workloads: &[workload::Name]) {
        if let Err(error) = counts::valgrind() {
            eprintln!("no instruction counts: valgrind cannot be run: {error}");
            return;
        }
        for &workload in workloads {
            for &subject in subjects {
                progress(format_args!("instructions: {workload}: {subject}"));
                let counted = match self.is_worth_another_look(workload, subject) {
                    true => counts::once(subject, workload),
                    false => Err(Failure::TooSlow),
                };
                let part = |figure: fn(&counts::Counts) -> f64| {
                    counted.as_ref().map(figure).map_err(Clone::clone)
                };
                self.instructions.push(workload, subject, part(|counts| counts.instructions));
                self.l1_misses.push(workload, subject, part(|counts| counts.l1_misses));
                self.l2_misses.push(workload, subject, part(|counts| counts.l2_misses));
            }
        }
        progress(format_args!(""));
    }

    /// Replays the traces of real programs.
    pub fn traces(&mut self, subjects: &[subject::Name], origins: &[Origin], budget: Duration) {
        let count = counts::valgrind().inspect_err(|error| {
            eprintln!("no instructions of traces: valgrind cannot be run: {error}");
        });
        for origin in origins {
            for &subject in subjects {
                progress(format_args!("traces: {origin}: {subject}"));
                let figures = traces::once(subject, origin, budget, count.is_ok());
                let name = origin.to_string();
                self.traces.figures.push(OfTrace { name, subject, figures });
            }
        }
        progress(format_args!(""));
    }

    /// Asks all subjects that are given their memory.
    pub fn tightness(&mut self, subjects: &[subject::Name], questions: &[Question]) {
        for &question in questions {
            for &subject in subjects.iter().filter(|subject| subject.kind() != Kind::Library) {
                progress(format_args!("tightness: {question}: {subject}"));
                let answer = match self.is_hopeless(question, subject) {
                    true => Err(Failure::TooSlow),
                    false => tightness::once(subject, question),
                };
                self.tightness.push(question, subject, answer);
            }
        }
        progress(format_args!(""));
    }

    /// Whoever is too slow for one pass is too slow for the many that the search for the smallest
    /// heap takes.
    fn is_hopeless(&self, question: Question, subject: subject::Name) -> bool {
        let Question::Smallest(trace) = question else { return false };
        self.tightness.outcome(Question::HighWater(trace), subject) == Some(&Err(Failure::TooSlow))
    }

    /// Measures many threads, round by round.
    pub fn threads(
        &mut self,
        who: &[Who],
        loads: &[Load],
        threads: &[usize],
        rounds: usize,
        budget: Duration,
    ) {
        for round in 0..rounds {
            for &load in loads {
                for &threads in threads.iter().filter(|&&threads| threads > 1 || !load.is_shared())
                {
                    for who in Who::all(threads)
                        .into_iter()
                        .filter(|name| who.is_empty() || who.contains(name))
                    {
                        progress(format_args!(
                            "threads: round {} of {rounds}: {load}, {threads}: {who}",
                            round + 1
                        ));
                        let figure = crate::threads::once(who, load, threads, budget);
                        self.threads.figures.push(Measured { load, threads, who, figure });
                    }
                }
            }
        }
        progress(format_args!(""));
    }

    /// Counts the common path and the first refused request.
    pub fn singles(&mut self, subjects: &[subject::Name]) {
        for single in Single::ALL {
            for &subject in subjects.iter().filter(|subject| subject.kind() != Kind::Library) {
                progress(format_args!("{single}: {subject}"));
                let counted = bounds::single::once(subject, single);
                self.singles.push(single, subject, counted.map(|count| count as f64));
            }
        }
        progress(format_args!(""));
    }

    /// Counts single operations in heaps of so many cells, until a subject is too slow, or has an
    /// operation that takes as many instructions as are counted at most.
    pub fn bounds(&mut self, subjects: &[subject::Name], cells: &[usize]) {
        for &subject in subjects.iter().filter(|subject| subject.kind() != Kind::Library) {
            let mut slow = false;
            for &cells in cells {
                progress(format_args!("bounds: {subject}: {cells} cells"));
                let counted =
                    if slow { Err(Failure::TooSlow) } else { bounds::once(subject, cells) };
                slow |= match &counted {
                    Ok(counted) => counted.iter().any(|bound| bound.max >= bounds::STEP_LIMIT),
                    Err(failure) => *failure == Failure::TooSlow,
                };
                self.bounds.push(BoundsOf { subject, cells, bounds: counted });
            }
        }
        progress(format_args!(""));
    }
}
