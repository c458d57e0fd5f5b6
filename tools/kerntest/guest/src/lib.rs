//! The kernel's half of `kerntest`: runs the cases that the host asks for, and writes the protocol
//! of the README beside this crate.
//!
//! ```text
//!   run        prints, runs, counts around each case, adds up
//!   fail_nth   refuses each request of a workload in turn
//!  ──────────────────────────────────────────────────────────────────
//!   check      ensure!, ensure_eq!: where, expected, found
//!   evidence   a step that shows what it checks
//!   select     which cases: filter, exact, skip
//!   during     what a case does, for a report on a crash
//!   balance    counts that a case must leave as they were
//!   place      places as `tests/fit.rs:12:5`
//!  ──────────────────────────────────────────────────────────────────
//!   qemu       ends a machine, reads options: isa-debug-exit, fw_cfg, semihosting, sifive_test
//! ```
//!
//! A kernel implements [`Kernel`] (where text goes, where options come from, what is counted),
//! lists its cases, calls [`run`], and ends the machine with the status that it returns:
//!
//! ```
//! use kerntest_guest::{Case, CaseResult, Kernel, Run, Suite, ensure_eq, run};
//!
//! struct Board;
//!
//! impl Kernel for Board {
//!     fn write(&mut self, text: &str) {
//!         print!("{text}"); // a kernel writes to its serial port
//!     }
//! }
//!
//! fn adds() -> CaseResult {
//!     ensure_eq!(2 + 2, 4);
//!     Ok(())
//! }
//!
//! let cases = [Case { name: "arithmetic::adds", run: Run::Function(adds) }];
//! let exit = run(&mut Board, &Suite::of(&cases));
//! assert_eq!(exit.status(), 33);
//! // `kerntest_guest::qemu::isa_debug_exit(exit)` ends a PC.
//! ```
//!
//! A panic handler writes `PANIC: message` on a line of its own, further lines behind two spaces,
//! and ends the machine with [`Exit::Panic`]; [`panicked`] writes that. A handler of faults does it
//! with `FAULT:` and [`Exit::Fault`].
//!
//! Nothing here allocates.

#![cfg_attr(not(test), no_std)]

mod balance;
mod check;
mod during;
mod evidence;
mod fail_nth;
mod first_failed;
mod place;
pub mod qemu;
mod run;
mod select;
mod shorten;

pub use balance::{Balance, Count, MOST_COUNTS};
#[doc(hidden)]
pub use check::fail;
pub use check::{CaseResult, Failed, OrFail};
pub use during::{during, last as last_doing};
pub use evidence::{Evidence, Missing, Shown};
pub use fail_nth::{Refusal, fail_nth};
pub use place::{Message, Place};
pub use run::{Kernel, MOST_CASES, panicked, run};
pub use select::Selection;
pub use shorten::Shorten;

use core::iter::{self, Empty};

/// A test case.
#[derive(Clone, Copy)]
pub struct Case {
    /// Its name, as `module::function`, without white space.
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
    /// Shows evidence, all of which must hold.
    Step(fn(&mut Evidence<'_>) -> Shown),
    /// Does not run here, for this reason.
    HostOnly(&'static str),
}

/// All that a suite can run.
#[derive(Clone, Copy)]
pub struct Suite<'a, S = Empty<Case>> {
    /// Cases in any order: they run by name. There are at most [`MOST_CASES`].
    pub cases: &'a [Case],
    /// Cases that run after the others, in this order.
    pub steps: S,
    /// Modules whose cases all are [`Run::HostOnly`], with the reasons.
    pub host_only: &'a [(&'a str, &'a str)],
}

impl<'a> Suite<'a> {
    /// These cases and no others.
    pub const fn of(cases: &'a [Case]) -> Self {
        Self { cases, steps: iter::empty(), host_only: &[] }
    }
}

/// How a kernel ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Exit {
    /// All is well.
    Passed = 0x10,
    /// The run is complete, but cases failed.
    Failed = 0x11,
    /// The kernel panicked.
    Panic = 0x12,
    /// A fault came that nothing could serve.
    Fault = 0x13,
}

impl Exit {
    /// QEMU's exit status: 33, 35, 37 or 39.
    pub const fn status(self) -> u32 {
        (self as u32) << 1 | 1
    }
}
