//! Tests the labs themselves: the project's modules get all points in each lab, the stubs none,
//! and each seeded bug of the zoo costs points.
//!
//! It writes as a program of tests does, so that `make test` can count.

use crate::error::Error;
use crate::grade::{self, Grade};
use crate::project::{self, Project};
use crate::student;
use crate::table::{Bug, HUNT, Lab, Tables, Test};
use crate::tree::{Replaced, Tree};

/// Number from which the hunts of the matrix are drawn.
const SEEDS: [u64; 2] = [1, 2];

/// Which part of the matrix runs.
#[derive(Clone, Debug)]
pub struct Part {
    /// `true` for labs of the allocator's suites only, with one bug each.
    pub short: bool,
    /// Parts of the names of checks that run; none for all.
    pub filter: Vec<String>,
}

/// Files in the place of the project's, the tests that run with them, and what must come of it.
struct Check {
    name: String,
    replaced: Replaced,
    tests: Vec<Test>,
    expected: Expected,
}

/// What a grade must be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    All,
    None,
    NotAll,
}

impl Expected {
    fn is_met(self, grade: &Grade) -> bool {
        let (reached, all) = grade.points();
        let is_built = matches!(grade, Grade::Rows(_));
        is_built
            && match self {
                Self::All => reached == all && all > 0,
                Self::None => reached == 0 && all > 0,
                Self::NotAll => reached < all,
            }
    }
}

/// Runs the matrix. Returns whether every check passed.
///
/// # Errors
///
/// A table does not fit the project.
pub fn run(project: &Project, tables: &Tables, part: &Part) -> Result<bool, Error> {
    let checks = checks(project, tables, part)?;
    println!("running {} tests", checks.len());
    let tree = Tree::take(project)?;
    let mut failures = Vec::new();
    for check in &checks {
        tree.set(project, &check.replaced)?;
        let grade = grade::grade(project, tables, &tree, &check.tests, &mut |_| {})?;
        let verdict = if check.expected.is_met(&grade) {
            "ok"
        } else {
            failures.push((&check.name, grade));
            "FAILED"
        };
        println!("test {} ... {verdict}", check.name);
    }
    tree.set(project, &Replaced::new())?;
    if !failures.is_empty() {
        println!("\nfailures:\n");
        for (name, grade) in &failures {
            println!("---- {name} stdout ----\n{grade}\n");
        }
        println!("failures:");
        failures.iter().for_each(|(name, _)| println!("    {name}"));
    }
    let word = if failures.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {word}. {} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
        checks.len() - failures.len(),
        failures.len()
    );
    Ok(failures.is_empty())
}

/// The checks of a part.
fn checks(project: &Project, tables: &Tables, part: &Part) -> Result<Vec<Check>, Error> {
    let is_short = |lab: &Lab| {
        let is_of_suites = |test: &Test| tables.is_of_suites(&test.program);
        lab.number == HUNT || lab.tests.iter().all(is_of_suites)
    };
    let mut checks = Vec::new();
    for lab in tables.labs.values().filter(|lab| !part.short || is_short(lab)) {
        let seeds = if lab.number == HUNT && !part.short { &SEEDS[..] } else { &SEEDS[..1] };
        for &seed in seeds {
            let tests = grade::tests(tables, lab, seed);
            let of = if lab.number == HUNT { format!(", seed {seed}") } else { String::new() };
            checks.push(Check {
                name: format!("lab {}{of}: the project's modules get all points", lab.number),
                replaced: Replaced::new(),
                tests: tests.clone(),
                expected: Expected::All,
            });
            checks.push(Check {
                name: format!("lab {}{of}: the stub gets none", lab.number),
                replaced: student::stubs(project, tables, lab, seed)?,
                tests,
                expected: Expected::None,
            });
        }
        let of_lab = tables.zoo.iter().filter(|bug| bug.lab == lab.number);
        for bug in of_lab.take(if part.short { 1 } else { usize::MAX }) {
            checks.push(seeded(project, lab, bug)?);
        }
    }
    let mut tests: Vec<_> = tables.zoo.iter().map(Bug::as_test).collect();
    tests.retain(|test| !part.short || tables.is_of_suites(&test.program));
    checks.push(Check {
        name: "zoo: without the bugs all tests pass".to_owned(),
        replaced: Replaced::new(),
        tests,
        expected: Expected::All,
    });
    let is_chosen = |check: &Check| {
        let mut parts = part.filter.iter();
        part.filter.is_empty() || parts.any(|part| check.name.contains(part))
    };
    checks.retain(is_chosen);
    // The copy of the project is the same for all of these: what they need is built once.
    checks.sort_by_key(|check| check.expected != Expected::All);
    Ok(checks)
}

/// The check of one bug: its own test fails, and so its lab's grade is not full.
fn seeded(project: &Project, lab: &Lab, bug: &Bug) -> Result<Check, Error> {
    let module = bug.seed(&project::read(&project.path(&bug.file))?)?;
    let test = bug.as_test();
    let is_graded = |graded: &Test| graded.program == test.program && graded.name == test.name;
    if lab.number != HUNT && !lab.tests.iter().any(is_graded) {
        let what = format!("{}: lab {} does not grade {}", bug.name, lab.number, bug.test);
        return Err(Error::Table("labs/zoo.toml".into(), what));
    }
    Ok(Check {
        name: format!("lab {}: bug {} costs points", lab.number, bug.name),
        replaced: [(bug.file.clone(), module.into_bytes())].into(),
        tests: vec![test],
        expected: Expected::NotAll,
    })
}
