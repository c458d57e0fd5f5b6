//! Builds the project's kernel images, boots them under QEMU, judges what they report, and adds up
//! every suite.
//!
//! ```text
//!   main · cli · values                what was asked
//!  ───────────────────────────────────────────────────────────────
//!   steps · report                     everything `make test` does, in order; what the reader sees
//!   demo_suite · tour                  what to boot, and what a boot must show; readme: an excerpt of it
//!   on_linux  preloaded                the ring-3 programs where the verdicts are known; a program of the host for the tour
//!   rules                              each rule of check() is left out, and a test notices
//!   unsafe_sites                       how much `unsafe` each room has, and what it cites
//!   size                               what the allocator takes of a small target
//!   cost                               what the system's side takes, in instructions
//!   killed                             builds that are killed, and the one after
//!   gdb                                a debugger on the kernel
//!   story                              what a run did to memory, as a page
//!  ───────────────────────────────────────────────────────────────
//!   coverage ── libtest                lines from `cargo test` → cases, verdicts        (pure)
//!   elf                                bytes of a program → what it takes               (pure)
//!  ───────────────────────────────────────────────────────────────
//!   image · programs · c               what is built to be booted, and the ring-3 programs in it
//!   build ── cargo · process           builds that can be killed; compilers; any child
//!   project                            where things are
//!   copied                             copies of the project, made of links
//!   digest                             has something changed?
//!   kinds                              kinds of failures that no kernel has
//! ```
//!
//! Machines, the judge and the sum of results are those of the crate `kerntest`.
//!
//! Rules of the room:
//! - A module names only modules on its own floor or below.
//! - What decides between *passed* and *failed* does no input or output, so that its tests can feed
//!   it any failure.
//! - Silence is never success: a suite that ran no test, or whose summary does not fit its lines,
//!   has failed.

mod build;
mod c;
pub mod cargo;
mod cases;
pub mod cli;
mod copied;
pub mod cost;
pub mod coverage;
pub mod demo_suite;
mod digest;
pub mod elf;
pub mod error;
pub mod examples;
pub mod gdb;
pub mod image;
pub mod killed;
mod kinds;
pub mod libtest;
pub mod live;
pub mod on_linux;
pub mod preloaded;
pub mod process;
pub mod programs;
pub mod project;
pub mod readme;
pub mod report;
pub mod rules;
pub mod size;
pub mod steps;
pub mod story;
pub mod tour;
pub mod unsafe_sites;
pub mod values;

pub use error::Error;
