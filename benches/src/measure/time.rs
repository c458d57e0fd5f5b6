//! Nanoseconds an operation.

use std::time::{Duration, Instant};

use super::{Job, Outcome, median, process, stage};
use crate::subject::{self, Subject};
use crate::workload::{self, Workload};

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 5;

/// Measures once, in a child.
///
/// # Errors
///
/// Why there is no figure.
pub fn once(subject: subject::Name, workload: workload::Name, budget: Duration) -> Outcome<f64> {
    process::run(&Job::Time { subject, workload, budget: budget.as_millis() as u64 }, LIMIT)
}

/// Measures in this process: passes until `budget` is over; the median of them.
pub(super) fn here(
    subject: subject::Name,
    workload: workload::Name,
    budget: Duration,
) -> Outcome<f64> {
    stage::on(subject, workload, Passes { budget })
}

/// A single pass that takes so long needs neither a warm-up nor repetition.
const ENOUGH: Duration = Duration::from_secs(1);

struct Passes {
    budget: Duration,
}

impl stage::Act for Passes {
    type Figures = f64;

    fn act<S: Subject, W: Workload>(self, subject: &mut S, workload: &mut W) -> Outcome<f64> {
        let operations = workload.operations() as f64;
        let mut timed = || -> Outcome<f64> {
            let start = Instant::now();
            stage::pass(subject, workload)?;
            Ok(start.elapsed().as_nanos() as f64 / operations)
        };
        let start = Instant::now();
        let warm_up = timed()?;
        if start.elapsed() > ENOUGH {
            return Ok(warm_up);
        }
        let mut figures = Vec::new();
        let start = Instant::now();
        while start.elapsed() < self.budget || figures.len() < 3 && start.elapsed() < ENOUGH {
            figures.push(timed()?);
        }
        Ok(median(&figures).expect("one pass at least"))
    }
}
