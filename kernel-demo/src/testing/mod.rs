//! What `kerntest-guest`, the framework that runs cases, needs of this kernel: its console, its
//! options, and its frames, which each case must leave as they were.
//!
//! | part | contract |
//! |---|---|
//! | `frames.rs` | counts frames around each case, and makes each request for one fail in turn |
//! | `interrupts.rs` | breakpoints are counted, and ticks that come while the kernel runs can be handled |
//! | `probe.rs` | single accesses, made to see whether they fault |
//! | `single_step.rs` | a handler after every instruction |
//! | `stack.rs` | code on a stack of its own, which may overflow |

#[cfg(not(test))]
mod frames;
#[cfg(not(test))]
pub mod interrupts;
#[cfg(not(test))]
pub mod probe;
#[cfg(not(test))]
pub mod single_step;
#[cfg(not(test))]
mod stack;

pub use kerntest_guest::{Case, CaseResult, Failed, MOST_CASES, OrFail, Run, during};
#[cfg(not(test))]
pub(crate) use kerntest_guest::{Message, Place, last_doing};

#[cfg(not(test))]
pub use self::frames::{Balance, fail_nth, run};
#[cfg(not(test))]
pub use self::stack::on_stack;

#[cfg(not(test))]
use core::panic::Location;

use crate::evidence::{Chapter, Step};

/// All that a suite can run.
#[derive(Clone, Copy)]
pub struct Suite<'a> {
    /// Cases in any order: they run by name. There are at most [`MOST_CASES`].
    pub cases: &'a [Case],
    /// The tour, whose steps are cases, after all others.
    pub tour: &'a [Chapter],
    /// Modules whose cases all are [`Run::HostOnly`], with the reasons.
    pub host_only: &'a [(&'a str, &'a str)],
}

impl From<&Step> for Case {
    fn from(step: &Step) -> Self {
        Self { name: step.name, run: Run::Step(step.show) }
    }
}

/// Returns a place in the source to print, relative to the project's root.
#[cfg(not(test))]
pub(crate) fn place<'a>(location: &'a Location<'a>) -> Place<'a> {
    Place { location, package: env!("CARGO_MANIFEST_DIR") }
}
