//! JUnit XML, as CI servers read it.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};

use super::Report;
use crate::suite::Happened;
use crate::tally::{Failure, Kind, Tally};

/// Collects a run, and writes it as one test suite in the end.
pub struct JUnit<W> {
    out: W,
    suite: TestSuite,
}

impl<W: Write> JUnit<W> {
    /// Writes to `out`. `name` is the suite's.
    pub fn new(out: W, name: &str) -> Self {
        Self { out, suite: TestSuite::new(name) }
    }

    /// Returns where it wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn case(&mut self, name: &str, failure: Option<&Failure>, took: Duration) {
        let status = failure.map_or_else(TestCaseStatus::success, status);
        let mut case = TestCase::new(name, status);
        case.set_time(took);
        if let Some((module, _)) = name.rsplit_once("::") {
            case.set_classname(module);
        }
        self.suite.add_test_case(case);
    }
}

/// A wrong result is a failure; what kept the kernel from one is an error.
fn status(failure: &Failure) -> TestCaseStatus {
    let kind = match failure.kind {
        Kind::Assertion | Kind::Leak => NonSuccessKind::Failure,
        _ => NonSuccessKind::Error,
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(failure.kind.to_string());
    if let Some(first) = failure.details.first() {
        status.set_message(first.as_str());
    }
    status.set_description(failure.details.join("\n"));
    status
}

impl<W: Write> Report for JUnit<W> {
    fn happened(&mut self, happened: &Happened<'_>) -> io::Result<()> {
        match *happened {
            Happened::Judged(result, took) => {
                self.case(&result.name, result.failure.as_ref(), took);
            }
            Happened::Failed(failure) => self.case(&failure.name, Some(failure), Duration::ZERO),
            Happened::Planned(_) | Happened::Boots(_) | Happened::Said(_) => {}
        }
        Ok(())
    }

    fn end(&mut self, _: &Tally, took: Duration) -> io::Result<()> {
        self.suite.set_time(took);
        let mut report = quick_junit::Report::new("kerntest");
        report.set_time(took);
        report.add_test_suite(self.suite.clone());
        report.serialize(&mut self.out).map_err(io::Error::other)?;
        self.out.flush()
    }
}
