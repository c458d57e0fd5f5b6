//! Each rule of `check()` is left out once; see [`crate::rules`].

use super::{Context, Outcome, Screen, Step, Tier};
use crate::Error;
use crate::rules::Rules;

pub(super) fn step() -> Step {
    Step::alone(Tier::All, "rules: each left out once", run)
}

fn run(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let rules = Rules::leave_out(&context.project, |line| screen.detail(line))?;
    Ok(Outcome::Ran(rules.judge()))
}
