//! Everything `make test` does, one step after the other.
//!
//! ```text
//!   checks   fmt · clippy · doc             one pass or failure each; left out under a filter
//!   host     cargo test, in eight ways; ring-3 programs; what is linked     counted by their summaries
//!   libmalloc  programs with the library preloaded, small ones and real ones
//!   kernel   images · suite · other kernel · tour
//! ```
//!
//! A step that cannot run on this machine says so, and is named again at the end; no step is left out in silence.

mod checks;
mod host;
mod kernel;
mod libmalloc;
mod screen;

pub use checks::{ALLOCATOR_FEATURES, CHECKED};

use std::process::Command;

use crate::Error;
use crate::cli::MachineOptions;
use crate::project::{Project, Setup};
use crate::tally::{Failure, Kind, Tally};
use screen::Screen;

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
            Action::Check(command) => checks::run(self.title, command(context), screen).map(Outcome::Ran),
            Action::Alone(run) | Action::Tests(run) => run(context, screen),
        };
        outcome.unwrap_or_else(|error| {
            let details = error.to_string().lines().map(str::to_owned).collect();
            Outcome::Ran(Tally::one_failed(Failure::new(self.title, Kind::Check, details)))
        })
    }
}

/// The steps, in order: what is quick and what fails often comes first.
fn all() -> Vec<Step> {
    let mut steps = checks::steps();
    steps.extend(host::steps());
    steps.extend(libmalloc::steps());
    steps.extend(kernel::steps());
    steps
}

/// Runs every step that the filter leaves and adds up their tests.
pub fn run_all(context: &Context) -> Tally {
    let mut steps = all();
    steps.retain(|step| context.filter.is_none() || matches!(step.action, Action::Tests(_)));

    let mut tally = Tally::default();
    let mut left_out = Vec::new();
    let number = steps.len();
    for (index, step) in steps.iter().enumerate() {
        let mut screen = Screen::begin(index + 1, number, step.title, context.verbose);
        match step.run(context, &mut screen) {
            Outcome::Ran(found) => {
                screen.end(&found.to_string());
                tally.add(found);
            }
            Outcome::LeftOut(reason) => {
                screen.end("left out");
                left_out.push(format!("left out: {}: {reason}", step.title));
            }
        }
    }
    if let (0, Some(filter)) = (tally.ran(), &context.filter) {
        let reason = vec![format!("no test's name contains {filter:?}")];
        tally.add(Tally::one_failed(Failure::new("filter", Kind::Empty, reason)));
    }
    left_out.iter().for_each(|line| println!("{line}"));
    tally
}
