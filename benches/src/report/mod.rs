//! From figures to a report: tables on the terminal, `report.json`, `report.svg`.
//!
//! ```text
//!   collect.rs  runs the jobs, says how far it is ─► Report ─┬─ Display        tables
//!                small_target.rs  from `make size` ──┤       ├─ targets.rs     what was to be reached, and was it
//!                system_side.rs   from `make cost` ──┘       │
//!                                                           ├─ serde          report.json
//!                                                           ├─ plot.rs        report.svg, panel.svg
//!                                                           └─ document       BENCHMARKS.md
//! ```

pub mod collect;
mod grid;
mod machine;
mod plot;
mod small_target;
mod system_side;
mod targets;
mod threads;
mod traces;

use std::fmt;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

pub use grid::{Cell, Grid, Spread};
pub use machine::Machine;
pub use small_target::SmallTarget;
pub use system_side::SystemSide;
pub use targets::Target;
pub use threads::{Measured, Threads};
pub use traces::{OfTrace, Traces};

use crate::measure::Outcome;
use crate::measure::bounds::single::Single;
use crate::measure::bounds::{Bound, Operation};
use crate::measure::tightness::Question;
use crate::{subject, workload};

/// All that was measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Where, and with which versions.
    pub machine: Machine,
    /// True if it was a short run, for development: fewer subjects, one round.
    pub quick: bool,
    /// Nanoseconds an operation.
    pub time: Grid<workload::Name>,
    /// Instructions an operation.
    pub instructions: Grid<workload::Name>,
    /// Reads and writes an operation that miss a cache of 32 KiB.
    pub l1_misses: Grid<workload::Name>,
    /// Reads and writes an operation that miss a cache of 1 MiB as well.
    pub l2_misses: Grid<workload::Name>,
    /// What the calls of real programs took.
    #[serde(default)]
    pub traces: Traces,
    /// Shares and multiples; see the question.
    pub tightness: Grid<Question>,
    /// Bytes of an empty `Heap`, without its provider's memory.
    pub state_bytes: usize,
    /// What the heap takes of a small target, if that was measured.
    pub small_target: Option<SmallTarget>,
    /// What the system's side takes, if that was counted.
    pub system_side: Option<SystemSide>,
    /// Instructions of single operations.
    pub bounds: Vec<BoundsOf>,
    /// Instructions of the common path and of the first refused request.
    #[serde(default)]
    pub singles: Grid<Single>,
    /// What many threads reached.
    #[serde(default)]
    pub threads: Threads,
    /// What was to be reached.
    pub targets: Vec<Target>,
}

/// What was counted in heaps of one number of cells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BoundsOf {
    /// Who.
    pub subject: subject::Name,
    /// How many cells.
    pub cells: usize,
    /// What a single operation took.
    pub bounds: Outcome<Vec<Bound>>,
}

impl Report {
    /// Works out which targets were reached.
    pub fn judge(&mut self) {
        self.targets = targets::judge(self);
    }

    /// Writes `report.json`, `report.svg` with all panels, `panel.svg` with one, and the document
    /// `BENCHMARKS.md` into the folder.
    ///
    /// # Errors
    ///
    /// What the file system answers.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("report.json"), serde_json::to_string_pretty(self)? + "\n")?;
        std::fs::write(folder.join("report.svg"), plot::svg(self))?;
        std::fs::write(folder.join("panel.svg"), plot::panel(self))?;
        std::fs::write(folder.join("BENCHMARKS.md"), self.document())
    }

    /// The bound of a subject's operation in heaps of so many cells, if it was measured.
    #[must_use]
    pub fn bound(
        &self,
        subject: subject::Name,
        operation: Operation,
        cells: usize,
    ) -> Option<&Bound> {
        let of = self.bounds.iter().find(|of| of.subject == subject && of.cells == cells)?;
        of.bounds.as_ref().ok()?.iter().find(|bound| bound.operation == operation)
    }

    /// The numbers of cells for which bounds were measured.
    #[must_use]
    pub fn cells(&self) -> Vec<usize> {
        grid::sorted(self.bounds.iter().map(|of| of.cells))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.quick {
            writeln!(f, "A short run, for development: not for publication.")?;
        }
        writeln!(f, "{}", self.machine)?;
        let caption = self.machine.caption();
        for (title, grid) in [
            ("Nanoseconds an operation", &self.time),
            ("Instructions an operation", &self.instructions),
            ("Misses of a first-level cache of 32 KiB an operation", &self.l1_misses),
            ("Misses of a second-level cache of 1 MiB an operation", &self.l2_misses),
        ] {
            if !grid.cells.is_empty() {
                writeln!(f, "\n{title}\n({caption})\n{}", grid.table(|_| false))?;
            }
        }
        write!(f, "{}", self.traces.titled(&caption))?;
        if !self.tightness.cells.is_empty() {
            writeln!(
                f,
                "\nTightness: payload as a share of the heap; heap as a multiple of the peak of live bytes\n({caption})"
            )?;
            writeln!(f, "{}", self.tightness.table(Question::is_share))?;
        }
        if !self.bounds.is_empty() {
            writeln!(
                f,
                "\nInstructions of a single operation in the worst heaps: median, 99 %, maximum\n({caption})"
            )?;
            self.write_bounds(f)?;
        }
        if !self.singles.cells.is_empty() {
            writeln!(
                f,
                "\nInstructions of the common path, and of the first refused request in a large heap\n({caption})"
            )?;
            writeln!(f, "{}", self.singles.table(|_| false))?;
        }
        if let Some(system_side) = &self.system_side {
            writeln!(
                f,
                "\nInstructions of the demo kernel and the program that calls it, exact\n({caption})\n{system_side}"
            )?;
        }
        if !self.threads.figures.is_empty() {
            write!(f, "\n({caption})")?;
        }
        write!(f, "{}", self.threads)?;
        if !self.targets.is_empty() {
            writeln!(f, "\nTargets\n({caption})\n{}", Target::heading())?;
            for target in &self.targets {
                writeln!(f, "{target}")?;
            }
            let count = |is: fn(&Target) -> bool| self.targets.iter().filter(|t| is(t)).count();
            writeln!(
                f,
                "{} of {} targets reached, {} within the spread, {} short",
                count(|target| target.ok),
                self.targets.len(),
                count(|target| !target.ok && target.alike),
                count(|target| !target.ok && !target.alike)
            )?;
        }
        Ok(())
    }
}

impl Report {
    /// The document for readers: all panels, and all tables.
    fn document(&self) -> String {
        format!(
            concat!(
                "# Benchmarks\n\n",
                "Written by `make plot` from a full run; `benches/README.md` says who and what is\n",
                "measured. Figures are medians, ± is half of the spread of all rounds. brkalloc is\n",
                "called better or worse than the best peer only where the spreads do not overlap.\n",
                "Compare figures of one run only.\n\n",
                "{}.\n\n",
                "![All panels](bench-all.svg)\n\n```text\n{}```\n"
            ),
            self.machine, self
        )
    }

    fn write_bounds(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:22}", "cells")?;
        for cells in self.cells() {
            write!(f, "{cells:>18}")?;
        }
        for subject in grid::sorted(self.bounds.iter().map(|of| of.subject)) {
            for operation in Operation::ALL {
                write!(f, "\n{subject:14}{operation:8}")?;
                for cells in self.cells() {
                    match self.bound(subject, operation, cells) {
                        Some(bound) if bound.samples == 0 => write!(f, "{:>18}", "-")?,
                        Some(bound) => write!(
                            f,
                            "{:>18}",
                            format!("{} {} {}", bound.p50, bound.p99, bound.max)
                        )?,
                        None => write!(f, "{:>18}", self.why_no_bound(subject, cells))?,
                    }
                }
            }
        }
        writeln!(f)
    }

    fn why_no_bound(&self, subject: subject::Name, cells: usize) -> String {
        match self.bounds.iter().find(|of| of.subject == subject && of.cells == cells) {
            Some(BoundsOf { bounds: Err(failure), .. }) => failure.to_string(),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Failure;

    #[test]
    fn a_report_is_read_again_from_its_json() {
        let mut report = Report { state_bytes: 100, ..Report::default() };
        report.time.push(workload::Name::Random4K, subject::Name::Heap, Ok(2.0));
        report.time.push(
            workload::Name::Random4K,
            subject::Name::LinkedList,
            Err(Failure::Crashed("why".to_owned())),
        );
        report.tightness.push(Question::all()[2], subject::Name::Heap, Ok(1.05));
        report.judge();
        let json = serde_json::to_string(&report).unwrap();
        let again: Report = serde_json::from_str(&json).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), json);
        assert!(
            json.contains(r#""row":"random-4k","subject":"heap","figure":{"Ok":2.0}"#),
            "{json}"
        );
        assert!(report.to_string().contains("random-4k"));
    }
}
