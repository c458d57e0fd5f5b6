//! Builds the project's kernel images, boots them under QEMU, judges what they report, and adds up
//! every suite.
//!
//! ```text
//!   main · cli                         what was asked
//!  ───────────────────────────────────────────────────────────────
//!   steps · report                     everything `make test` does, in order; what the reader sees
//!   suite · tour · other_kernel        what to boot, and what a boot must show; readme: an excerpt of it
//!   on_linux                           the ring-3 programs where the verdicts are known
//!   size                               what the allocator takes of a small target
//!   cost                               what the system's side takes, in instructions
//!   killed                             builds that are killed, and the one after
//!   gdb                                a debugger on the kernel
//!  ───────────────────────────────────────────────────────────────
//!   judge ── protocol                  bytes from the serial port → events → verdicts   (pure)
//!   coverage ── libtest                lines from `cargo test` → cases, verdicts        (pure)
//!   elf                                bytes of a program → what it takes               (pure)
//!   names                              addresses of a back-trace → functions
//!  ───────────────────────────────────────────────────────────────
//!   image · programs                   what is built to be booted, and the ring-3 programs in it
//!   qemu ── kvm · turn · disk · patience   the emulator: how many at a time, how it gets at its image, how long it may be silent
//!   build ── cargo · process           builds that can be killed; compilers; any child
//!   project                            where things are
//!   digest                             has something changed?
//!   tally                              what passed, what failed and how
//! ```
//!
//! Rules of the room:
//! - A module names only modules on its own floor or below.
//! - What decides between *passed* and *failed* does no input or output, so that its tests can feed
//!   it any failure.
//! - Silence is never success: a suite that ran no test, or whose summary does not fit its lines,
//!   has failed.

mod build;
pub mod cargo;
mod cases;
pub mod cli;
pub mod cost;
pub mod coverage;
mod digest;
mod disk;
pub mod elf;
pub mod error;
pub mod gdb;
pub mod image;
pub mod judge;
pub mod killed;
mod kvm;
pub mod libtest;
mod names;
pub mod on_linux;
pub mod other_kernel;
mod patience;
pub mod process;
pub mod programs;
pub mod project;
pub mod protocol;
pub mod qemu;
pub mod readme;
pub mod report;
pub mod size;
pub mod steps;
pub mod suite;
pub mod tally;
pub mod tour;
mod turn;

pub use error::Error;
