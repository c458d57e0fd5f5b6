//! Copies the project, writes the mutants into its sources, and compiles its tests once.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::Error;
use crate::mutant::Mutant;
use crate::schema::{ASKED, FEATURES, Schema};

/// The copy of the project.
pub const TREE: &str = "target/mutants/tree";

/// Most rounds of compiling, each without the mutants that the one before did not compile.
const ROUNDS: usize = 30;

/// The compiled tests, the quick ones first, and the numbers of mutants that do not compile.
#[derive(Clone, Debug)]
pub struct Built {
    /// The programs.
    pub programs: Vec<PathBuf>,
    /// Numbers of mutants.
    pub uncompiled: BTreeSet<usize>,
}

/// The copy of the project.
struct Copy<'a> {
    root: &'a Path,
    folder: PathBuf,
    mutants: &'a BTreeMap<usize, &'a Mutant>,
}

/// Compiles the tests with the mutants that have these numbers, the first of which is above 0.
/// `say` gets what is done.
///
/// # Errors
///
/// A file, or that the tests do not compile for another reason than a mutant.
pub fn build(
    root: &Path,
    mutants: &BTreeMap<usize, &Mutant>,
    say: impl Fn(&str),
) -> Result<Built, Error> {
    let copy = Copy { root, folder: root.join(TREE), mutants };
    take(root, &copy.folder)?;
    let mut uncompiled = BTreeSet::new();
    for _ in 0..ROUNDS {
        let schemas = copy.write(&uncompiled)?;
        let errors = copy.errors()?;
        say(&format!("{} mutants, {} errors", mutants.len() - uncompiled.len(), errors.len()));
        if errors.is_empty() {
            return Ok(Built { programs: copy.programs()?, uncompiled });
        }
        let before = uncompiled.len();
        for error in &errors {
            let Some(schema) = schemas.get(&error.file) else { continue };
            uncompiled.extend(schema.mutants_at(&error.bytes).into_iter().flatten());
        }
        if uncompiled.len() == before {
            return Err(Error::Build(errors[0].text.clone()));
        }
    }
    Err(Error::Build("each round finds other mutants that do not compile".into()))
}

/// Copies what git knows. Times stay, so that builds do.
///
/// # Errors
///
/// A file that cannot be copied.
pub fn take(root: &Path, folder: &Path) -> Result<(), Error> {
    let script = "rm -rf \"$1\" && mkdir -p \"$1\" && \
        git ls-files -z --cached --others --exclude-standard | xargs -0 cp -p --parents -t \"$1\"";
    let status = Command::new("sh")
        .args(["-c", script, "sh"])
        .arg(folder)
        .current_dir(root)
        .status()
        .map_err(|error| Error::Run("sh".into(), error))?;
    if status.success() { Ok(()) } else { Err(Error::Copy(folder.to_owned())) }
}

/// An error of the compiler.
struct Failure {
    /// The source, in the project.
    file: String,
    bytes: Range<usize>,
    text: String,
}

impl Copy<'_> {
    /// Writes the sources with all mutants but those, and returns them by their names.
    fn write(&self, without: &BTreeSet<usize>) -> Result<BTreeMap<String, Schema>, Error> {
        let mut of_file: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
        for (&number, mutant) in self.mutants {
            let list = of_file.entry(&mutant.file).or_default();
            if !without.contains(&number) {
                list.push((number, mutant));
            }
        }
        let mut schemas = BTreeMap::new();
        for (file, mutants) in of_file {
            let schema = Schema::new(&self.read(file)?, &mutants)
                .map_err(|error| Error::Build(format!("{file}: {error}")))?;
            self.put(file, &schema.text)?;
            schemas.insert(file.to_owned(), schema);
        }
        let root = self.read("src/lib.rs")?;
        self.put("src/lib.rs", &format!("{FEATURES}{root}{ASKED}"))?;
        Ok(schemas)
    }

    fn read(&self, file: &str) -> Result<String, Error> {
        let path = self.root.join(file);
        fs::read_to_string(&path).map_err(|error| Error::File(path, error))
    }

    fn put(&self, file: &str, text: &str) -> Result<(), Error> {
        let path = self.folder.join(file);
        fs::write(&path, text).map_err(|error| Error::File(path, error))
    }

    /// The errors of the crate with its unit tests.
    fn errors(&self) -> Result<Vec<Failure>, Error> {
        let mut errors = Vec::new();
        for target in [&["check", "--lib"][..], &["check", "--lib", "--profile", "test"]] {
            let (succeeded, messages) = messages(cargo_of_schema(self.root, &self.folder, target))?;
            let before = errors.len();
            for message in messages.into_iter().filter_map(|message| message.message) {
                let Diagnostic { level, spans, rendered } = message;
                let primary = spans.into_iter().find(|span| span.is_primary);
                if let Some(Span { file_name, byte_start, byte_end, .. }) = primary
                    && level == "error"
                {
                    let text = rendered.unwrap_or_default();
                    errors.push(Failure { file: file_name, bytes: byte_start..byte_end, text });
                }
            }
            if !succeeded && errors.len() == before {
                return Err(Error::Build("cargo check fails without an error in a source".into()));
            }
            if !errors.is_empty() {
                break;
            }
        }
        Ok(errors)
    }

    /// Compiles the tests, optimised: unit tests, which take seconds; suites with one profile; and
    /// with all of them, which judge what the others passed.
    fn programs(&self) -> Result<Vec<PathBuf>, Error> {
        let kinds = [
            (&["--lib", ONE_PROFILE[0], ONE_PROFILE[1]][..]),
            &["--test", "all", ONE_PROFILE[0], ONE_PROFILE[1]],
            &["--test", "all"],
        ];
        let build = |kind: &&[&str]| {
            let arguments = [&["test", "--no-run", "--profile", "suites"], *kind].concat();
            let command = cargo_of_schema(self.root, &self.folder, &arguments);
            let (succeeded, messages) = messages(command)?;
            let program = executables(messages).next().filter(|_| succeeded);
            program.ok_or_else(|| Error::Build("the tests do not compile".into()))
        };
        kinds.iter().map(build).collect()
    }
}

/// What leaves all profiles but one out of the tests.
const ONE_PROFILE: [&str; 2] = ["--features", "case-finder/one-profile"];

/// Another copy, in which one mutant at a time is written as it is: those of constants.
#[derive(Debug)]
pub struct Plain<'a> {
    root: &'a Path,
    folder: PathBuf,
}

impl<'a> Plain<'a> {
    /// Copies the project.
    ///
    /// # Errors
    ///
    /// A file that cannot be copied.
    pub fn new(root: &'a Path) -> Result<Self, Error> {
        let folder = root.join("target/mutants/plain");
        take(root, &folder)?;
        Ok(Self { root, folder })
    }

    /// Writes a mutant into its source, or the source without it.
    ///
    /// # Errors
    ///
    /// The file.
    pub fn put(&self, mutant: &Mutant, is_there: bool) -> Result<(), Error> {
        let (from, to) = (self.root.join(&mutant.file), self.folder.join(&mutant.file));
        let source = fs::read_to_string(&from).map_err(|error| Error::File(from.clone(), error))?;
        let text = if is_there { mutant.applied(&source) } else { source };
        fs::write(&to, text).map_err(|error| Error::File(to, error))
    }

    /// Compiles the unit tests, or the suites. `None`: they do not compile.
    ///
    /// # Errors
    ///
    /// Cargo does not run.
    pub fn program(&self, is_unit: bool) -> Result<Option<PathBuf>, Error> {
        let tests = if is_unit {
            &["--lib", ONE_PROFILE[0], ONE_PROFILE[1]][..]
        } else {
            &["--profile", "suites", "--test", "all"]
        };
        let arguments = [&["test", "--no-run"], tests].concat();
        let (succeeded, messages) =
            messages(cargo(self.root, &self.folder, "plain-build", &arguments))?;
        Ok(executables(messages).next().filter(|_| succeeded))
    }
}

/// [`cargo`] for all mutants at once: lints deny what some may be, and the crate asks in functions
/// that the compiler may evaluate, which takes unstable features.
fn cargo_of_schema(root: &Path, copy: &Path, arguments: &[&str]) -> Command {
    let mut command = cargo(root, copy, "build", arguments);
    command.env("RUSTFLAGS", "--cap-lints=allow").env("RUSTC_BOOTSTRAP", "brkalloc");
    command
}

/// Cargo in a copy, with a folder of its own for what it builds.
fn cargo(root: &Path, copy: &Path, sort: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(arguments);
    command.args(["--package", "brkalloc", "--message-format", "json"]);
    command.current_dir(copy).stderr(Stdio::null());
    command.env("CARGO_TARGET_DIR", root.join("target/mutants").join(sort));
    command.env("CARGO_INCREMENTAL", "1").env("CARGO_PROFILE_DEV_DEBUG", "0");
    command
}

/// Whether cargo succeeded, and what it said.
fn messages(mut command: Command) -> Result<(bool, Vec<Message>), Error> {
    let output = command.output().map_err(|error| Error::Run("cargo".into(), error))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok((output.status.success(), messages))
}

fn executables(messages: Vec<Message>) -> impl Iterator<Item = PathBuf> {
    messages.into_iter().filter_map(|message| message.executable)
}

/// What cargo writes.
#[derive(Debug, Deserialize)]
struct Message {
    message: Option<Diagnostic>,
    executable: Option<PathBuf>,
}

#[derive(Debug, Deserialize)]
struct Diagnostic {
    level: String,
    spans: Vec<Span>,
    rendered: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Span {
    file_name: String,
    byte_start: usize,
    byte_end: usize,
    is_primary: bool,
}
