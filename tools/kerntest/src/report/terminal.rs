//! Lines as libtest writes them. On a terminal they have colours, and a bar shows how far the run
//! is.

use std::io::{self, Write};
use std::time::Duration;

use anstyle::{AnsiColor, Style as Paint};
use indicatif::{ProgressBar, ProgressStyle};

use super::Report;
use crate::protocol::Event;
use crate::suite::Happened;
use crate::tally::{Failure, Tally};

const GREEN: Paint = AnsiColor::Green.on_default();
const RED: Paint = AnsiColor::Red.on_default();
const YELLOW: Paint = AnsiColor::Yellow.on_default();

/// How the reader sees a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether a bar shows how far the run is.
    pub bar: bool,
    /// Whether lines that are no step of the protocol are shown as the kernel writes them.
    pub all_output: bool,
}

/// Writes lines as libtest does.
pub struct Terminal<W> {
    out: W,
    style: Style,
    bar: Option<ProgressBar>,
    /// The case whose verdict has not come.
    open: Option<String>,
    failures: Vec<Failure>,
}

impl<W: Write> Terminal<W> {
    /// Writes to `out`, which takes colours.
    pub fn new(out: W, style: Style) -> Self {
        let (bar, open, failures) = (None, None, Vec::new());
        Self { out, style, bar, open, failures }
    }

    /// Returns where it wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }

    /// Writes above the bar.
    fn write(&mut self, text: &str) -> io::Result<()> {
        let out = &mut self.out;
        let mut write = || out.write_all(text.as_bytes()).and_then(|()| out.flush());
        match &self.bar {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    fn begin(&mut self, name: &str) -> io::Result<()> {
        self.open = Some(name.to_owned());
        match &self.bar {
            Some(bar) => bar.set_message(name.to_owned()),
            None => self.write(&format!("test {name} ... "))?,
        }
        Ok(())
    }

    /// Writes the verdict of the case that is open.
    fn verdict(&mut self, paint: Paint, verdict: &str) -> io::Result<()> {
        let Some(name) = self.open.take() else { return Ok(()) };
        let head = match &self.bar {
            Some(bar) => {
                bar.inc(1);
                format!("test {name} ... ")
            }
            None => String::new(),
        };
        self.write(&format!("{head}{paint}{verdict}{paint:#}\n"))
    }

    fn plan(&mut self, number: usize) -> io::Result<()> {
        self.write(&format!("\nrunning {number} test{}\n", if number == 1 { "" } else { "s" }))?;
        if self.style.bar {
            let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed} {msg}")
                .expect("the template is well-formed");
            self.bar = Some(ProgressBar::new(number as u64).with_style(style));
        }
        Ok(())
    }

    fn failure(&mut self, failure: &Failure) -> io::Result<()> {
        self.failures.push(failure.clone());
        if self.open.as_deref() == Some(&failure.name) {
            return self.verdict(RED, &format!("FAILED ({})", failure.kind));
        }
        Ok(())
    }
}

impl<W: Write> Report for Terminal<W> {
    fn happened(&mut self, happened: &Happened<'_>) -> io::Result<()> {
        match *happened {
            Happened::Planned(plan) => self.plan(plan.len()),
            Happened::Boots(0) => Ok(()),
            Happened::Boots(from) => {
                self.write(&format!("{YELLOW}resuming at case {}{YELLOW:#}\n", from + 1))
            }
            Happened::Said(Event::Began(name)) => self.begin(name),
            Happened::Said(Event::Verdict(true)) => self.verdict(GREEN, "ok"),
            Happened::Said(Event::Verdict(false)) => self.verdict(RED, "FAILED"),
            Happened::Said(Event::Other(line)) if self.style.all_output => {
                self.write(&format!("{line}\n"))
            }
            Happened::Said(_) => Ok(()),
            Happened::Judged(result, _) => {
                result.failure.as_ref().map_or(Ok(()), |failure| self.failure(failure))
            }
            Happened::Failed(failure) => self.failure(failure),
        }
    }

    fn end(&mut self, tally: &Tally, took: Duration) -> io::Result<()> {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
        let mut text = String::new();
        if !self.failures.is_empty() {
            text += "\nfailures:\n";
            for Failure { name, kind, details } in &self.failures {
                text += &format!("\n---- {name}: {RED}{kind}{RED:#} ----\n");
                details.iter().for_each(|line| text += &format!("{line}\n"));
            }
            text += "\nfailures:\n";
            self.failures.iter().for_each(|failure| text += &format!("    {}\n", failure.name));
        }
        let verdict = if tally.is_clean() {
            format!("{GREEN}ok{GREEN:#}")
        } else {
            format!("{RED}FAILED{RED:#}")
        };
        text += &format!(
            "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; \
             finished in {:.2}s\n\n",
            tally.passed,
            tally.failures.len(),
            took.as_secs_f32()
        );
        self.write(&text)
    }
}
