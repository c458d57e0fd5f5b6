//! The tables of `labs/`: labs, the programs that test them, and the zoo of seeded bugs.
//!
//! ```text
//!   labs/labs.toml     programs of tests, and what cargo is told to build them
//!   labs/N/lab.toml    what the student writes, and the tests with their points
//!   labs/zoo.toml      bugs: file, text, its replacement, and the test that catches it
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::error::Error;
use crate::project::{self, Project};

/// Numbers of the labs.
pub const LABS: std::ops::RangeInclusive<u32> = 1..=10;

/// The lab whose modules are seeded with bugs.
pub const HUNT: u32 = 10;

/// Bugs of a hunt.
pub const HUNTED: usize = 5;

/// A program of tests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Program {
    /// Folder of the package or workspace.
    pub folder: PathBuf,
    /// Folder for build output: programs of one workspace share one.
    pub output: String,
    /// Arguments of `cargo`, which build the program.
    pub arguments: Vec<String>,
    /// Variables for `cargo`.
    #[serde(default)]
    pub environment: BTreeMap<String, String>,
}

/// A lab.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lab {
    /// Number of the lab.
    #[serde(skip)]
    pub number: u32,
    /// What it is about.
    pub title: String,
    /// Functions that the student writes. None for the hunt.
    #[serde(default, rename = "cut")]
    pub cuts: Vec<Cut>,
    /// Tests with their points. For the hunt those of the bugs.
    #[serde(default, rename = "test")]
    pub tests: Vec<Test>,
}

/// A function that the student writes.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Module of the project.
    pub file: PathBuf,
    /// Type or trait and name, as `SimpleHeap::grow`.
    pub function: String,
    /// What the stub says in the function's place.
    pub hint: String,
}

/// A test with its points.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Program that has the test.
    pub program: String,
    /// Name in the program.
    pub name: String,
    /// Points for a test that passes.
    pub points: u32,
    /// `false` for a test that the lab's page shows.
    #[serde(default)]
    pub hidden: bool,
    /// Reason why points are lost.
    pub reason: String,
}

/// A bug of the zoo.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bug {
    /// Name.
    pub name: String,
    /// Lab whose grade shows the bug.
    pub lab: u32,
    /// Module of the project.
    pub file: PathBuf,
    /// Text that occurs once in the module.
    pub find: String,
    /// Text in its place.
    pub replace: String,
    /// Explanation: what goes wrong.
    pub why: String,
    /// Program that has the test.
    pub program: String,
    /// Name of the test that catches the bug.
    pub test: String,
}

impl Bug {
    /// Puts the bug into the text of its module.
    ///
    /// # Errors
    ///
    /// The text to replace does not occur exactly once.
    pub fn seed(&self, module: &str) -> Result<String, Error> {
        match module.matches(&self.find).count() {
            1 => Ok(module.replacen(&self.find, &self.replace, 1)),
            count => {
                let what = format!("{}: its text occurs {count} times, not once", self.name);
                Err(Error::Stub(self.file.clone(), what))
            }
        }
    }
}

/// The zoo's file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Zoo {
    #[serde(rename = "bug")]
    bugs: Vec<Bug>,
}

/// The file of programs.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Programs {
    #[serde(rename = "program")]
    programs: BTreeMap<String, Program>,
}

/// Everything that `labs/` says.
#[derive(Debug)]
pub struct Tables {
    /// Programs of tests, by name.
    pub programs: BTreeMap<String, Program>,
    /// The labs, by number.
    pub labs: BTreeMap<u32, Lab>,
    /// The zoo.
    pub zoo: Vec<Bug>,
}

impl Tables {
    /// Reads all tables.
    ///
    /// # Errors
    ///
    /// A table cannot be read, or breaks a rule.
    pub fn read(project: &Project) -> Result<Self, Error> {
        let programs: Programs = parse(project, "labs/labs.toml")?;
        let zoo: Zoo = parse(project, "labs/zoo.toml")?;
        let mut labs = BTreeMap::new();
        for number in LABS {
            let lab: Lab = parse(project, &format!("labs/{number}/lab.toml"))?;
            labs.insert(number, Lab { number, ..lab });
        }
        Ok(Self { programs: programs.programs, labs, zoo: zoo.bugs })
    }

    /// The lab of a number.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn lab(&self, number: u32) -> Result<&Lab, Error> {
        self.labs.get(&number).ok_or_else(|| Error::NoLab(number.to_string()))
    }

    /// Bugs that a hunt can draw: those that the allocator's suites catch.
    pub fn huntable(&self) -> impl Iterator<Item = &Bug> {
        self.zoo.iter().filter(|bug| bug.program == "suites")
    }

    /// Draws the bugs of a hunt: no two of one module, so that no bug hides another.
    #[must_use]
    pub fn hunt(&self, seed: u64) -> Vec<&Bug> {
        let mut pool: Vec<_> = self.huntable().collect();
        fastrand::Rng::with_seed(seed).shuffle(&mut pool);
        let mut drawn: Vec<&Bug> = Vec::new();
        for bug in pool {
            let is_other = drawn.iter().all(|other| other.file != bug.file);
            drawn.extend((drawn.len() < HUNTED && is_other).then_some(bug));
        }
        drawn
    }
}

impl Lab {
    /// All points of the lab.
    #[must_use]
    pub fn points(&self) -> u32 {
        self.tests.iter().map(|test| test.points).sum()
    }
}

impl From<&Bug> for Test {
    /// The test of a hunted bug. Its name, and not its bug, is what a student sees.
    fn from(bug: &Bug) -> Self {
        let (program, name) = (bug.program.clone(), bug.test.clone());
        let reason = "a bug is still there".to_owned();
        Self { program, name, points: 4, hidden: false, reason }
    }
}

fn parse<T: DeserializeOwned>(project: &Project, file: &str) -> Result<T, Error> {
    let text = project::read(&project.path(file))?;
    toml::from_str(&text).map_err(|error| Error::Table(file.into(), error.to_string()))
}
