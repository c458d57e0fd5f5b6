//! Everything `make test` does: rows of steps, two at a time.
//!
//! ```text
//!   checks      fmt · clippy · doc            one pass or failure each; left out under a filter
//!     host      cargo test                    counted by the summaries of its programs
//!  ──────────────────────────────────────────────────────────────────────────────
//!   kernel      ring-3 programs · images · suite · other kernel · tour
//!  ──────────────────────────────────────────────────────────────────────────────
//!   host32      the allocator's tests as 32-bit programs
//!  ──────────────────────────────────────────────────────────────────────────────
//!   libmalloc   programs with the library preloaded, small ones and real ones
//!  ──────────────────────────────────────────────────────────────────────────────
//!   sanitizers, a row each
//!  ──────────────────────────────────────────────────────────────────────────────
//!   linked      what is in a program, and what is not
//! ```
//!
//! The steps of a row use each other's output, and run one after the other. Where two rows build in
//! one folder, cargo lets one wait.
//!
//! A step that cannot run on this machine says so, and is named again at the end; no step is left
//! out in silence.

mod checks;
mod host;
mod kernel;
mod libmalloc;
mod rows;
mod sanitizers;
mod screen;
mod spent;

pub use checks::{ALLOCATOR_FEATURES, CHECKED};
pub use host::SUITES;

use std::process::Command;
use std::time::Instant;

use crate::cli::MachineOptions;
use crate::project::{Project, Setup};
use crate::tally::{Failure, Kind, Tally};
use crate::{Error, process};
use rows::Outputs;
use screen::{Output, Screen};
use spent::{Spent, Table};

/// What every step needs to know.
#[derive(Debug)]
pub struct Context {
    /// Where things are.
    pub project: Project,
    /// What the set-up found.
    pub setup: Setup,
    /// Where to boot images.
    pub machine: MachineOptions,
    /// Parts of test names, separated by commas.
    pub filter: Option<String>,
    /// A part of the titles of steps.
    pub step: Option<String>,
    /// Show everything.
    pub verbose: bool,
}

/// How a step went.
enum Outcome {
    /// It ran.
    Ran(Tally),
    /// It cannot run on this machine, for this reason.
    LeftOut(String),
}

/// One step.
struct Step {
    title: &'static str,
    action: Action,
}

/// What a step does.
enum Action {
    /// Runs a program whose exit status is the verdict. Left out under a filter.
    Check(fn(&Context) -> Command),
    /// Runs something that has no tests to choose from. Left out under a filter.
    Alone(fn(&Context, &mut Screen) -> Result<Outcome, Error>),
    /// Runs tests that have names to filter by.
    Tests(fn(&Context, &mut Screen) -> Result<Outcome, Error>),
}

impl Step {
    /// Runs the step. What keeps it from running is a failure of the step.
    fn run(&self, context: &Context, screen: &mut Screen) -> Outcome {
        let outcome = match self.action {
            Action::Check(command) => {
                checks::run(self.title, command(context), screen).map(Outcome::Ran)
            }
            Action::Alone(run) | Action::Tests(run) => run(context, screen),
        };
        outcome.unwrap_or_else(|error| {
            let details = error.to_string().lines().map(str::to_owned).collect();
            Outcome::Ran(Tally::one_failed(Failure::new(self.title, Kind::Check, details)))
        })
    }
}

/// The rows of steps, the longest ones first; in each, what is quick and what fails often comes
/// first.
fn all() -> Vec<Vec<Step>> {
    let mut first = checks::steps();
    first.extend(host::steps());
    let [address, thread] = sanitizers::steps();
    vec![
        first,
        kernel::steps(),
        host::steps32(),
        libmalloc::steps(),
        vec![address],
        vec![thread],
        host::linked(),
    ]
}

/// How a step went, and what it took.
struct Done {
    title: &'static str,
    outcome: Outcome,
    spent: Spent,
}

/// Runs every step that the filters leave and adds up their tests.
pub fn run_all(context: &Context) -> Tally {
    let mut rows = all();
    for row in &mut rows {
        row.retain(|step| context.filter.is_none() || matches!(step.action, Action::Tests(_)));
        row.retain(|step| context.step.as_deref().is_none_or(|part| step.title.contains(part)));
    }
    rows.retain(|row| !row.is_empty());
    let number = rows.iter().map(Vec::len).sum();
    let outputs = Outputs::new(rows.len());
    let done = rows::work_off(&rows, |index, row| {
        let begin = rows[..index].iter().map(Vec::len).sum();
        let done = run_row(row, begin, number, context, outputs.of(index));
        outputs.done(index);
        done
    });
    let done: Vec<Done> = done.into_iter().flatten().collect();
    println!("\n{}", Table(done.iter().map(|step| (step.title, step.spent)).collect()));

    let mut tally = Tally::default();
    for step in done {
        match step.outcome {
            Outcome::Ran(found) => tally.add(found),
            Outcome::LeftOut(reason) => println!("left out: {}: {reason}", step.title),
        }
    }
    if tally.ran() == 0 {
        let reason =
            vec![format!("nothing fits: step {:?}, filter {:?}", context.step, context.filter)];
        tally.add(Tally::one_failed(Failure::new("filter", Kind::Empty, reason)));
    }
    tally
}

/// Runs the steps of a row. They are numbered from `begin` on, of `number` in all.
fn run_row(
    steps: &[Step],
    begin: usize,
    number: usize,
    context: &Context,
    output: &Output,
) -> Vec<Done> {
    let run = |(index, step): (usize, &Step)| {
        let (begun, before) = (Instant::now(), process::spent());
        let mut screen =
            Screen::begin(output, begin + index + 1, number, step.title, context.verbose);
        let outcome = step.run(context, &mut screen);
        match &outcome {
            Outcome::Ran(found) => screen.end(&found.to_string()),
            Outcome::LeftOut(_) => screen.end("left out"),
        }
        Done {
            title: step.title,
            outcome,
            spent: Spent { elapsed: begun.elapsed(), processor: process::spent() - before },
        }
    };
    steps.iter().enumerate().map(run).collect()
}
