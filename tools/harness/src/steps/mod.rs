//! Everything that `make check`, `make test` and `make test-all` do: rows of steps, two at a time.
//!
//! ```text
//!   kernel      ring-3 programs · images · suite · tour · a program dropped in
//!   host        cargo test, counted by the summaries of its programs; budgets of instructions
//!   checks      fmt · clippy · doc            one pass or failure each; left out under a filter
//!   host32      the allocator's tests as 32-bit programs
//!   libmalloc   programs with the library preloaded, small ones and real ones
//!   sanitizers, a row each; Miri, where it can be had; each rule of check() left out
//!   story       the viewer's reducer, and pages of real runs in a browser
//!   labs        the project's modules, stubs and seeded bugs are graded
//!   linked      what is in a program, and what is not
//! ```
//!
//! Each step is defined with its [`Tier`]: `Step::tests(Tier::Test, "host tests: …", function)`. A
//! step that has a short and a long form asks `Context::is_short`. A new step is one such line and
//! its function; to remove one, remove both.
//!
//! The steps of a row use each other's output, and run one after the other. Where two rows build in
//! one folder, cargo lets one wait.
//!
//! A step that cannot run on this machine says so, and is named again at the end; no step is left
//! out in silence.

mod checks;
mod dropped_in;
mod examples;
mod gdb;
mod host;
mod kernel;
mod labs;
mod libmalloc;
mod miri;
mod oldest;
mod rows;
mod rules;
mod sanitizers;
mod screen;
mod spent;
mod story;
mod tier;
mod unchanged;

pub use checks::ALLOCATOR_FEATURES;
pub use host::SUITES;
pub use tier::Tier;

use std::env;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cli::MachineOptions;
use crate::kinds;
use crate::project::{Project, Setup};
use crate::{Error, process};
use kerntest::tally::{Failure, Kind, Tally};
use rows::Outputs;
use screen::{Output, Screen};
use spent::{Row, Spent, Table};
use unchanged::{Inputs, Passed};

/// What every step needs to know.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where things are.
    pub project: Project,
    /// What the set-up found.
    pub setup: Setup,
    /// Which steps, and in which form.
    pub tier: Tier,
    /// Where to boot images.
    pub machine: MachineOptions,
    /// Parts of test names, separated by commas.
    pub filter: Option<String>,
    /// A part of the titles of steps.
    pub step: Option<String>,
    /// Show everything.
    pub verbose: bool,
}

impl Context {
    /// Whether steps that have a short form take it.
    fn is_short(&self) -> bool {
        self.tier < Tier::All
    }
}

/// How a step went.
enum Outcome {
    /// It ran.
    Ran(Tally),
    /// It did not run: it passed with so many tests, and nothing changed since.
    Unchanged(usize),
    /// It cannot run on this machine, for this reason.
    LeftOut(String),
}

/// One step.
struct Step {
    title: &'static str,
    tier: Tier,
    action: Action,
    /// Left out of `make test` while nothing has changed since it passed.
    is_skippable: bool,
}

/// What a step does.
enum Action {
    /// Runs programs whose exit statuses are the verdict. Left out under a filter.
    Check(fn(&Context) -> Vec<Command>),
    /// Runs something that has no tests to choose from. Left out under a filter.
    Alone(fn(&Context, &mut Screen) -> Result<Outcome, Error>),
    /// Runs tests that have names to filter by.
    Tests(fn(&Context, &mut Screen) -> Result<Outcome, Error>),
}

/// Runs a step that is no check.
type RunStep = fn(&Context, &mut Screen) -> Result<Outcome, Error>;

impl Step {
    /// A step that runs programs: it passes if all of them do.
    const fn check(
        tier: Tier,
        title: &'static str,
        commands: fn(&Context) -> Vec<Command>,
    ) -> Self {
        Self { title, tier, action: Action::Check(commands), is_skippable: false }
    }

    /// A step without tests to choose from.
    const fn alone(tier: Tier, title: &'static str, run: RunStep) -> Self {
        Self { title, tier, action: Action::Alone(run), is_skippable: false }
    }

    /// A step that runs tests, by name.
    const fn tests(tier: Tier, title: &'static str, run: RunStep) -> Self {
        Self { title, tier, action: Action::Tests(run), is_skippable: false }
    }

    /// The same, left out of `make test` while nothing has changed since it passed: for steps that
    /// take long though nothing is compiled.
    const fn unless_unchanged(self) -> Self {
        Self { is_skippable: true, ..self }
    }

    /// Runs the step. What keeps it from running is a failure of the step.
    fn run(&self, context: &Context, screen: &mut Screen) -> Outcome {
        let outcome = match self.action {
            Action::Check(commands) => {
                checks::run(self.title, commands(context), screen).map(Outcome::Ran)
            }
            Action::Alone(run) | Action::Tests(run) => run(context, screen),
        };
        outcome.unwrap_or_else(|error| {
            let details = error.to_string().lines().map(str::to_owned).collect();
            Outcome::Ran(Tally::one_failed(Failure::new(self.title, kinds::CHECK, details)))
        })
    }

    /// The same, unless it can be left out.
    fn run_unless_unchanged(
        &self,
        context: &Context,
        memory: Option<&Memory>,
        screen: &mut Screen,
    ) -> Outcome {
        let Some(memory) = memory.filter(|_| self.is_skippable) else {
            return self.run(context, screen);
        };
        if let Some(tests) = memory.passed.tests(self.title, memory.inputs)
            && memory.may_skip
        {
            return Outcome::Unchanged(tests);
        }
        memory.passed.forget(self.title);
        let outcome = self.run(context, screen);
        if let Outcome::Ran(tally) = &outcome
            && tally.is_clean()
            && Inputs::now(&context.project, &context.setup) == Some(memory.inputs)
        {
            memory.passed.record(self.title, memory.inputs, tally.passed);
        }
        outcome
    }
}

/// What is known of earlier runs.
struct Memory {
    inputs: Inputs,
    passed: Passed,
    /// Whether it counts: everybody writes it, but not everybody reads it.
    may_skip: bool,
}

impl Memory {
    /// Nothing if some tests are left out, which is no pass.
    fn of(context: &Context) -> Option<Self> {
        if context.filter.is_some() {
            return None;
        }
        let is_ci = env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
        Some(Self {
            inputs: Inputs::now(&context.project, &context.setup)?,
            passed: Passed::of(&context.project),
            may_skip: context.is_short() && !is_ci,
        })
    }
}

/// The rows of steps, the longest ones first; in each, what is quick and what fails often comes
/// first.
fn all() -> Vec<Vec<Step>> {
    let [address, thread] = sanitizers::steps();
    vec![
        kernel::steps(),
        host::steps(),
        checks::steps(),
        host::steps32(),
        host::steps_elsewhere(),
        vec![address],
        libmalloc::steps(),
        vec![thread],
        vec![miri::step(), rules::step()],
        labs::steps(),
        story::steps(),
        host::linked(),
        examples::steps(),
    ]
}

/// How a step went, and what it took.
struct Done {
    title: &'static str,
    outcome: Outcome,
    spent: Spent,
}

impl Done {
    fn row(&self) -> Row {
        let unchanged = match self.outcome {
            Outcome::Unchanged(tests) => tests,
            Outcome::Ran(_) | Outcome::LeftOut(_) => 0,
        };
        Row { title: self.title, spent: self.spent, unchanged }
    }
}

/// Runs every step that tier and filters leave, and adds up their tests.
pub fn run_all(context: &Context) -> Tally {
    let begun = Instant::now();
    let mut rows = all();
    for row in &mut rows {
        row.retain(|step| step.tier <= context.tier);
        row.retain(|step| context.filter.is_none() || matches!(step.action, Action::Tests(_)));
        row.retain(|step| context.step.as_deref().is_none_or(|part| step.title.contains(part)));
    }
    rows.retain(|row| !row.is_empty());
    let number = rows.iter().map(Vec::len).sum();
    let memory = Memory::of(context);
    let outputs = Outputs::new(rows.len());
    let done = rows::work_off(&rows, |index, row| {
        let begin = rows[..index].iter().map(Vec::len).sum();
        let done = run_row(row, begin, number, context, memory.as_ref(), outputs.of(index));
        outputs.done(index);
        done
    });
    let done: Vec<Done> = done.into_iter().flatten().collect();
    sum(context, done, begun.elapsed())
}

/// Adds up, and says what took how long, and what did not run.
fn sum(context: &Context, done: Vec<Done>, elapsed: Duration) -> Tally {
    println!("\n{}", Table(done.iter().map(Done::row).collect()));
    println!("from beginning to end: {:.1} s", elapsed.as_secs_f32());
    let mut tally = Tally::default();
    let mut skipped = (0, 0);
    for step in done {
        match step.outcome {
            Outcome::Ran(found) => tally.add(found),
            Outcome::Unchanged(tests) => skipped = (skipped.0 + 1, skipped.1 + tests),
            Outcome::LeftOut(reason) => println!("left out: {}: {reason}", step.title),
        }
    }
    if let (steps @ 1.., tests) = skipped {
        println!(
            "unchanged since they passed, and not run: {tests} tests of {steps} steps; `make test-all` runs them"
        );
    }
    if tally.ran() + skipped.0 == 0 {
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
    memory: Option<&Memory>,
    output: &Output,
) -> Vec<Done> {
    let run = |(index, step): (usize, &Step)| {
        let (begun, before) = (Instant::now(), (kerntest::machine::spent(), process::compiled()));
        let mut screen =
            Screen::begin(output, begin + index + 1, number, step.title, context.verbose);
        let outcome = step.run_unless_unchanged(context, memory, &mut screen);
        match &outcome {
            Outcome::Ran(found) => screen.end(&found.to_string()),
            Outcome::Unchanged(tests) => {
                screen.end(&format!("unchanged since it passed: {tests} tests not run"));
            }
            Outcome::LeftOut(_) => screen.end("left out"),
        }
        let spent = Spent {
            elapsed: begun.elapsed(),
            processor: kerntest::machine::spent() - before.0,
            compiled: process::compiled() - before.1,
        };
        Done { title: step.title, outcome, spent }
    };
    steps.iter().enumerate().map(run).collect()
}
