//! What keeps the tool from its work. A student's mistake is no error: it costs points.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Cause of a command that ended without its result.
#[derive(Debug)]
pub enum Error {
    /// No folder above the current one is the project.
    NoProject(PathBuf),
    /// A file could not be read or written.
    Io(PathBuf, io::Error),
    /// A table of `labs/` breaks a rule.
    Table(PathBuf, String),
    /// No lab has a number like this.
    NoLab(String),
    /// A stub does not fit the module that it is made of.
    Stub(PathBuf, String),
    /// A program of tests could not be started.
    Start(String, io::Error),
    /// A program that was given a test by name does not have it.
    NoTest(String),
    /// A student's folder has a file that replaces none of the lab's modules.
    NoModule(PathBuf),
    /// The project's own programs do not compile: what the compiler wrote.
    Build(String),
}

impl Error {
    /// Returns a function that makes the error of a file.
    pub fn at(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io(path.into(), error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoProject(path) => write!(f, "{} is not in brkalloc's tree", path.display()),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Table(path, what) | Self::Stub(path, what) => {
                write!(f, "{}: {what}", path.display())
            }
            Self::NoLab(number) => {
                write!(f, "LAB: there is no lab {number:?}; give one number, 1 to 10")
            }
            Self::Start(program, error) => write!(f, "{program} cannot be started: {error}"),
            Self::NoTest(name) => write!(f, "no test has the name {name}"),
            Self::NoModule(path) => {
                write!(f, "{} replaces no module of this lab: move it away", path.display())
            }
            Self::Build(output) => write!(f, "the project does not compile:\n{output}"),
        }
    }
}

impl std::error::Error for Error {}
