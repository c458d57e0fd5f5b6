//! The tables of `labs/`: labs, the programs that test them, and the zoo of seeded bugs.
//!
//! ```text
//!   labs/labs.toml     programs of tests, and what cargo is told to build them
//!   labs/N/lab.toml    what the student writes, and the tests with their points
//!   labs/zoo.toml      bugs: file, text, its replacement, and the test that catches it
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::error::Error;
use crate::fields::Fields;
use crate::project::{self, Project};

/// Numbers of the labs.
pub const LABS: std::ops::RangeInclusive<u32> = 1..=10;

/// The lab whose modules are seeded with bugs.
pub const HUNT: u32 = 10;

/// Program of all tests of the allocator.
pub const SUITES: &str = "suites";

/// Bugs of a hunt.
pub const HUNTED: usize = 5;

/// A program of tests.
#[derive(Clone, Debug)]
pub struct Program {
    /// What it is, for people.
    pub title: String,
    /// Program that has all of these tests, and others.
    pub part_of: Option<String>,
    /// Folder of the package or workspace.
    pub folder: PathBuf,
    /// Folder for build output: programs of one workspace share one.
    pub output: String,
    /// Arguments of `cargo`, which build the program.
    pub arguments: Vec<String>,
    /// Variables for `cargo`.
    pub environment: BTreeMap<String, String>,
}

/// A lab.
#[derive(Clone, Debug)]
pub struct Lab {
    /// Number of the lab.
    pub number: u32,
    /// What it is about.
    pub title: String,
    /// Functions that the student writes. None for the hunt.
    pub cuts: Vec<Cut>,
    /// Tests with their points. For the hunt those of the bugs.
    pub tests: Vec<Test>,
}

/// A function that the student writes.
#[derive(Clone, Debug)]
pub struct Cut {
    /// Module of the project.
    pub file: PathBuf,
    /// Type or trait and name, as `SimpleHeap::grow`.
    pub function: String,
    /// What the stub says in the function's place.
    pub hint: String,
}

/// A test with its points.
#[derive(Clone, Debug)]
pub struct Test {
    /// Program that has the test.
    pub program: String,
    /// Name in the program.
    pub name: String,
    /// Points for a test that passes.
    pub points: u32,
    /// `false` for a test that the lab's page shows.
    pub hidden: bool,
    /// What to read where points are lost: numbers of claims, or files.
    pub read: Vec<String>,
}

/// A bug of the zoo.
#[derive(Clone, Debug)]
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

impl Program {
    fn read(fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            title: fields.text("title")?,
            part_of: fields.text_or_none("part_of")?,
            folder: fields.text("folder")?.into(),
            output: fields.text("output")?,
            arguments: fields.texts("arguments")?,
            environment: fields.texts_by_name("environment")?,
        })
    }
}

impl Lab {
    fn read(number: u32, fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            number,
            title: fields.text("title")?,
            cuts: fields.list("cut", Cut::read)?,
            tests: fields.list("test", Test::read)?,
        })
    }
}

impl Cut {
    fn read(fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            file: fields.text("file")?.into(),
            function: fields.text("function")?,
            hint: fields.text("hint")?,
        })
    }
}

impl Test {
    fn read(fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            program: fields.text("program")?,
            name: fields.text("name")?,
            points: fields.number("points")?,
            hidden: fields.flag("hidden")?,
            read: fields.texts("read")?,
        })
    }
}

impl Bug {
    fn read(fields: &mut Fields<'_>) -> Result<Self, String> {
        Ok(Self {
            name: fields.text("name")?,
            lab: fields.number("lab")?,
            file: fields.text("file")?.into(),
            find: fields.text("find")?,
            replace: fields.text("replace")?,
            why: fields.text("why")?,
            program: fields.text("program")?,
            test: fields.text("test")?,
        })
    }

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
        let programs =
            parse(project, "labs/labs.toml", |file| file.named("program", Program::read))?;
        let zoo = parse(project, "labs/zoo.toml", |file| file.list("bug", Bug::read))?;
        let mut labs = BTreeMap::new();
        for number in LABS {
            let file = format!("labs/{number}/lab.toml");
            labs.insert(number, parse(project, &file, |file| Lab::read(number, file))?);
        }
        Ok(Self { programs, labs, zoo })
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
        self.zoo.iter().filter(|bug| self.is_of_suites(&bug.program))
    }

    /// Whether all tests of a program are in [`SUITES`].
    #[must_use]
    pub fn is_of_suites(&self, program: &str) -> bool {
        let whole = self.programs.get(program).and_then(|program| program.part_of.as_deref());
        whole.unwrap_or(program) == SUITES
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

impl Bug {
    /// The test that catches the bug. Its name, and not its bug, is what a student sees.
    #[must_use]
    pub fn as_test(&self) -> Test {
        let (program, name) = (self.program.clone(), self.test.clone());
        Test { program, name, points: 4, hidden: false, read: Vec::new() }
    }

    /// The same in the program of all tests, for a hunt, whose bugs are anywhere: what to read is
    /// the suite.
    #[must_use]
    pub fn as_hunted(&self) -> Test {
        let suite = self.test.split("::").next().unwrap_or_default();
        let read = vec![format!("tests/{suite}.rs"), "docs/TESTING.md".to_owned()];
        Test { program: SUITES.to_owned(), read, ..self.as_test() }
    }
}

/// Reads a file of which nothing may be left over.
fn parse<T>(
    project: &Project,
    file: &str,
    read: impl FnOnce(&mut Fields<'_>) -> Result<T, String>,
) -> Result<T, Error> {
    let text = project::read(&project.path(file))?;
    let table = || {
        let mut fields = Fields::parse(&text)?;
        let table = read(&mut fields)?;
        fields.end()?;
        Ok(table)
    };
    table().map_err(|what| Error::Table(file.into(), what))
}
