//! What the reader and other programs see of a run: lines on a terminal, JSON lines, JUnit XML.

mod json;
mod junit;
mod terminal;

pub use json::JsonLines;
pub use junit::JUnit;
pub use terminal::{Style, Terminal};

use std::io;
use std::time::Duration;

use crate::suite::Happened;
use crate::tally::Tally;

/// A form of report.
pub trait Report {
    /// Takes the next thing that happened.
    ///
    /// # Errors
    ///
    /// It could not be written.
    fn happened(&mut self, happened: &Happened<'_>) -> io::Result<()>;

    /// Takes the end of the run: its sum, and how long it took.
    ///
    /// # Errors
    ///
    /// It could not be written.
    fn end(&mut self, tally: &Tally, took: Duration) -> io::Result<()>;
}

#[cfg(test)]
mod tests;
