//! The programs in `examples/`: two of them in short, all in long.

use kerntest::tally::{Failure, Tally};

use super::{Context, Outcome, Screen, Step, Tier};
use crate::examples::{Row, all};
use crate::{Error, kinds};

pub(super) fn steps() -> Vec<Step> {
    vec![Step::tests(Tier::Test, "examples", run).unless_unchanged()]
}

fn run(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut tally = Tally::default();
    let filter = context.filter.as_deref();
    let chosen = |name: &str| {
        filter.is_none_or(|filter| filter.split(',').any(|part| name.contains(part.trim())))
    };
    let examples = all().into_iter().filter(|example| {
        chosen(example.name) && (!context.is_short() || filter.is_some() || example.is_short)
    });
    for example in examples {
        screen.start_line(&format!("test examples::{} ... ", example.name));
        match example.run(&context.project, &context.setup, |line| screen.detail(line)) {
            Ok(Row { left_out: Some(reason), .. }) => {
                screen.end_line(&format!("left out: {reason}"))
            }
            Ok(row) => {
                let found = row.tally.unwrap_or_default();
                screen.end_line(if found.is_clean() { "ok" } else { "FAILED" });
                tally.add(found);
            }
            Err(error) => {
                screen.end_line("FAILED");
                let details = error.to_string().lines().map(str::to_owned).collect();
                tally.add(Tally::one_failed(Failure::new(example.name, kinds::CHECK, details)));
            }
        }
    }
    Ok(Outcome::Ran(tally))
}
