//! What the host suites share. They run in the kernel as well: `tests/qemu/common.rs` takes in the
//! same files, but for `platform`.
//!
//! ```text
//!   a case  ──►  Driver  ──►  heap under test  ──►  TestBreak      a break with every bad habit, on request
//!                  │                                    │
//!                Oracle                             platform       the memory it moves in: an allocation, or addresses
//!                knows every live block                            that pages appear at when they are touched
//!                and what it must contain
//! ```
//!
//! Rules of this folder: `platform` is all that may name std, and `threads`, which is for the host
//! alone; `prelude` has what suites would miss of it.

#![allow(dead_code, unused_imports, unused_macros, reason = "each suite uses its own part")]

pub mod driver;
pub mod misuse;
pub mod ops;
pub mod oracle;
pub mod platform;
pub mod prelude;
pub mod profile;
pub mod program;
pub mod property;
pub mod regions;
pub mod seeds;
pub mod small;
pub mod stepping;
pub mod subject;
pub mod test_break;
pub mod test_map;
pub mod threads;

pub(crate) use ::case_finder::case;
pub(crate) use platform::host_only;
