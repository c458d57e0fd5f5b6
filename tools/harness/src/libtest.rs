//! Reads what `cargo test` writes and adds up its test programs. Pure.
//!
//! Each program writes `running N tests`, a line for each test, the output of those that failed,
//! and a summary. The summaries are what is added up; a program that ends without one has died and
//! counts as one failure.

use crate::kinds;
use kerntest::protocol;
use kerntest::tally::{Failure, Kind, Tally};

/// So many lines are kept of what a program that died, or a build that failed, has to say.
const MOST_LINES: usize = 60;

/// How a report of ThreadSanitizer begins, in the middle of whatever the tests write, and how it
/// ends.
const REPORT: &str = "WARNING: ThreadSanitizer";
const REPORT_END: &str = "SUMMARY: ThreadSanitizer";

/// Adds up the test programs of one `cargo test`.
#[derive(Debug, Default)]
pub struct Reader {
    tally: Tally,
    /// The program that runs, as cargo names it.
    program: String,
    /// Has it announced tests and not summed them up yet?
    open: bool,
    /// Has anything of it been counted as failed?
    failed: bool,
    /// How many summaries were read.
    summaries: usize,
    /// Failures of this program.
    failures: Vec<Failure>,
    /// The index in `failures` of the test whose output is being listed, or `None` inside a list
    /// without one.
    listing: Option<Option<usize>>,
    /// What came since the last line of a known form: if there is nothing after it, this is what
    /// went wrong.
    since: Vec<String>,
    /// What a sanitizer reported of this program, which may go on after it.
    report: Vec<String>,
    /// Is a report being written?
    reporting: bool,
}

impl Reader {
    /// Takes the next line of the merged output.
    pub fn line(&mut self, line: &str) {
        self.reporting |= line.starts_with(REPORT);
        if self.reporting && !is_verdict(line) {
            self.reporting = !line.starts_with(REPORT_END);
            if self.report.len() < MOST_LINES {
                self.report.push(line.to_owned());
            }
            return;
        }
        if let Some(name) = failed_output(line) {
            let failures = self.failures.iter();
            let index = failures.clone().position(|failure| failure.name == name);
            self.listing = Some(index);
        } else if let Some(index) = self.listing {
            // What a failing test wrote may look like anything; only this word ends it.
            if line == "failures:" {
                self.listing = None;
            } else if let Some(failure) = index.and_then(|index| self.failures.get_mut(index)) {
                failure.details.push(line.to_owned());
            }
        } else if let Some(name) = program(line) {
            self.close();
            self.since.clear();
            self.report.clear();
            self.failed = false;
            name.clone_into(&mut self.program);
        } else if protocol::running(line).is_some() {
            self.close();
            self.since.clear();
            self.open = true;
        } else if is_verdict(line) {
            self.since.clear();
            let name = failed_test(line);
            self.failures.extend(name.map(|name| Failure::new(name, kinds::HOST_TEST, Vec::new())));
        } else if let Some(summary) = protocol::summary(line) {
            self.summed_up(summary);
        } else if line.starts_with("error: test failed, to rerun pass") {
            self.ended_badly();
        } else if !is_progress(line) && self.since.len() < MOST_LINES {
            self.since.push(line.to_owned());
        }
    }

    /// Takes the end of `cargo test`. `success` is its exit status's word.
    pub fn finish(mut self, what: &str, success: bool) -> Tally {
        self.listing = None;
        self.close();
        let kind = match (success, self.tally.is_clean(), self.summaries) {
            (false, true, _) => Some(kinds::CHECK),
            (true, _, 0) => Some(Kind::Empty),
            _ => None,
        };
        if let Some(kind) = kind {
            self.tally.add(Tally::one_failed(Failure::new(what, kind, self.since)));
        }
        self.tally
    }

    fn summed_up(&mut self, summary: protocol::Summary) {
        self.open = false;
        self.failed |= summary.failed > 0;
        self.since.clear();
        self.summaries += 1;
        let mut failures = std::mem::take(&mut self.failures);
        failures.truncate(summary.failed);
        // A test may print so that its own line cannot be recognised; the summary still counts it.
        failures.resize_with(summary.failed, || {
            Failure::new(format!("{} (a test)", self.program), kinds::HOST_TEST, Vec::new())
        });
        for failure in &mut failures {
            let lines = &mut failure.details;
            let end = lines.iter().rposition(|line| !line.is_empty());
            lines.truncate(end.map_or(0, |last| last + 1));
        }
        self.tally.passed += summary.passed;
        self.tally.failures.extend(failures);
    }

    /// The program that was running is over. Without a summary, it died.
    fn close(&mut self) {
        if std::mem::take(&mut self.open) {
            self.failures.clear();
            self.program_failed(kinds::DIED);
        }
    }

    /// Cargo says that the program failed. If its tests have not shown that, it died, or its end
    /// did not go well: that is when a sanitizer reports leaks.
    fn ended_badly(&mut self) {
        if self.open {
            self.close();
        } else if !self.failed {
            self.program_failed(kinds::BAD_END);
        }
    }

    fn program_failed(&mut self, kind: Kind) {
        self.failed = true;
        let mut details = std::mem::take(&mut self.report);
        details.append(&mut self.since);
        self.tally.add(Tally::one_failed(Failure::new(&self.program, kind, details)));
    }
}

/// A line with which cargo tells what it does: a verb, right-aligned in twelve columns.
pub fn is_progress(line: &str) -> bool {
    const VERBS: [&str; 12] = [
        "Adding",
        "Blocking",
        "Building",
        "Checking",
        "Compiling",
        "Documenting",
        "Downloaded",
        "Downloading",
        "Executable",
        "Finished",
        "Locking",
        "Updating",
    ];
    line.get(..12).is_some_and(|column| VERBS.contains(&column.trim_start()))
}

/// The program in cargo's line `Running unittests src/lib.rs (target/…)` or `Doc-tests brkalloc`.
pub(crate) fn program(line: &str) -> Option<&str> {
    let line = line.strip_prefix("   ")?.trim_start();
    line.strip_prefix("Running ")
        .map(|name| name.split(" (").next().unwrap_or(name))
        .or_else(|| line.starts_with("Doc-tests ").then_some(line))
}

fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

fn failed_output(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

/// Is this line worth showing while the tests run?
pub fn is_verdict(line: &str) -> bool {
    let verdict = |line: &str| line.ends_with(" ... ok") || line.ends_with(" ... FAILED");
    line.starts_with("test ") && verdict(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(output: &str, success: bool) -> Tally {
        let mut reader = Reader::default();
        output.lines().for_each(|line| reader.line(line));
        reader.finish("host tests", success)
    }

    const ONE: &str = "     Running unittests src/lib.rs (target/debug/deps/x)\n\nrunning 2 tests\ntest a ... ok\ntest b ... ok\n\n\
                       test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";

    #[test]
    fn the_summaries_of_all_programs_are_added() {
        let doc = "   Doc-tests x\n\nrunning 1 test\ntest src/lib.rs - (line 3) ... ok\n\n\
                   test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out\n";
        assert_eq!(
            read(&format!("   Compiling x\n{ONE}{doc}"), true).to_string(),
            "3 passed, 0 failed"
        );
    }

    #[test]
    fn a_failure_keeps_what_the_test_wrote_even_if_that_looks_like_a_summary() {
        let tally = read(
            "     Running tests/x.rs (target/x)\n\nrunning 2 tests\ntest a ... ok\ntest m::b ... FAILED\n\nfailures:\n\n\
             ---- m::b stdout ----\n\nthread 'm::b' panicked at x.rs:1\n\
             test result: ok. 9 passed; 0 failed; 0 ignored\n\n\nfailures:\n    m::b\n\n\
             test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\nerror: test failed\n",
            false,
        );
        assert_eq!(tally.passed, 1);
        let failure = &tally.failures[0];
        assert_eq!((failure.name.as_str(), failure.kind), ("m::b", kinds::HOST_TEST));
        assert_eq!(
            failure.details[1..],
            ["thread 'm::b' panicked at x.rs:1", "test result: ok. 9 passed; 0 failed; 0 ignored"]
        );
    }

    #[test]
    fn a_program_that_dies_is_one_failure_and_the_others_still_count() {
        let dead = "     Running tests/dead.rs (target/d)\n\nrunning 7 tests\ntest a ... ok\n==1==ERROR: AddressSanitizer\n";
        for output in [format!("{dead}{ONE}"), format!("{ONE}{dead}")] {
            let tally = read(&output, false);
            assert_eq!((tally.passed, tally.failures.len()), (2, 1));
            assert_eq!(tally.failures[0].name, "tests/dead.rs");
            assert_eq!(tally.failures[0].kind, kinds::DIED);
        }
    }

    #[test]
    fn what_a_dead_program_wrote_last_is_kept_from_its_start() {
        let report: String = (0..100).map(|number| format!("report {number}\n")).collect();
        let tally = read(
            &format!("     Running tests/x.rs (t)\nrunning 2 tests\ntest a ... ok\n{report}"),
            false,
        );
        assert_eq!(tally.failures[0].details.len(), MOST_LINES);
        assert_eq!(tally.failures[0].details[0], "report 0");
    }

    #[test]
    fn a_program_that_fails_after_its_summary_is_one_failure_even_beside_others() {
        let leak = "==1==ERROR: LeakSanitizer: detected memory leaks\nerror: test failed, to rerun pass `--lib`\n";
        let tally = read(&format!("{ONE}{leak}{ONE}{leak}{ONE}"), false);
        assert_eq!((tally.passed, tally.failures.len()), (6, 2));
        assert_eq!(tally.failures[1].kind, kinds::BAD_END);
        assert_eq!(tally.failures[1].details, ["==1==ERROR: LeakSanitizer: detected memory leaks"]);
    }

    #[test]
    fn a_race_is_shown_though_the_tests_go_on() {
        let tally = read(
            "     Running tests/x.rs (t)\nrunning 2 tests\n==================\nWARNING: ThreadSanitizer: data race (pid=1)\n  Write of size 8\n\
             test a ... ok\n  Previous read\nSUMMARY: ThreadSanitizer: data race x.rs:1\ntest b ... ok\n\n\
             test result: ok. 2 passed; 0 failed; 0 ignored\n\nThreadSanitizer: reported 1 warnings\nerror: test failed, to rerun pass `--test x`\n",
            false,
        );
        assert_eq!(
            (tally.passed, tally.failures.len(), tally.failures[0].kind),
            (2, 1, kinds::BAD_END)
        );
        let starts: Vec<_> = tally.failures[0]
            .details
            .iter()
            .map(|line| line.split_whitespace().next().unwrap_or(""))
            .collect();
        assert_eq!(starts, ["WARNING:", "Write", "Previous", "SUMMARY:", "", "ThreadSanitizer:"]);
    }

    #[test]
    fn a_program_whose_tests_failed_is_not_counted_again_for_its_status() {
        let tally = read(
            "     Running tests/x.rs (t)\nrunning 1 test\ntest b ... FAILED\n\nfailures:\n\nfailures:\n    b\n\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored\n\nerror: test failed, to rerun pass `--test x`\n",
            false,
        );
        assert_eq!((tally.failures.len(), tally.failures[0].kind), (1, kinds::HOST_TEST));
    }

    #[test]
    fn a_build_that_fails_is_one_failure_that_shows_why() {
        let tally = read("error[E0425]: cannot find value `x`\n", false);
        assert_eq!(tally.failures[0].kind, kinds::CHECK);
        assert_eq!(tally.failures[0].details, ["error[E0425]: cannot find value `x`"]);
    }

    #[test]
    fn success_without_a_single_summary_is_a_failure() {
        assert_eq!(read("    Finished `test`\n", true).failures[0].kind, Kind::Empty);
    }

    #[test]
    fn a_failure_that_only_the_summary_knows_still_counts() {
        let tally = read(
            "     Running tests/x.rs (target/x)\nrunning 1 test\nnoise test b ... FAILED\n\
             test result: FAILED. 0 passed; 1 failed; 0 ignored\n",
            false,
        );
        assert_eq!(tally.failures[0].name, "tests/x.rs (a test)");
    }

    #[test]
    fn only_verdicts_are_worth_showing() {
        assert!(is_verdict("test a ... ok") && is_verdict("test a - (line 3) ... FAILED"));
        assert!(!is_verdict("test result: ok. 1 passed") && !is_verdict("   Compiling x"));
    }
}
