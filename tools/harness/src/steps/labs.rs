//! The labs' own test: the project's modules get all points, the stubs none, and each seeded bug
//! costs points.

use super::host::count;
use super::{Context, Outcome, Screen, Step, Tier};
use crate::{Error, cargo};

/// Title of the step.
const TITLE: &str = "labs: the project, stubs and seeded bugs are graded";

pub(super) fn steps() -> Vec<Step> {
    vec![Step::tests(Tier::Test, TITLE, labs).unless_unchanged()]
}

/// In the short form labs of the allocator's suites, and one bug each.
fn labs(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["run", "--quiet", "--package", "grade", "--", "matrix"]);
    command.args(context.is_short().then_some("--short"));
    if let Some(filter) = &context.filter {
        command.args(filter.split(',').map(str::trim).filter(|part| !part.is_empty()));
    }
    count(TITLE, command, screen).map(Outcome::Ran)
}
