//! A test framework for a kernel: output like libtest's, cases chosen at run time, frames counted
//! around each case.
//!
//! ```text
//!   run      prints, runs, counts frames, adds up          fail_nth   makes each frame request fail in turn
//!  ──────────────────────────────────────────────────────────────────
//!   check    ensure!, ensure_eq!: an error that says what, where, expected, found      first_failed   of a step's evidence
//!   select   which cases: filter, from                  during     what a case does, for the report if the kernel ends there
//!   place    places as `tests/fit.rs:12:5`
//!   probe    single accesses, made to see whether they fault      single_step  a handler after every instruction
//! ```
//!
//! A case is a function that returns an error when an expectation does not hold. The name is
//! printed before the case runs, the verdict after it: when a case takes the kernel down with it,
//! the last line says which. The machine's exit status is the verdict over all
//! ([`Exit`](crate::arch::qemu::Exit)).
//!
//! Options, read through [`qemu::option`](crate::arch::qemu::option): `filter`, substrings of
//! names, separated by commas; `from`, the index in the selected list to start at; `list`, which
//! prints the selected names and runs nothing; `list=host-only`, which prints what does not run
//! here and why.

mod check;
#[cfg(not(test))]
mod during;
#[cfg(not(test))]
mod fail_nth;
mod first_failed;
mod place;
#[cfg(not(test))]
pub mod probe;
#[cfg(not(test))]
mod run;
mod select;
#[cfg(not(test))]
pub mod single_step;

use crate::evidence::{Chapter, Evidence, Shown, Step};

#[doc(hidden)]
pub use check::fail;
pub use check::{CaseResult, Failed, OrFail};
#[cfg(not(test))]
pub use during::during;
#[cfg(not(test))]
pub(crate) use during::last as last_doing;
#[cfg(not(test))]
pub use fail_nth::fail_nth;
#[cfg(not(test))]
pub(crate) use place::Message;
pub(crate) use place::Place;
#[cfg(not(test))]
pub use run::{Balance, run};

/// A test case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, as `module::function`.
    pub name: &'static str,
    /// The test.
    pub run: Run,
}

/// What a case does.
#[derive(Clone, Copy)]
pub enum Run {
    /// Expects, and says what does not hold.
    Function(fn() -> CaseResult),
    /// Asserts, as a test on the host does. What does not hold is a panic, which ends the kernel.
    Assertions(fn()),
    /// Shows a claim: a step of the tour, of which all evidence must hold.
    Step(fn(&mut Evidence<'_>) -> Shown),
    /// Does not run here, for this reason.
    HostOnly(&'static str),
}

/// Most cases that a suite can have.
pub const MOST_CASES: usize = 1 << 12;

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
