//! Judges one boot of a test kernel: events in, verdicts out. Pure: no input, no output, no clock.
//!
//! ```text
//!   serial bytes ─→ Parser ─→ Events ─┐
//!                                     ├─→ Judge ─→ Boot { results, failure, finished }
//!   how QEMU ended ─→ Ending ─────────┘
//! ```
//!
//! What happened is told from two sides, by what the kernel wrote and by how QEMU ended, and
//! neither is believed alone:
//!
//! | written             | QEMU ended with   | the running case is, or the boot if none was running |
//! |---------------------|-------------------|--------------------------------------------------|
//! | `FAILED`            |                   | failed: assertion, or leak if the details say so |
//! | `PANIC:`            | any               | failed: panic, or assertion if it says so        |
//! | `FAULT:`            | any               | failed: unexpected CPU fault                     |
//! |                     | 37, 39            | the same, without a message                      |
//! |                     | 0                 | failed: triple fault, or a lock-up; no status was sent |
//! |                     | stopped           | failed: hang if it was silent, else time-out     |
//! |                     | anything else     | failed: QEMU                                     |
//! | a summary           | 33, 35            | finished, if summary, lines and status agree     |
//!
//! A crash costs the case it happens in; [`crate::suite`] boots again for the rest.

mod ending;

pub use ending::{Ending, exit};

use crate::protocol::{Event, Parser, Summary};
use crate::tally::{Failure, Kind, Tally};

/// No more lines than these are kept of a case, or of what was written outside any case.
const MOST_LINES: usize = 40;

/// How the message of an assertion begins that panicked without a text of its own.
const ASSERTION: &str = "assertion ";

/// Whether a panic's message is that of an assertion without a text of its own.
pub fn is_assertion(message: &str) -> bool {
    message.starts_with(ASSERTION)
}

/// Whether the first detail of a failure says that the case kept something: `frame leak: 3 …`.
fn is_leak(detail: &str) -> bool {
    let mut words = detail.splitn(3, ' ');
    words.next().is_some() && words.next() == Some("leak:")
}

/// One case and how it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// The case's full name, `module::case`.
    pub name: String,
    /// `None` if it passed.
    pub failure: Option<Failure>,
}

/// What one boot showed.
#[derive(Debug, PartialEq, Eq)]
pub struct Boot {
    /// The cases that began, in order.
    pub results: Vec<CaseResult>,
    /// What went wrong outside any case.
    pub failure: Option<Failure>,
    /// Did the kernel get through all its cases? If not, those after `results` have not run.
    pub finished: bool,
}

impl Boot {
    /// Adds up this boot's cases, and its own failure if there is one.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for result in &self.results {
            match &result.failure {
                None => tally.passed += 1,
                Some(failure) => tally.failures.push(failure.clone()),
            }
        }
        tally.failures.extend(self.failure.clone());
        tally
    }
}

/// Collects what one boot says.
#[derive(Debug, Default)]
pub struct Judge {
    parser: Parser,
    announced: Option<usize>,
    results: Vec<CaseResult>,
    /// The case that is running: its name, and what was written since it began.
    open: Option<(String, Vec<String>)>,
    /// What the kernel says ended it.
    crash: Option<(Kind, Vec<String>)>,
    summary: Option<Summary>,
    /// Lines outside any case: boot messages.
    loose: Vec<String>,
    /// Does what follows belong to the last failed case?
    explaining: bool,
    contradictions: Vec<String>,
}

impl Judge {
    /// Takes bytes from the serial port and returns the events they completed, for whoever wants to
    /// show them.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Event> {
        let events = self.parser.feed(bytes);
        events.iter().cloned().for_each(|event| self.take(event));
        events
    }

    /// The number of cases that the kernel announced.
    pub fn announced(&self) -> Option<usize> {
        self.announced
    }

    /// Takes the end of the boot and gives the verdict on it. `what` names the boot in failures
    /// outside any case.
    pub fn finish(&mut self, what: &str, ending: &Ending) -> Boot {
        let rest = self.parser.finish();
        rest.into_iter().for_each(|event| self.take(event));
        match self.cause(ending) {
            Some((kind, details)) => self.crashed(what, kind, details),
            None => self.ended(what, ending),
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Running(number) => {
                if self.announced.replace(number).is_some() {
                    self.contradictions.push("the kernel began its suite twice".into());
                }
            }
            Event::Began(name) => {
                self.close_without_verdict("the next case began");
                self.explaining = false;
                if self.summary.is_some() {
                    self.contradictions.push(format!("{name} began after the summary"));
                }
                self.open = Some((name, Vec::new()));
            }
            Event::Verdict(passed) => self.verdict(passed),
            Event::Detail(line) | Event::Other(line) => self.line(line),
            Event::Panic(message) => self.crash(Kind::Panic, message),
            Event::Fault(summary) => self.crash(Kind::Fault, summary),
            Event::Summary(summary) => {
                self.close_without_verdict("the summary came");
                self.explaining = false;
                self.summary = Some(summary);
            }
        }
    }

    fn verdict(&mut self, passed: bool) {
        let Some((name, lines)) = self.open.take() else {
            self.contradictions.push("a verdict came while no case was running".into());
            return;
        };
        self.explaining = !passed;
        let failure = (!passed).then(|| Failure::new(&name, Kind::Assertion, lines));
        self.results.push(CaseResult { name, failure });
    }

    /// A line that is no step of the protocol: it belongs to whatever is going on.
    fn line(&mut self, line: String) {
        let lines = if let Some((_, details)) = &mut self.crash {
            details
        } else if let Some((_, lines)) = &mut self.open {
            lines
        } else if self.explaining {
            let last = self.results.last_mut();
            let Some(failure) = last.and_then(|result| result.failure.as_mut()) else {
                return;
            };
            if failure.details.is_empty() && is_leak(&line) {
                failure.kind = Kind::Leak;
            }
            &mut failure.details
        } else {
            &mut self.loose
        };
        if lines.len() < MOST_LINES {
            lines.push(line);
        }
    }

    /// The first report of a crash counts; one that follows is a detail of it.
    fn crash(&mut self, kind: Kind, message: String) {
        match self.crash {
            None => self.crash = Some((kind, vec![message])),
            Some(_) => self.line(format!("and then: {kind}: {message}")),
        }
    }

    fn close_without_verdict(&mut self, because: &str) {
        if let Some((name, mut details)) = self.open.take() {
            details.insert(0, format!("{because} before this one's verdict"));
            let failure = Some(Failure::new(&name, Kind::NoVerdict, details));
            self.results.push(CaseResult { name, failure });
        }
    }

    /// What ended the boot early, if anything did: the kernel's own word first, else what QEMU's
    /// end tells.
    fn cause(&mut self, ending: &Ending) -> Option<(Kind, Vec<String>)> {
        let told = ending.cause();
        let Some((kind, mut details)) = self.crash.take() else {
            return told;
        };
        if told.as_ref().map(|&(kind, _)| kind) != Some(kind) {
            details.push(format!("then, against what such a report should end with: {ending}"));
        }
        let asserts =
            kind == Kind::Panic && details.first().is_some_and(|message| is_assertion(message));
        Some((if asserts { Kind::Assertion } else { kind }, details))
    }

    /// The boot ended early. The running case is to blame, or else the boot itself.
    fn crashed(&mut self, what: &str, kind: Kind, mut details: Vec<String>) -> Boot {
        let finished = self.summary.is_some();
        let failure = match self.open.take() {
            Some((name, lines)) => {
                details.extend(lines);
                let failure = Some(Failure::new(&name, kind, details));
                self.results.push(CaseResult { name, failure });
                None
            }
            None => {
                details.append(&mut self.loose);
                Some(Failure::new(what, kind, details))
            }
        };
        let failure = match (failure, self.contradiction(what)) {
            (Some(mut failure), Some(contradiction)) => {
                failure.details.extend(contradiction.details);
                Some(failure)
            }
            (failure, contradiction) => failure.or(contradiction),
        };
        Boot { results: std::mem::take(&mut self.results), failure, finished }
    }

    /// The kernel ended the boot on purpose. Everything it said must fit together.
    fn ended(&mut self, what: &str, ending: &Ending) -> Boot {
        self.close_without_verdict("the kernel ended");
        let failed = self.results.iter().filter(|result| result.failure.is_some()).count();
        let passed = self.results.len() - failed;

        match self.announced {
            None => self.contradictions.push("there was no line `running N tests`".into()),
            Some(number) if number != self.results.len() => self
                .contradictions
                .push(format!("announced {number} cases, {} began", self.results.len())),
            Some(_) => {}
        }
        match self.summary {
            None => self.contradictions.push("there was no summary".into()),
            Some(summary) if summary != (Summary { passed, failed }) => {
                self.contradictions.push(format!(
                    "the summary says {} passed and {} failed; its lines say {passed} and {failed}",
                    summary.passed, summary.failed
                ));
            }
            Some(_) => {}
        }
        if ending.says_all_passed() != (failed == 0) {
            self.contradictions.push(format!("{failed} cases failed, but: {ending}"));
        }
        Boot {
            finished: self.contradictions.is_empty(),
            failure: self.contradiction(what),
            results: std::mem::take(&mut self.results),
        }
    }

    /// The failure of a boot that contradicts itself.
    fn contradiction(&mut self, what: &str) -> Option<Failure> {
        if self.contradictions.is_empty() {
            return None;
        }
        let details = std::mem::take(&mut self.contradictions);
        Some(Failure::new(what, Kind::Contradiction, details))
    }
}

#[cfg(test)]
mod tests;
