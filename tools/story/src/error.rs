//! What can keep a page from being made.

use std::path::PathBuf;
use std::{fmt, io};

use story_record::Malformed;

/// What can keep a page from being made.
#[derive(Debug)]
pub enum Error {
    /// A file cannot be read.
    Read(PathBuf, io::Error),
    /// The page cannot be written.
    Write(PathBuf, io::Error),
    /// The records of a file are not whole.
    Records(PathBuf, Malformed),
    /// The story in a file does not end: the machine stopped before.
    Cut(PathBuf),
    /// The list of questions cannot be read.
    Questions(String),
    /// A question is about a line that its claim does not print.
    NoSuchLine(String, String),
    /// The modules of the viewer cannot be joined.
    Bundle(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Write(path, error) => write!(f, "cannot write {}: {error}", path.display()),
            Self::Records(path, Malformed::Cut { after }) => {
                write!(f, "{}: it ends inside of record {after}", path.display())
            }
            Self::Records(path, Malformed::Lost { after }) => {
                write!(f, "{}: record {after} is missing", path.display())
            }
            Self::Cut(path) => {
                write!(f, "{}: the story has no end: the machine stopped before", path.display())
            }
            Self::Questions(reason) => write!(f, "the questions: {reason}"),
            Self::NoSuchLine(claim, line) => {
                write!(f, "the questions: {claim} prints no figure {line:?}")
            }
            Self::Bundle(reason) => write!(f, "the viewer: {reason}"),
        }
    }
}

impl std::error::Error for Error {}
