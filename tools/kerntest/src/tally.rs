//! What passed, what failed, and how.

use std::fmt;

/// How something failed. A reader acts differently on each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A kernel case found a value other than the one it expected, and said so, or panicked.
    Assertion,
    /// A case ended well, but kept something that is counted: frames, or a reservation of some.
    Leak,
    /// The kernel panicked.
    Panic,
    /// The CPU raised an exception that nothing in the kernel was meant to serve.
    Fault,
    /// The machine reset or locked up: an exception while delivering an exception.
    TripleFault,
    /// No verdict within the time that a case may take, and the kernel was silent.
    Hang,
    /// No verdict within the time that a case may take, though the kernel still wrote.
    TimeOut,
    /// The case began, and the kernel went on or ended without saying how it went.
    NoVerdict,
    /// A case that was to run, but the kernel could not be brought to run it.
    NotRun,
    /// What the kernel says does not fit together: a count, a summary, a name or the exit status.
    Contradiction,
    /// QEMU did not start, crashed, or ended with a status that no kernel sends.
    Emulator,
    /// Nothing was run where something was to be.
    Empty,
    /// Another kind, of what the caller runs beside kernels, in words for the reader.
    Other(&'static str),
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assertion => "assertion",
            Self::Leak => "leak",
            Self::Panic => "panic",
            Self::Fault => "unexpected CPU fault",
            Self::TripleFault => "triple fault",
            Self::Hang => "hang",
            Self::TimeOut => "time-out",
            Self::NoVerdict => "no verdict",
            Self::NotRun => "not run",
            Self::Contradiction => "contradictory report",
            Self::Emulator => "QEMU failed",
            Self::Empty => "no tests ran",
            Self::Other(words) => words,
        })
    }
}

/// One failure: what failed, how, and what there is to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The test, or the step if the step itself failed.
    pub name: String,
    /// How it failed.
    pub kind: Kind,
    /// Lines for the reader, without indentation.
    pub details: Vec<String>,
}

impl Failure {
    /// A failure of `name`, explained by `details`.
    pub fn new(name: impl Into<String>, kind: Kind, details: Vec<String>) -> Self {
        Self { name: name.into(), kind, details }
    }
}

impl fmt::Display for Failure {
    /// One line with name and kind, then the details, indented.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.kind)?;
        for line in &self.details {
            write!(f, "\n    {line}")?;
        }
        Ok(())
    }
}

/// The sum over any number of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many passed.
    pub passed: usize,
    /// Everything that failed, in the order in which it did.
    pub failures: Vec<Failure>,
}

impl Tally {
    /// One thing that passed.
    pub fn one_passed() -> Self {
        Self { passed: 1, failures: Vec::new() }
    }

    /// One thing that failed.
    pub fn one_failed(failure: Failure) -> Self {
        Self { passed: 0, failures: vec![failure] }
    }

    /// Counts `other` in.
    pub fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failures.extend(other.failures);
    }

    /// How many passed or failed.
    pub fn ran(&self) -> usize {
        self.passed + self.failures.len()
    }

    /// Did nothing fail? Says nothing about whether anything ran.
    pub fn is_clean(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Tally {
    /// `N passed, M failed`: the line that callers of `make test` read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failures.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_up_counts_both_and_keeps_the_order() {
        let mut sum = Tally::one_passed();
        sum.add(Tally::one_failed(Failure::new("a", Kind::Panic, vec![])));
        sum.add(Tally::one_failed(Failure::new("b", Kind::TimeOut, vec![])));
        assert_eq!(sum.to_string(), "1 passed, 2 failed");
        assert_eq!(sum.ran(), 3);
        assert_eq!(sum.failures[1].name, "b");
    }

    #[test]
    fn a_failure_shows_name_kind_and_details() {
        let failure = Failure::new("heap::x", Kind::Leak, vec!["3 frames".into()]);
        assert_eq!(failure.to_string(), "heap::x: leak\n    3 frames");
    }
}
