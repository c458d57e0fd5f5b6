//! Grades a lab: builds its programs with the student's modules, runs its tests, adds up points.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::error::Error;
use crate::program::{self, Built, Verdict};
use crate::project::Project;
use crate::table::{Lab, Tables, Test};
use crate::tree::Tree;

/// Signals that a program of a wrong heap dies of.
const SIGNALS: [(i32, &str); 4] = [
    (4, "an illegal instruction"),
    (6, "an abort"),
    (7, "a bus error"),
    (11, "a segmentation fault"),
];

/// Points of one test.
#[derive(Debug)]
pub struct Row {
    test: Test,
    verdict: Verdict,
}

/// Grade of a lab.
#[derive(Debug)]
pub enum Grade {
    /// The programs were built: a row for each test.
    Rows(Vec<Row>),
    /// They do not compile: what the compiler wrote, and the points that are lost.
    Broken(String, u32),
}

impl Grade {
    /// Points that were reached, and all points.
    #[must_use]
    pub fn points(&self) -> (u32, u32) {
        match self {
            Self::Rows(rows) => {
                (rows.iter().map(Row::points).sum(), rows.iter().map(|row| row.test.points).sum())
            }
            Self::Broken(_, lost) => (0, *lost),
        }
    }
}

impl Row {
    fn points(&self) -> u32 {
        if self.verdict == Verdict::Passed { self.test.points } else { 0 }
    }
}

/// Returns the tests of a lab; for the hunt those of the bugs that `seed` draws.
#[must_use]
pub fn tests(tables: &Tables, lab: &Lab, seed: u64) -> Vec<Test> {
    if lab.number == crate::table::HUNT {
        tables.hunt(seed).into_iter().map(Test::from).collect()
    } else {
        lab.tests.clone()
    }
}

/// Grades the modules that are in the copy.
///
/// # Errors
///
/// A program cannot be started, or lacks a test.
pub fn grade(
    project: &Project,
    tables: &Tables,
    tree: &Tree,
    tests: &[Test],
) -> Result<Grade, Error> {
    let mut built = BTreeMap::new();
    for test in tests {
        if built.contains_key(&test.program) {
            continue;
        }
        let program = tables.programs.get(&test.program).ok_or_else(|| {
            Error::Table("labs/labs.toml".into(), format!("no program {}", test.program))
        })?;
        match program::build(project, tree, program)? {
            Ok(program) => built.insert(test.program.clone(), program),
            Err(output) => {
                let lost = tests.iter().map(|test| test.points).sum();
                return Ok(Grade::Broken(output, lost));
            }
        };
    }
    run_all(&built, tests).map(Grade::Rows)
}

/// Runs the tests, as many at a time as there are processors.
fn run_all(built: &BTreeMap<String, Built>, tests: &[Test]) -> Result<Vec<Row>, Error> {
    let (next, rows) = (AtomicUsize::new(0), Mutex::new(BTreeMap::new()));
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(test) = tests.get(at) else { return };
            let verdict = built[&test.program].run(&test.name);
            rows.lock().expect("no worker panics").insert(at, (test.clone(), verdict));
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| (0..workers).for_each(|_| drop(scope.spawn(work))));
    let rows = rows.into_inner().expect("no worker panics");
    rows.into_values().map(|(test, verdict)| Ok(Row { test, verdict: verdict? })).collect()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Test { points, name, hidden, reason, .. } = &self.test;
        let kind = if *hidden { "hidden " } else { "visible" };
        write!(f, "  {:2}/{points:<2} {kind}  {name}", self.points())?;
        let lost = match &self.verdict {
            Verdict::Passed => return Ok(()),
            Verdict::Failed(message) => message.clone(),
            Verdict::Killed(signal) => {
                let known = SIGNALS.iter().find(|(number, _)| number == signal);
                let name = known.map_or("a signal", |(_, name)| name);
                format!("the process ended by {name} ({signal})")
            }
            Verdict::TooLong => "it did not end in a minute: is there an endless loop?".to_owned(),
        };
        write!(f, "\n         lost: {reason}\n         {lost}")
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => rows.iter().try_for_each(|row| writeln!(f, "{row}"))?,
            Self::Broken(output, _) => {
                writeln!(f, "{output}\n  all points lost: it does not compile (see above)")?;
            }
        }
        let (reached, all) = self.points();
        write!(f, "points: {reached} of {all}")
    }
}
