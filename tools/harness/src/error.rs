//! What can keep the harness from doing its work. A test that fails is no error; it is a
//! [`Failure`](kerntest::tally::Failure).

use std::fmt;
use std::io;
use std::path::PathBuf;

/// What can keep the harness from doing its work.
#[derive(Debug)]
pub enum Error {
    /// What was asked for excludes itself, for this reason.
    Usage(String),
    /// Neither this directory nor one above it is the project.
    NoProject(PathBuf),
    /// The set-up has not been run: this file cannot be read.
    NoSetup(PathBuf, io::Error),
    /// The set-up's file has no such entry.
    IncompleteSetup(PathBuf, &'static str),
    /// A program could not be run.
    Run(String, io::Error),
    /// An image could not be built; what the build wrote.
    Build(String, Vec<String>),
    /// `ACCEL=kvm` was asked for, and does not work here, for this reason.
    NoKvm(String),
    /// A file could not be written.
    Write(PathBuf, io::Error),
    /// Ctrl-C ended it; the kernel has said so.
    Interrupted,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(reason) => f.write_str(reason),
            Self::NoProject(from) => {
                write!(
                    f,
                    "found no x86_64-target.json in {} or above it: run this inside the project",
                    from.display()
                )
            }
            Self::NoSetup(path, error) => {
                write!(f, "cannot read {}: {error}; run `make setup` first", path.display())
            }
            Self::IncompleteSetup(path, key) => {
                write!(f, "{} has no entry {key}; run `make setup` again", path.display())
            }
            Self::Run(program, error) => write!(f, "cannot run {program}: {error}"),
            Self::Build(what, output) => {
                write!(f, "could not build {what}:")?;
                output.iter().try_for_each(|line| write!(f, "\n    {line}"))
            }
            Self::NoKvm(reason) => write!(
                f,
                "ACCEL=kvm does not work here: {reason}; leave ACCEL out for QEMU's software emulation"
            ),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::NoSetup(_, error) | Self::Run(_, error) | Self::Write(_, error) => Some(error),
            Self::Usage(_)
            | Self::Interrupted
            | Self::NoProject(_)
            | Self::IncompleteSetup(..)
            | Self::Build(..)
            | Self::NoKvm(_) => None,
        }
    }
}
