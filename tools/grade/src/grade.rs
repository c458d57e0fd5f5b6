//! Grades a lab: builds its programs with the student's modules, runs its tests, adds up points.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::error::Error;
use crate::program::{self, Built, Patience, Told, Verdict};
use crate::project::Project;
use crate::seen::{Seen, without_detours};
use crate::table::{Bug, Lab, Tables, Test};
use crate::tree::{Replaced, Tree};

/// Where the claims are.
const CLAIMS: &str = "docs/CLAIMS.md";

/// Longest line of a grade, in columns.
const COLUMNS: usize = 100;

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

    /// What was seen of a test that failed.
    fn seen(&self) -> Option<&Seen> {
        match &self.verdict {
            Verdict::Passed => None,
            Verdict::Failed(seen) => Some(seen),
        }
    }
}

impl Grade {
    /// Names the student's files where they are, instead of the copy's, whose names the compiler
    /// and the tests write from the folders where cargo runs.
    pub fn name_students(&mut self, tables: &Tables, students: &Replaced, folder: &Path) {
        let folders: Vec<&Path> =
            tables.programs.values().map(|program| program.folder.as_path()).collect();
        match self {
            Self::Rows(rows) => {
                for row in rows {
                    let Verdict::Failed(Seen { place: Some((file, _)), .. }) = &mut row.verdict
                    else {
                        continue;
                    };
                    if students.contains_key(file.as_path()) {
                        *file = folder.join(&file);
                    }
                }
            }
            Self::Broken(text, _) => {
                *text = without_detours(text);
                for file in students.keys() {
                    let below = folders.iter().find_map(|folder| file.strip_prefix(folder).ok());
                    let short = format!("{}:", below.unwrap_or(file).display());
                    *text = text.replace(&short, &format!("{}:", folder.join(file).display()));
                }
            }
        }
    }
}

/// Returns the tests of a lab; for the hunt those of the bugs that `seed` draws.
#[must_use]
pub fn tests(tables: &Tables, lab: &Lab, seed: u64) -> Vec<Test> {
    if lab.number == crate::table::HUNT {
        tables.hunt(seed).into_iter().map(Bug::as_hunted).collect()
    } else {
        let mut tests = lab.tests.clone();
        let page = format!("labs/{}/README.md", lab.number);
        tests.iter_mut().for_each(|test| test.read.push(page.clone()));
        tests
    }
}

/// Grades the modules that are in the copy. `tell` is told of builds that take their time, and of
/// each test as it ends.
///
/// # Errors
///
/// A program cannot be started, or lacks a test.
pub fn grade(
    project: &Project,
    tables: &Tables,
    tree: &Tree,
    tests: &[Test],
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Grade, Error> {
    let mut built = BTreeMap::new();
    for test in tests {
        if built.contains_key(&test.program) {
            continue;
        }
        let program = tables.programs.get(&test.program).ok_or_else(|| {
            Error::Table("labs/labs.toml".into(), format!("no program {}", test.program))
        })?;
        match program::build(project, tree, program, tell)? {
            Ok(program) => built.insert(test.program.clone(), program),
            Err(output) => {
                let lost = tests.iter().map(|test| test.points).sum();
                return Ok(Grade::Broken(output, lost));
            }
        };
    }
    run_all(tables, &built, tests, &Patience::default(), tell).map(Grade::Rows)
}

/// Runs the tests, as many at a time as there are processors.
fn run_all(
    tables: &Tables,
    built: &BTreeMap<String, Built>,
    tests: &[Test],
    patience: &Patience,
    tell: &mut dyn FnMut(Told<'_>),
) -> Result<Vec<Row>, Error> {
    let next = AtomicUsize::new(0);
    let (sender, ended) = mpsc::channel();
    let work = |sender: mpsc::Sender<_>| {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(test) = tests.get(at) else { return };
            let folder = &tables.programs[&test.program].folder;
            let run = built[&test.program].run(&test.name, patience);
            let verdict = run.map(|verdict| match verdict {
                Verdict::Failed(seen) => Verdict::Failed(seen.from(folder)),
                Verdict::Passed => Verdict::Passed,
            });
            sender.send((at, verdict)).expect("the receiver outlives the workers");
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut rows = BTreeMap::new();
    thread::scope(|scope| {
        for _ in 0..workers {
            let (work, sender) = (&work, sender.clone());
            scope.spawn(move || work(sender));
        }
        drop(sender);
        for (at, verdict) in ended {
            let test = &tests[at];
            if let Ok(verdict) = &verdict {
                tell(Told::Tested(test, verdict));
            }
            rows.insert(at, verdict.map(|verdict| Row { test: test.clone(), verdict }));
        }
    });
    rows.into_values().collect()
}

/// What to read, as a file or a place in one.
fn place_to_read(read: &str) -> String {
    if read.starts_with('C') { format!("{CLAIMS}#{read}") } else { read.to_owned() }
}

/// A row: points, kind and name, and what was seen.
fn write_row(f: &mut fmt::Formatter<'_>, row: &Row, seen: &str) -> fmt::Result {
    let Test { points, name, hidden, .. } = &row.test;
    let kind = if *hidden { "hidden " } else { "visible" };
    writeln!(f, "  {:2}/{points:<2} {kind}  {name}{seen}", row.points())
}

/// The beginning of a text, marked where it is cut off.
fn cut(text: &str, columns: usize) -> String {
    match text.char_indices().nth(columns) {
        None => text.to_owned(),
        Some(_) => text.chars().take(columns - 2).chain([' ', '…']).collect(),
    }
}

/// The first test that failed, with all that was seen and what to read; then the tests that failed,
/// and those that passed; then the points.
impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rows(rows) => {
                let mut failed = rows.iter().filter_map(|row| Some((row, row.seen()?)));
                if let Some((first, seen)) = failed.next() {
                    writeln!(f, "\nfirst failed: {}", first.test.name)?;
                    seen.parts().try_for_each(|(name, part)| writeln!(f, "  {name:9} {part}"))?;
                    let read = first.test.read.iter().map(|read| place_to_read(read));
                    writeln!(f, "  {:9} {}\n", "read", read.collect::<Vec<_>>().join(", "))?;
                    write_row(f, first, "")?;
                    for (row, other) in failed {
                        let margin = " ".repeat(16);
                        let told = match other.to_string() == seen.to_string() {
                            true => ": the same".to_owned(),
                            false => format!("\n{margin}{}", cut(&other.to_string(), COLUMNS - 16)),
                        };
                        write_row(f, row, &told)?;
                    }
                }
                let mut passed = rows.iter().filter(|row| row.seen().is_none());
                passed.try_for_each(|row| write_row(f, row, ""))?;
            }
            Self::Broken(output, _) => {
                writeln!(f, "{output}\n  all points lost: it does not compile (see above)")?;
            }
        }
        let (reached, all) = self.points();
        write!(f, "points: {reached} of {all}")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn row(name: &str, hidden: bool, seen: Option<Seen>) -> Row {
        let test = Test {
            program: "simple".to_owned(),
            name: name.to_owned(),
            points: 2,
            hidden,
            read: vec!["C3".to_owned(), "labs/1/README.md".to_owned()],
        };
        Row { test, verdict: seen.map_or(Verdict::Passed, Verdict::Failed) }
    }

    fn seen(line: u32, found: &str) -> Option<Seen> {
        let place = Some(("src/simple.rs".into(), line));
        Some(Seen { place, found: Some(found.to_owned()), ..Seen::default() })
    }

    #[test]
    fn the_first_failure_comes_first_with_all_that_was_seen() {
        let rows = vec![
            row("a", false, None),
            row("b", false, seen(7, "3")),
            row("c", true, seen(7, "3")),
            row("d", true, seen(9, &"4".repeat(200))),
        ];
        let mut grade = Grade::Rows(rows);
        let students = [("src/simple.rs".into(), Vec::new())].into();
        let tables = Tables { programs: BTreeMap::new(), labs: BTreeMap::new(), zoo: Vec::new() };
        grade.name_students(&tables, &students, Path::new("labs/student/1"));
        let fours = "4".repeat(44);
        let expected = format!(
            "
first failed: b
  at        labs/student/1/src/simple.rs:7
  found     3
  read      docs/CLAIMS.md#C3, labs/1/README.md

   0/2  visible  b
   0/2  hidden   c: the same
   0/2  hidden   d
                labs/student/1/src/simple.rs:9, found {fours} …
   2/2  visible  a
points: 2 of 8"
        );
        assert_eq!(grade.to_string(), expected);
    }

    /// A program of two tests, of which `loops` has no end, in place of one that cargo built.
    fn program(folder: &Path) -> Built {
        let executable = folder.join("program");
        let text = "#!/bin/sh\n[ $2 != loops ] || exec sleep 60\necho test result: ok. 1 passed\n";
        crate::project::write(&executable, text.as_bytes()).unwrap();
        let permissions = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&executable, permissions).unwrap();
        Built { executable, folder: folder.to_owned() }
    }

    #[test]
    fn tests_are_told_as_they_end_and_have_less_time_after_one_without_end() {
        let folder = std::env::temp_dir().join(format!("grade-endless-{}", std::process::id()));
        let built = [("simple".to_owned(), program(&folder))].into();
        let names = [vec!["loops"; 2 * thread::available_parallelism().unwrap().get()], vec!["a"]];
        let tests: Vec<Test> =
            names.concat().iter().map(|name| row(name, true, None).test).collect();
        let program = crate::table::Program {
            title: String::new(),
            part_of: None,
            folder: "src".into(),
            output: String::new(),
            arguments: Vec::new(),
            environment: BTreeMap::new(),
        };
        let programs = [("simple".to_owned(), program)].into();
        let tables = Tables { programs, labs: BTreeMap::new(), zoo: Vec::new() };
        let patience = Patience::new(Duration::from_secs(3), Duration::from_secs(1));
        let mut told = Vec::new();
        let mut tell = |what: Told<'_>| match what {
            Told::Tested(test, verdict) => told.push((test.name.clone(), verdict.clone())),
            other => panic!("{other:?}"),
        };
        let rows = run_all(&tables, &built, &tests, &patience, &mut tell).unwrap();
        assert_eq!((rows.len(), told.len()), (tests.len(), tests.len()));
        let ended = |seconds: &str| {
            let is_it = |row: &&Row| row.seen().is_some_and(|it| it.to_string().contains(seconds));
            rows.iter().filter(is_it).count()
        };
        let half = tests.len() / 2;
        assert_eq!((ended("no end within 3 s"), ended("no end within 1 s")), (half, half));
        assert!(rows.last().unwrap().seen().is_none());
        assert!(told.contains(&("a".to_owned(), Verdict::Passed)));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_compilers_message_names_the_students_file() {
        let text = "error\n  --> \x1b[0mtests/loom/src/../../../src/arena/remote.rs:3:5\n";
        let mut grade = Grade::Broken(text.to_owned(), 20);
        let students = [("src/arena/remote.rs".into(), Vec::new())].into();
        let tables = Tables { programs: BTreeMap::new(), labs: BTreeMap::new(), zoo: Vec::new() };
        grade.name_students(&tables, &students, Path::new("labs/student/9"));
        let Grade::Broken(text, _) = grade else { unreachable!("it stays broken") };
        assert_eq!(text, "error\n  --> \x1b[0mlabs/student/9/src/arena/remote.rs:3:5\n");
    }
}
