//! JSON lines, an object a line, as libtest's `--format json` writes them. A failed test also has
//! its `kind`.

use std::io::{self, Write};
use std::time::Duration;

use serde_json::{Value, json};

use super::Report;
use crate::protocol::Event;
use crate::suite::Happened;
use crate::tally::{Failure, Tally};

/// Writes JSON lines.
pub struct JsonLines<W> {
    out: W,
}

impl<W: Write> JsonLines<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out }
    }

    /// Returns where it wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }

    fn write(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")?;
        self.out.flush()
    }
}

/// A failed test as libtest writes one, with its kind.
fn failed(failure: &Failure, took: Duration) -> Value {
    json!({
        "type": "test",
        "event": "failed",
        "name": failure.name,
        "kind": failure.kind.to_string(),
        "stdout": failure.details.iter().map(|line| format!("{line}\n")).collect::<String>(),
        "exec_time": took.as_secs_f64(),
    })
}

impl<W: Write> Report for JsonLines<W> {
    fn happened(&mut self, happened: &Happened<'_>) -> io::Result<()> {
        let value = match *happened {
            Happened::Planned(plan) => {
                json!({ "type": "suite", "event": "started", "test_count": plan.len() })
            }
            Happened::Boots(from) => json!({ "type": "boot", "event": "started", "from": from }),
            Happened::Said(Event::Began(name)) => {
                json!({ "type": "test", "event": "started", "name": name })
            }
            Happened::Said(_) => return Ok(()),
            Happened::Judged(result, took) => match &result.failure {
                Some(failure) => failed(failure, took),
                None => json!({
                    "type": "test",
                    "event": "ok",
                    "name": result.name,
                    "exec_time": took.as_secs_f64(),
                }),
            },
            Happened::Failed(failure) => failed(failure, Duration::ZERO),
        };
        self.write(&value)
    }

    fn end(&mut self, tally: &Tally, took: Duration) -> io::Result<()> {
        self.write(&json!({
            "type": "suite",
            "event": if tally.is_clean() { "ok" } else { "failed" },
            "passed": tally.passed,
            "failed": tally.failures.len(),
            "ignored": 0,
            "exec_time": took.as_secs_f64(),
        }))
    }
}
