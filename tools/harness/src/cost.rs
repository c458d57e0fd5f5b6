//! What the system's side of an allocator costs, in exact instructions: boots a kernel that counts, and holds the figures to bounds.
//!
//! ```text
//!   image `cost` ── QEMU, its clock counting instructions ──► lines ──► parse ──► Costs ──► a table, target/kernel-cost.json
//! ```
//!
//! A figure is the mean of 64 rounds, without what the loop around it takes. It holds the program's instructions and the kernel's, which is
//! built for this as for use: optimised as a whole, without overflow checks. The same image has the same figures each time, on every machine; another compiler has
//! others, so a bound is what was counted, and a fifth more.

use std::fmt;
use std::fs;
use std::time::Duration;

use serde::Serialize;

use crate::Error;
use crate::cli::MachineOptions;
use crate::image::Image;
use crate::judge::Ending;
use crate::project::{Project, Setup};
use crate::qemu::Progress;
use crate::tally::{Failure, Kind, Tally};

/// How long all of it may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Something to measure.
struct Operation {
    what: &'static str,
    /// Which lines of the kernel make up the figure: what they say is added up, and divided.
    figure: fn(&Lines<'_>) -> Option<f64>,
    /// The least that a correct path needs, by what it has to do: the sum of [`step`]s.
    least: u64,
    /// What it may take at most: a test holds it to that.
    most: u64,
}

/// What the steps of a path take at least, in instructions; from the code, leaving out all that is not needed on this path.
mod step {
    /// Into the kernel and back: 16 registers out and in again, instruction pointer, flags and stack, two loads of CR3, the kernel's own
    /// registers, the instructions that change rings; a jump by the vector, and by the number of a call.
    pub const STOP: u64 = 80;
    /// The program's side of a call: the number, `syscall`, a look at the result.
    pub const CALL: u64 = 5;
    /// Finding an area among eight, by halves.
    pub const FIND_AREA: u64 = 20;
    /// The checks of `brk` and the change of its fields: limits, account, the area's end, sums.
    pub const MOVE_BREAK: u64 = 30;
    /// Down the four levels of page tables.
    pub const WALK: u64 = 20;
    /// Taking a frame from a list or putting it back, and counting it.
    pub const FRAME: u64 = 15;
    /// Writing an entry, flushing it, counting the page.
    pub const ENTRY: u64 = 8;
    /// What a fault means, when its area is known.
    pub const DECIDE: u64 = 15;
    /// Zeroing a page, eight bytes at a time with one instruction that repeats.
    pub const ZERO: u64 = 512;
    /// Copying one likewise.
    pub const COPY: u64 = 512;
    /// Finding room for an area, entering it, taking it out again.
    pub const AREA: u64 = 60;
    /// Putting one process at the end of the line, and taking the first.
    pub const SWITCH: u64 = 20;

    pub const FAULT: u64 = STOP + FIND_AREA + DECIDE + WALK + FRAME + ENTRY;
    /// A page that is touched and unmapped again.
    pub const PAGE: u64 = FAULT + ZERO + ENTRY + FRAME;
    /// Three calls and two switches; 150 pages shared and let go of again, under eight tables that are zeroed first; three pages that are
    /// written to by both, so that each is copied for one and left to the other.
    pub const FORK: u64 =
        3 * (STOP + CALL) + 2 * SWITCH + 150 * (2 * ENTRY + FRAME) + 8 * (ZERO + 2 * FRAME) + 3 * (2 * FAULT + COPY);
    /// `mmap` and `munmap` of a range, without its pages.
    pub const RANGE: u64 = 2 * (STOP + CALL + FIND_AREA) + AREA + WALK;
}

/// All that is measured.
const OPERATIONS: &[Operation] = &[
    Operation { what: "null system call", figure: |lines| lines.cost("null-call"), least: step::STOP + step::CALL, most: 220 },
    Operation {
        what: "brk up by a page",
        figure: |lines| lines.cost("brk-up"),
        least: step::STOP + step::CALL + step::FIND_AREA + step::MOVE_BREAK,
        most: 880,
    },
    Operation {
        what: "brk down by a page that nobody touched",
        figure: |lines| lines.cost("brk-down"),
        least: step::STOP + step::CALL + step::FIND_AREA + step::MOVE_BREAK + step::WALK,
        most: 1360,
    },
    Operation {
        what: "demand-zero fault, without the zeroing",
        figure: |lines| Some(lines.cost("fault-write")? - lines.plain("zero-a-page")?),
        least: step::FAULT,
        most: 1100,
    },
    Operation {
        what: "demand-zero fault",
        figure: |lines| lines.cost("fault-write"),
        least: step::FAULT + step::ZERO,
        most: 1750,
    },
    Operation {
        what: "fault of a read: the zero page",
        figure: |lines| lines.cost("fault-read"),
        least: step::FAULT - step::FRAME,
        most: 880,
    },
    Operation {
        what: "fault of a write after it",
        figure: |lines| lines.cost("fault-write-after-read"),
        least: step::FAULT + step::ZERO,
        most: 1580,
    },
    Operation {
        what: "copy-on-write fault",
        figure: |lines| lines.cost("fault-copy-on-write"),
        least: step::FAULT + step::COPY,
        most: 1620,
    },
    Operation {
        what: "mmap, touch, munmap of a page",
        figure: |lines| lines.cost("map-touch-unmap-4k"),
        least: step::RANGE + step::PAGE,
        most: 5300,
    },
    Operation {
        what: "mmap, touch, munmap of 1 MiB",
        figure: |lines| lines.cost("map-touch-unmap-1m"),
        least: step::RANGE + 256 * step::PAGE,
        most: 505_000,
    },
    Operation {
        what: "context switch, by a call that yields",
        figure: |lines| Some(lines.cost("yield-to-another-and-back")? / 2.0),
        least: step::STOP + step::CALL + step::SWITCH,
        most: 820,
    },
    Operation {
        what: "fork, exit and wait, of 150 pages",
        figure: |lines| lines.cost("fork-exit-wait"),
        least: step::FORK,
        most: 217_000,
    },
];

/// What the kernel wrote.
struct Lines<'a>(&'a str);

impl Lines<'_> {
    /// The figure of that name, without what measuring takes.
    fn cost(&self, name: &str) -> Option<f64> {
        Some(self.plain(name)? - self.plain("nothing")?)
    }

    /// The figure of that name as it is.
    fn plain(&self, name: &str) -> Option<f64> {
        let of = |line: &str| line.strip_prefix("cost ")?.strip_prefix(name)?.strip_prefix(": ")?.trim().parse().ok();
        self.0.lines().find_map(of)
    }
}

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

/// What a program takes that touches pages, when a fault brings in so many.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Around {
    pages: u64,
    program: String,
    faults: u64,
    frames: u64,
    instructions: u64,
}

/// All figures. Prints as two tables.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Costs {
    costs: Vec<Cost>,
    fault_around: Vec<Around>,
}

impl Costs {
    /// Builds the image, counts, and writes `target/kernel-cost.json`. `on_line` gets what the build has to say. `Ok(Err(…))` if the kernel
    /// did not get to its end.
    pub fn measure(
        project: &Project,
        setup: &Setup,
        machine: &MachineOptions,
        on_line: impl FnMut(&str),
    ) -> Result<Result<Self, Failure>, Error> {
        let image = Image::cost(project).build(project, setup, on_line)?;
        let mut output = Vec::new();
        let ending = machine.for_counting().boot(&setup.qemu, &image, &[], LIMIT, |bytes| {
            output.extend_from_slice(bytes);
            Progress::None
        });
        let costs = read(&String::from_utf8_lossy(&output), &ending);
        if let Ok(costs) = &costs {
            let path = project.target("kernel-cost.json");
            let json = serde_json::to_string_pretty(costs).expect("names and numbers can be written as JSON");
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
                let details =
                    vec![format!("expected: at most {} instructions", cost.most), format!("found:    {}", cost.instructions)];
                Tally::one_failed(Failure::new(format!("cost::{}", cost.what), Kind::Assertion, details))
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
    let fault_around: Vec<Around> = output.lines().filter_map(around).collect();
    if fault_around.is_empty() {
        return failed(Kind::Contradiction, vec!["no figures for fault-around".into()]);
    }
    Ok(Costs { costs, fault_around })
}

/// The figures in a line `around 4 dense: faults 256, frames 1024, instructions 1000000`.
fn around(line: &str) -> Option<Around> {
    let (head, figures) = line.strip_prefix("around ")?.split_once(": ")?;
    let (pages, program) = head.split_once(' ')?;
    let figure = |name: &str| figures.split(", ").find_map(|figure| figure.strip_prefix(name)?.trim().parse().ok());
    let (faults, frames, instructions) = (figure("faults")?, figure("frames")?, figure("instructions")?);
    Some(Around { pages: pages.parse().ok()?, program: program.to_owned(), faults, frames, instructions })
}

impl fmt::Display for Costs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:44} {:>12} {:>8} {:>7} {:>8}", "the system's side", "instructions", "least", "ratio", "at most")?;
        for cost in &self.costs {
            let Cost { what, instructions, least, most } = cost;
            let ratio = instructions / *least as f64;
            let verdict = if cost.is_ok() { "ok" } else { "TOO MUCH" };
            writeln!(f, "{what:44} {instructions:>12.0} {least:>8} {ratio:>7.2} {most:>8}  {verdict}")?;
        }
        writeln!(f, "\n{:44} {:>8} {:>8} {:>12}", "1024 pages, fault-around", "faults", "frames", "instructions")?;
        for Around { pages, program, faults, frames, instructions } in &self.fault_around {
            let what = format!("{program}: {pages} pages a fault");
            writeln!(f, "{what:44} {faults:>8} {frames:>8} {instructions:>12}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSED: Ending = Ending::Exited { status: crate::judge::exit::PASSED, stderr: String::new() };

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
        ];
        let mut text = String::from("cost nothing: 2\ncost zero-a-page: 100\n");
        names.iter().for_each(|name| text.push_str(&format!("cost {name}: {figure}\n")));
        text + "around 4 dense: faults 256, frames 1026, instructions 123456\n"
    }

    #[test]
    fn figures_are_read_without_what_measuring_takes() {
        let costs = read(&output(202), &PASSED).unwrap();
        let figure = |what: &str| costs.costs.iter().find(|cost| cost.what == what).map(|cost| cost.instructions);
        assert_eq!(figure("null system call"), Some(200.0));
        assert_eq!(figure("demand-zero fault, without the zeroing"), Some(100.0));
        assert_eq!(figure("context switch, by a call that yields"), Some(100.0));
        let expected = Around { pages: 4, program: "dense".into(), faults: 256, frames: 1026, instructions: 123_456 };
        assert_eq!(costs.fault_around, [expected]);
        assert!(costs.judge().is_clean());
        assert!(costs.to_string().contains("dense: 4 pages a fault"));
    }

    #[test]
    fn an_instruction_more_than_it_may_take_is_a_failure() {
        let most = OPERATIONS.iter().map(|operation| operation.most).max().unwrap();
        let tally = read(&output(2 * most + 202), &PASSED).unwrap().judge();
        assert_eq!((tally.passed, tally.failures.len()), (0, OPERATIONS.len()));
    }

    #[test]
    fn no_figure_and_no_end_are_failures() {
        let missing = output(200).replace("cost brk-up:", "cost something:");
        assert_eq!(read(&missing, &PASSED).unwrap_err().kind, Kind::Contradiction);
        let without = output(200).replace("around", "not");
        assert_eq!(read(&without, &PASSED).unwrap_err().kind, Kind::Contradiction);
        assert_eq!(read(&output(200), &Ending::TimedOut(LIMIT)).unwrap_err().kind, Kind::TimeOut);
    }
}
