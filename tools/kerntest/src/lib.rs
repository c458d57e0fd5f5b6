//! Boots a test kernel under QEMU, judges each of its cases, and resumes after a crash.
//!
//! ```text
//!   report ── terminal · json · junit    what the reader and other programs see  (feature `cli`)
//!   suite                                which cases; boots again after each crash
//!  ───────────────────────────────────────────────────────────────
//!   judge ── protocol                    bytes from the serial port → events → verdicts   (pure)
//!   names                                addresses of a back-trace → functions
//!   machine                              QEMU: platforms, limits, how many at a time
//!   tally                                what passed, what failed and how
//! ```
//!
//! The protocol, the options that a kernel gets, and the exit statuses are in the crate's README.
//! The crate `kerntest-guest` is the kernel's half.
//!
//! Rules:
//! - What decides between *passed* and *failed* does no input or output, so that its tests can feed
//!   it any failure.
//! - Silence is never success: a suite that ran no test, or whose summary does not fit its lines,
//!   has failed.
//! - Nothing is retried: a case that crashed the kernel has failed, and the next boot begins behind
//!   it.

pub mod judge;
pub mod machine;
pub mod names;
pub mod protocol;
#[cfg(feature = "cli")]
pub mod report;
pub mod suite;
pub mod tally;

pub use machine::{Accel, Channel, Limits, Machine, Platform, Progress};
pub use suite::{Happened, Selection, Suite};
pub use tally::{Failure, Kind, Tally};
