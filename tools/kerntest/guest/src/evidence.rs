//! The evidence of one step.

use core::fmt::{self, Display, Write};

use super::Shorten;

/// Something that a step needs was not there. It is recorded as a failed check already.
#[derive(Debug)]
pub struct Missing;

/// What a step returns: it ran to its end, or something was missing.
pub type Shown = Result<(), Missing>;

/// The evidence of one step.
pub struct Evidence<'out> {
    out: Shorten<'out>,
    /// Whether a sentence has told what the evidence is for.
    told: bool,
    checks: usize,
    failed: usize,
}

impl<'out> Evidence<'out> {
    /// No evidence yet; it will be printed to `out`.
    pub const fn new(out: &'out mut dyn Write) -> Self {
        Self { out: Shorten::new(out), told: false, checks: 0, failed: 0 }
    }

    /// The number of checks, and of those that failed. To have checked nothing is a failed check.
    pub fn finish(mut self) -> (usize, usize) {
        if self.checks == 0 {
            self.failure(format_args!("checks of this claim: expected at least one, found none"));
        }
        (self.checks, self.failed)
    }

    /// Prints the sentence that tells what happens. It precedes each piece of evidence.
    pub fn say(&mut self, sentence: fmt::Arguments<'_>) {
        self.told = true;
        self.out.forget();
        self.print(format_args!("  {sentence}"));
    }

    /// Prints a line of evidence.
    pub fn show(&mut self, line: fmt::Arguments<'_>) {
        self.expect_sentence();
        self.print(format_args!("    {line}"));
    }

    /// Checks that something is as the claim says. Prints both values if it is not.
    pub fn expect<T: PartialEq + Display>(&mut self, what: &str, expected: T, found: T) {
        self.expect_sentence();
        if expected == found {
            self.success(format_args!("{what}: {found}"));
        } else {
            self.failure(format_args!("{what}: expected {expected}, found {found}"));
        }
    }

    /// [`expect`](Self::expect) of addresses and other values that are read in hexadecimal.
    pub fn expect_hex(&mut self, what: &str, expected: u64, found: u64) {
        self.expect(what, Hex(expected), Hex(found));
    }

    /// Checks that a quantity is not below `least`.
    pub fn expect_at_least<T: PartialOrd + Display>(&mut self, what: &str, least: T, found: T) {
        self.expect_sentence();
        if found >= least {
            self.success(format_args!("{what}: {found} (at least {least})"));
        } else {
            self.failure(format_args!("{what}: expected at least {least}, found {found}"));
        }
    }

    /// Checks a statement.
    pub fn expect_that(&mut self, statement: &str, holds: bool) {
        self.expect_sentence();
        if holds {
            self.success(format_args!("{statement}"));
        } else {
            self.failure(format_args!("{statement}: expected true, found false"));
        }
    }

    /// Checks what matters only if it does not hold: prints nothing otherwise.
    pub fn ensure<T: PartialEq + Display>(&mut self, what: &str, expected: T, found: T) {
        if expected == found {
            self.checks += 1;
        } else {
            self.failure(format_args!("{what}: expected {expected}, found {found}"));
        }
    }

    /// Returns the value that the rest of the step needs.
    ///
    /// # Errors
    ///
    /// There is none: recorded as a failed check, with the reason.
    pub fn need<T, E: Display>(&mut self, what: &str, found: Result<T, E>) -> Result<T, Missing> {
        found.map_err(|reason| {
            self.failure(format_args!("{what}: expected one, found none: {reason}"));
            Missing
        })
    }

    /// Evidence without a sentence is a failed check of the step.
    fn expect_sentence(&mut self) {
        if !self.told {
            self.told = true;
            self.failure(format_args!("sentences before this: expected one, found none"));
        }
    }

    fn success(&mut self, text: fmt::Arguments<'_>) {
        self.checks += 1;
        self.print(format_args!("    ok      {text}"));
    }

    fn failure(&mut self, text: fmt::Arguments<'_>) {
        self.checks += 1;
        self.failed += 1;
        self.print(format_args!("    FAILED  {text}"));
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        // A console that does not take it cannot be told so.
        let _ = writeln!(self.out, "{text}");
    }
}

/// A number that is printed in hexadecimal.
#[derive(PartialEq)]
struct Hex(u64);

impl Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
