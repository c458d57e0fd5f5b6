//! Evidence for the documents' claims: printed, checked, and summed up in a table.
//!
//! ```text
//!   [C12] Moving the break reserves addresses and takes no memory      Tour::show: one Step
//!     the break moves up by 1 GiB                                      Evidence::say
//!     ok      frames taken by the move: 0                              Evidence::expect
//!     FAILED  pages touched: expected 3, found 4
//!
//!   claim  shown by                                 result             Tour::finish
//!   C12    a page of a grown break is touched       FAILED (1 of 2 checks)
//! ```
//!
//! A step ends early when something that it cannot do without is missing ([`Evidence::need`]); that
//! is a failure like any other, and the tour goes on. Nothing here allocates.

use core::fmt::{self, Display, Write};

/// Steps that a tour can have.
const MAX_STEPS: usize = 48;

/// Something that a step needs was not there. It is recorded as a failed check already.
#[derive(Debug)]
pub struct Missing;

/// What a step returns: it ran to its end, or something was missing.
pub type Shown = Result<(), Missing>;

/// One step of a tour.
#[derive(Clone, Copy)]
pub struct Step {
    /// Its name as a test case, such as `claims::c12_first_touch`.
    pub name: &'static str,
    /// Which claim of the documents, such as `C12`.
    pub claim: &'static str,
    /// What it says.
    pub text: &'static str,
    /// What the step does to show it, for the summary.
    pub shown_by: &'static str,
    /// Gives the evidence.
    pub show: fn(&mut Evidence<'_>) -> Shown,
}

/// A line of the summary.
#[derive(Clone, Copy)]
struct Row {
    claim: &'static str,
    shown_by: &'static str,
    checks: usize,
    failed: usize,
}

/// A walk through the claims.
///
/// # Invariants
///
/// `rows[..len]` are the steps shown so far, each with at least one check.
pub struct Tour<'out> {
    out: &'out mut dyn Write,
    rows: [Row; MAX_STEPS],
    len: usize,
}

impl<'out> Tour<'out> {
    /// A tour that has shown nothing yet, and prints to `out`.
    pub const fn new(out: &'out mut dyn Write) -> Self {
        Self {
            out,
            rows: [Row { claim: "", shown_by: "", checks: 0, failed: 0 }; MAX_STEPS],
            len: 0,
        }
    }

    /// Shows a claim: prints it with its text, then the evidence, and keeps the result for the
    /// summary.
    ///
    /// # Panics
    ///
    /// After `MAX_STEPS` steps.
    pub fn show(&mut self, step: &Step) {
        let &Step { claim, text, shown_by, show, .. } = step;
        print_line(self.out, format_args!("\n[{claim}] {text}"));
        let mut evidence = Evidence::new(self.out);
        // What was missing has been recorded where it was needed.
        let _ = show(&mut evidence);
        let (checks, failed) = evidence.finish();
        self.rows[self.len] = Row { claim, shown_by, checks, failed };
        self.len += 1;
    }

    /// Prints the summary. `true` if there was evidence, and all of it held.
    pub fn finish(self) -> bool {
        let rows = &self.rows[..self.len];
        print_line(self.out, format_args!("\n{:<6} {:<66} result", "claim", "shown by"));
        for Row { claim, shown_by, checks, failed } in rows {
            match failed {
                0 => print_line(
                    self.out,
                    format_args!("{claim:<6} {shown_by:<66} ok ({checks} checks)"),
                ),
                _ => print_line(
                    self.out,
                    format_args!("{claim:<6} {shown_by:<66} FAILED ({failed} of {checks} checks)"),
                ),
            }
        }
        let shown = rows.iter().filter(|row| row.failed == 0).count();
        let checks: usize = rows.iter().map(|row| row.checks).sum();
        print_line(
            self.out,
            format_args!("\n{shown} of {} steps shown, {checks} checks", rows.len()),
        );
        !rows.is_empty() && shown == rows.len()
    }
}

/// The evidence of one step.
pub struct Evidence<'out> {
    out: &'out mut dyn Write,
    checks: usize,
    failed: usize,
}

impl<'out> Evidence<'out> {
    /// No evidence yet; it will be printed to `out`.
    pub const fn new(out: &'out mut dyn Write) -> Self {
        Self { out, checks: 0, failed: 0 }
    }

    /// The number of checks, and of those that failed. To have checked nothing is a failed check.
    pub fn finish(mut self) -> (usize, usize) {
        if self.checks == 0 {
            self.check(
                false,
                format_args!("checks of this claim: expected at least one, found none"),
            );
        }
        (self.checks, self.failed)
    }

    /// Prints a line that tells what happens.
    pub fn say(&mut self, text: fmt::Arguments<'_>) {
        print_line(self.out, format_args!("  {text}"));
    }

    /// Checks that something is as the claim says. Prints both values if it is not.
    pub fn expect<T: PartialEq + Display>(&mut self, what: &str, expected: T, found: T) {
        if expected == found {
            self.check(true, format_args!("{what}: {found}"));
        } else {
            self.check(false, format_args!("{what}: expected {expected}, found {found}"));
        }
    }

    /// The same for addresses and other values that are read in hexadecimal.
    pub fn expect_hex(&mut self, what: &str, expected: u64, found: u64) {
        self.expect(what, Hex(expected), Hex(found));
    }

    /// Checks that a quantity is not below `least`.
    pub fn expect_at_least<T: PartialOrd + Display>(&mut self, what: &str, least: T, found: T) {
        if found >= least {
            self.check(true, format_args!("{what}: {found} (at least {least})"));
        } else {
            self.check(false, format_args!("{what}: expected at least {least}, found {found}"));
        }
    }

    /// Checks a statement.
    pub fn expect_that(&mut self, statement: &str, holds: bool) {
        if holds {
            self.check(true, format_args!("{statement}"));
        } else {
            self.check(false, format_args!("{statement}: expected true, found false"));
        }
    }

    /// The value that the rest of the step needs.
    ///
    /// # Errors
    ///
    /// There is none: recorded as a failed check, with the reason.
    pub fn need<T, E: Display>(&mut self, what: &str, found: Result<T, E>) -> Result<T, Missing> {
        found.map_err(|reason| {
            self.check(false, format_args!("{what}: expected one, found none: {reason}"));
            Missing
        })
    }

    fn check(&mut self, holds: bool, text: fmt::Arguments<'_>) {
        self.checks += 1;
        self.failed += usize::from(!holds);
        print_line(self.out, format_args!("  {:<7} {text}", if holds { "ok" } else { "FAILED" }));
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

/// Prints a line. There is nobody to tell that a console does not take it.
fn print_line(out: &mut dyn Write, text: fmt::Arguments<'_>) {
    let _ = writeln!(out, "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(show: fn(&mut Evidence<'_>) -> Shown) -> (String, bool) {
        let mut text = String::new();
        let mut tour = Tour::new(&mut text);
        let first = |evidence: &mut Evidence<'_>| {
            evidence.expect("one", 1, 1);
            Ok(())
        };
        tour.show(&Step {
            name: "c1",
            claim: "C1",
            text: "one holds",
            shown_by: "a check",
            show: first,
        });
        tour.show(&Step {
            name: "c2",
            claim: "C2",
            text: "the case",
            shown_by: "the case's step",
            show,
        });
        let verdict = tour.finish();
        (text, verdict)
    }

    #[test]
    fn evidence_that_holds_is_shown_and_summed_up() {
        let (text, verdict) = run(|evidence| {
            evidence.say(format_args!("two and two"));
            evidence.expect("sum", 4, 2 + 2);
            evidence.expect_hex("address", 0x1000, 0x1000);
            evidence.expect_at_least("frames", 3, 3);
            evidence.expect_that("it moved", true);
            Ok(())
        });
        assert!(verdict);
        let lines = "\n[C2] the case\n  two and two\n  ok      sum: 4\n  ok      address: 0x1000\n  ok      frames: 3 (at least 3)\n  ok      it moved\n";
        assert!(text.contains(lines), "{text}");
        assert!(text.contains("ok (4 checks)\n"), "{text}");
        assert!(text.ends_with("\n2 of 2 steps shown, 5 checks\n"), "{text}");
    }

    #[test]
    fn evidence_that_does_not_hold_prints_both_values_and_fails_the_tour() {
        let (text, verdict) = run(|evidence| {
            evidence.expect("frames taken", 0, 3);
            evidence.expect("and then", 1, 1);
            evidence.expect_at_least("pages", 2, 1);
            evidence.expect_that("it moved", false);
            Ok(())
        });
        assert!(!verdict);
        assert!(
            text.contains("  FAILED  frames taken: expected 0, found 3\n  ok      and then: 1\n"),
            "{text}"
        );
        assert!(text.contains("  FAILED  pages: expected at least 2, found 1\n"), "{text}");
        assert!(text.contains("  FAILED  it moved: expected true, found false\n"), "{text}");
        assert!(text.contains("FAILED (3 of 4 checks)\n"), "{text}");
        assert!(text.ends_with("\n1 of 2 steps shown, 5 checks\n"), "{text}");
    }

    #[test]
    fn a_step_that_misses_something_fails_and_ends_there() {
        let (text, verdict) = run(|evidence| {
            let block: u32 = evidence.need("block", Err("out of memory"))?;
            evidence.expect("never reached", 0, block);
            Ok(())
        });
        assert!(!verdict);
        assert!(
            text.contains("  FAILED  block: expected one, found none: out of memory\n"),
            "{text}"
        );
        assert!(!text.contains("never reached"), "{text}");
    }

    #[test]
    fn a_step_without_a_check_and_a_tour_without_a_step_show_nothing() {
        let (text, verdict) = run(|_| Ok(()));
        assert!(!verdict);
        assert!(
            text.contains("FAILED  checks of this claim: expected at least one, found none"),
            "{text}"
        );
        assert!(!Tour::new(&mut String::new()).finish());
    }
}
