//! Evidence for the documents' claims: printed, checked, and summed up in a table.
//!
//! ```text
//!   The break, and mappings: C11 to C17                          Tour::open: a Chapter
//!
//!   [C12] Moving the break reserves addresses …                  Tour::show: a Claim
//!     The break moves up by 1 GiB, and no frame is taken.        Evidence::say: a sentence
//!         71  break   scratch 1 0xffff908000000000 -> …          Evidence::show
//!       ok      frames taken by the move: 0                      Evidence::expect
//!       FAILED  pages touched: expected 3, found 4
//!
//!   claim  shown by                              result          Tour::finish
//!   C12    1 GiB granted, three pages touched    FAILED (1 of 2 checks)
//! ```
//!
//! A sentence precedes each piece of evidence. What matters only if it does not hold is checked
//! with [`Evidence::ensure`], which is silent otherwise. Addresses are
//! [shortened](kerntest_guest::Shorten).
//!
//! A step ends early when something that it cannot do without is missing ([`Evidence::need`]); that
//! is a failure like any other, and the tour goes on. Nothing here allocates.

mod choice;
#[cfg(test)]
mod tests;

pub use self::choice::Choice;
pub use kerntest_guest::{Evidence, Missing, Shown};

use core::fmt::{self, Write};

/// Maximum number of claims that a tour can have.
const MAX_CLAIMS: usize = 48;

/// Claims that belong together.
#[derive(Clone, Copy)]
pub struct Chapter {
    /// What they are about.
    pub title: &'static str,
    /// The claims, in order.
    pub claims: &'static [Claim],
}

/// One claim of the documents.
#[derive(Clone, Copy)]
pub struct Claim {
    /// Its number, such as `C12`.
    pub number: &'static str,
    /// What it says.
    pub text: &'static str,
    /// What the steps do to show it, for the summary.
    pub shown_by: &'static str,
    /// The steps that show it, at least one.
    pub steps: &'static [Step],
}

/// One step of a claim.
#[derive(Clone, Copy)]
pub struct Step {
    /// Its name as a test case, such as `claims::c12_first_touch`.
    pub name: &'static str,
    /// Gives the evidence.
    pub show: fn(&mut Evidence<'_>) -> Shown,
}

/// A line of the summary.
#[derive(Clone, Copy)]
struct Row {
    number: &'static str,
    shown_by: &'static str,
    checks: usize,
    failed: usize,
}

/// A walk through the claims.
///
/// # Invariants
///
/// `rows[..len]` are the claims shown so far, each with at least one check.
pub struct Tour<'out> {
    out: &'out mut dyn Write,
    rows: [Row; MAX_CLAIMS],
    len: usize,
}

impl<'out> Tour<'out> {
    /// A tour that has shown nothing yet, and prints to `out`.
    pub const fn new(out: &'out mut dyn Write) -> Self {
        Self {
            out,
            rows: [Row { number: "", shown_by: "", checks: 0, failed: 0 }; MAX_CLAIMS],
            len: 0,
        }
    }

    /// Prints the title of a chapter.
    pub fn open(&mut self, chapter: &Chapter) {
        let numbers = || chapter.claims.iter().map(|claim| claim.number);
        let (first, last) = (numbers().next().unwrap_or(""), numbers().next_back().unwrap_or(""));
        print_line(self.out, format_args!("\n=== {}: {first} to {last} ===", chapter.title));
    }

    /// Shows a claim: prints it with its text, then the evidence, and keeps the result for the
    /// summary.
    ///
    /// # Panics
    ///
    /// After `MAX_CLAIMS` claims.
    pub fn show(&mut self, claim: &Claim) {
        let &Claim { number, text, shown_by, steps } = claim;
        print_line(self.out, format_args!("\n[{number}] {text}"));
        let mut row = Row { number, shown_by, checks: 0, failed: 0 };
        for step in steps {
            let mut evidence = Evidence::new(self.out);
            // What was missing has been recorded where it was needed.
            let _ = (step.show)(&mut evidence);
            let (checks, failed) = evidence.finish();
            row = Row { checks: row.checks + checks, failed: row.failed + failed, ..row };
        }
        self.rows[self.len] = row;
        self.len += 1;
    }

    /// Prints the summary. `true` if there was evidence, and all of it held.
    pub fn finish(self) -> bool {
        let rows = &self.rows[..self.len];
        print_line(self.out, format_args!("\n{:<6} {:<66} result", "claim", "shown by"));
        for Row { number, shown_by, checks, failed } in rows {
            match failed {
                0 => print_line(
                    self.out,
                    format_args!("{number:<6} {shown_by:<66} ok ({checks} checks)"),
                ),
                _ => print_line(
                    self.out,
                    format_args!("{number:<6} {shown_by:<66} FAILED ({failed} of {checks} checks)"),
                ),
            }
        }
        let shown = rows.iter().filter(|row| row.failed == 0).count();
        let checks: usize = rows.iter().map(|row| row.checks).sum();
        print_line(
            self.out,
            format_args!("\n{shown} of {} claims shown, {checks} checks", rows.len()),
        );
        !rows.is_empty() && shown == rows.len()
    }
}

/// Prints a line. A console that does not take it cannot be told so.
fn print_line(out: &mut dyn Write, text: fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}
