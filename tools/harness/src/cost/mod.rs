//! What the system's side of an allocator costs, in exact instructions: boots a kernel that counts,
//! and holds the figures to bounds.
//!
//! ```text
//!   image `cost` ── QEMU, its clock counting instructions ──► lines ──► parse ──► Costs ──► a table, target/kernel-cost.json
//! ```
//!
//! A figure is the mean of 64 rounds, without what the loop around it takes. It holds the program's
//! instructions and the kernel's, which is built for this as for use: optimised as a whole, without
//! overflow checks. The same image has the same figures each time, on every machine; another
//! compiler has others, so a bound is what was counted, and a tenth more at most.

mod operations;

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::Serialize;

use self::operations::{Lines, OPERATIONS, Operation};
use crate::Error;
use crate::cli::MachineOptions;
use crate::image::Image;
use crate::project::{Project, Setup};
use kerntest::judge::Ending;
use kerntest::machine::{Limits, Progress};
use kerntest::tally::{Failure, Kind, Tally};

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What an operation takes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cost {
    what: &'static str,
    instructions: f64,
    least: u64,
    most: u64,
}

impl Cost {
    fn is_ok(&self) -> bool {
        self.instructions <= self.most as f64
    }
}

/// All figures. Prints as a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    costs: Vec<Cost>,
}

impl Costs {
    /// Builds the image, counts, and writes `target/kernel-cost.json`. `on_line` gets what the
    /// build has to say. `Ok(Err(…))` if the kernel did not get to its end.
    pub fn measure(
        project: &Project,
        setup: &Setup,
        machine: &MachineOptions,
        on_line: impl FnMut(&str),
    ) -> Result<Result<Self, Failure>, Error> {
        let image = Image::cost(project).build(project, setup, on_line)?;
        let mut output = Vec::new();
        let ending = machine.for_counting(setup).boot(&image, &[], Limits::both(LIMIT), |bytes| {
            output.extend_from_slice(bytes);
            Progress::None
        });
        let costs = read(&String::from_utf8_lossy(&output), &ending);
        if let Ok(costs) = &costs {
            let path = project.target("kernel-cost.json");
            let json = serde_json::to_string_pretty(costs)
                .expect("names and numbers can be written as JSON");
            fs::write(&path, json + "\n").map_err(|error| Error::Write(path, error))?;
        }
        Ok(costs)
    }

    /// Each operation as a test: whether it takes no more than it may.
    pub fn judge(&self) -> Tally {
        let mut tally = Tally::default();
        for cost in &self.costs {
            tally.add(if cost.is_ok() {
                Tally::one_passed()
            } else {
                let details = vec![
                    format!("expected: at most {} instructions", cost.most),
                    format!("found:    {}", cost.instructions),
                ];
                Tally::one_failed(Failure::new(
                    format!("cost::{}", cost.what),
                    Kind::Assertion,
                    details,
                ))
            });
        }
        tally
    }
}

/// The figures in what the kernel wrote before it ended like this.
fn read(output: &str, ending: &Ending) -> Result<Costs, Failure> {
    let last: Vec<String> = output.lines().rev().take(30).map(str::to_owned).collect();
    let failed = |kind, mut details: Vec<String>| {
        details.extend(last.iter().rev().cloned());
        Err(Failure::new("cost", kind, details))
    };
    if let Some((kind, details)) = ending.cause() {
        return failed(kind, details);
    }
    if !ending.says_all_passed() {
        return failed(Kind::Assertion, vec![ending.to_string()]);
    }
    let mut costs = Vec::new();
    for &Operation { what, figure, least, most } in OPERATIONS {
        match figure(&Lines(output)) {
            Some(instructions) => costs.push(Cost { what, instructions, least, most }),
            None => return failed(Kind::Contradiction, vec![format!("no figure for: {what}")]),
        }
    }
    Ok(Costs { costs })
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:44} {:>12} {:>8} {:>7} {:>8}",
            "the system's side", "instructions", "least", "ratio", "at most"
        )?;
        for cost in &self.costs {
            let Cost { what, instructions, least, most } = cost;
            let ratio = instructions / *least as f64;
            let verdict = if cost.is_ok() { "ok" } else { "TOO MUCH" };
            writeln!(
                f,
                "{what:44} {instructions:>12.0} {least:>8} {ratio:>7.2} {most:>8}  {verdict}"
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: Ending =
        Ending::Exited { status: kerntest::judge::exit::PASSED, stderr: String::new() };

    /// What a kernel writes, if each figure is this.
    fn output(figure: u64) -> String {
        let names = [
            "null-call",
            "brk-up",
            "brk-down",
            "fault-read",
            "fault-write-after-read",
            "fault-write",
            "fault-copy-on-write",
            "map-touch-unmap-4k",
            "map-touch-unmap-1m",
            "yield-to-another-and-back",
            "fork-exit-wait",
            "interrupts-off",
        ];
        let plain =
            ["lock", "shoot-down-1", "shoot-down-3", "shoot-down-7", "request", "interrupt"];
        let names = names.iter().chain(&plain).chain(&["fault-mapped"]);
        let mut text = String::from("cost nothing: 2\ncost zero-a-page: 100\n");
        names.for_each(|name| text.push_str(&format!("cost {name}: {figure}\n")));
        text
    }

    #[test]
    fn figures_are_read_without_what_measuring_takes() {
        let costs = read(&output(152), &PASSED).unwrap();
        let figure = |what: &str| {
            costs.costs.iter().find(|cost| cost.what == what).map(|cost| cost.instructions)
        };
        assert_eq!(figure("null system call"), Some(150.0));
        assert_eq!(figure("demand-zero fault, without the zeroing"), Some(50.0));
        assert_eq!(figure("context switch, by a call that yields"), Some(75.0));
        let cheap = output(40).replace("zero-a-page: 100", "zero-a-page: 10");
        assert!(read(&cheap, &PASSED).unwrap().judge().is_clean());
    }

    #[test]
    fn an_instruction_more_than_it_may_take_is_a_failure() {
        let most = OPERATIONS.iter().map(|operation| operation.most).max().unwrap();
        let tally = read(&output(2 * most + 202), &PASSED).unwrap().judge();
        assert_eq!((tally.passed, tally.failures.len()), (0, OPERATIONS.len()));
    }

    #[test]
    fn what_may_take_more_than_twice_the_least_has_its_reason_in_the_document() {
        let document = include_str!("../../../../docs/KERNEL.md");
        let (_, section) = document.split_once("\n## What it costs").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let rows = section.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
        let explained: Vec<&str> = rows.skip(1).map(|(what, _)| what).collect();
        let above = OPERATIONS.iter().filter(|operation| operation.most > 2 * operation.least);
        assert_eq!(explained, above.map(|operation| operation.what).collect::<Vec<_>>());
    }

    #[test]
    fn no_figure_and_no_end_are_failures() {
        let missing = output(200).replace("cost brk-up:", "cost something:");
        assert_eq!(read(&missing, &PASSED).unwrap_err().kind, Kind::Contradiction);
        assert_eq!(read(&output(200), &Ending::TimedOut(LIMIT)).unwrap_err().kind, Kind::TimeOut);
    }
}
