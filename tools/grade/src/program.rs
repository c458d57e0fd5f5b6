//! Builds a program of tests in the copy of the project, and runs single tests.

use std::env;
use std::io::Read;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use wait_timeout::ChildExt as _;

use crate::error::Error;
use crate::project::Project;
use crate::table::Program;
use crate::tree::Tree;

/// Time that one test may take.
const TIME: Duration = Duration::from_secs(60);

/// Random programs of each kind: enough to find what the labs are about.
const RANDOM: &str = "32";

/// Set by cargo for the programs that it runs; they would mislead a cargo below it.
const FROM_OUTER_CARGO: [&str; 5] =
    ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_CRATE_NAME", "LD_LIBRARY_PATH"];

/// A program that was built.
#[derive(Clone, Debug)]
pub struct Built {
    executable: PathBuf,
    folder: PathBuf,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed: the message of its panic.
    Failed(String),
    /// A signal ended it.
    Killed(i32),
    /// It did not end in time.
    TooLong,
}

/// Builds a program of tests.
///
/// # Errors
///
/// `Ok(Err(…))` has what the compiler wrote, if the modules do not compile.
pub fn build(
    project: &Project,
    tree: &Tree,
    program: &Program,
) -> Result<Result<Built, String>, Error> {
    let folder = tree.root().join(&program.folder);
    let mut arguments = program.arguments.clone();
    arguments.push("--no-run".to_owned());
    let executable = executable(project, tree, &Program { arguments, ..program.clone() })?;
    Ok(executable.map(|executable| Built { executable, folder }))
}

/// Builds a program, and returns where it is.
///
/// # Errors
///
/// `Ok(Err(…))` has what the compiler wrote, if the modules do not compile.
pub fn executable(
    project: &Project,
    tree: &Tree,
    program: &Program,
) -> Result<Result<PathBuf, String>, Error> {
    let mut command = Command::new("cargo");
    for variable in FROM_OUTER_CARGO {
        command.env_remove(variable);
    }
    command
        .current_dir(tree.root().join(&program.folder))
        .args(&program.arguments)
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .env("CARGO_TARGET_DIR", project.target().join(&program.output))
        .env("CARGO_TERM_COLOR", if color() { "always" } else { "never" })
        .envs(&program.environment);
    let start = |error| Error::Start("cargo".to_owned(), error);
    let output = command.stdin(Stdio::null()).output().map_err(start)?;
    if !output.status.success() {
        return Ok(Err(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let executable = messages.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    match executable {
        Some(executable) => Ok(Ok(executable)),
        None => Err(Error::Build("cargo named no program".to_owned())),
    }
}

/// Whether the reader's terminal shows colours.
fn color() -> bool {
    use std::io::IsTerminal as _;
    std::io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none()
}

impl Built {
    /// Runs one test, in a process of its own: a student's heap may loop or crash.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or has no such test.
    pub fn run(&self, test: &str) -> Result<Verdict, Error> {
        let start = |error| Error::Start(self.executable.display().to_string(), error);
        let mut child = Command::new(&self.executable)
            .args(["--exact", test, "--test-threads", "1"])
            .current_dir(&self.folder)
            .env("PROPTEST_CASES", RANDOM)
            .env("PROPTEST_RNG_SEED", "1")
            .env("RUST_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(start)?;
        let mut stdout = child.stdout.take().expect("it is piped");
        let mut stderr = child.stderr.take().expect("it is piped");
        let (status, output) = std::thread::scope(|scope| {
            let errors = scope.spawn(move || read(&mut stderr));
            let output = scope.spawn(move || read(&mut stdout));
            let status = child.wait_timeout(TIME);
            if let Ok(None) = status {
                // The process may have ended meanwhile: then there is nothing to kill.
                let _ = child.kill();
                let _ = child.wait();
            }
            let text =
                |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_default();
            (status, text(output) + &text(errors))
        });
        match status.map_err(start)? {
            None => Ok(Verdict::TooLong),
            Some(status) if status.success() && output.contains("test result: ok. 1 passed") => {
                Ok(Verdict::Passed)
            }
            Some(status) if status.success() => Err(Error::NoTest(test.to_owned())),
            Some(status) => Ok(match status.signal() {
                Some(signal) => Verdict::Killed(signal),
                None => Verdict::Failed(message(&output)),
            }),
        }
    }

    /// Returns the names of the program's tests.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let start = |error| Error::Start(self.executable.display().to_string(), error);
        let output = Command::new(&self.executable).arg("--list").output().map_err(start)?;
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(Into::into).collect())
    }
}

/// All that a program writes.
fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    // What was written before an error is shown.
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Characters of a panic's message that are shown.
const SHOWN: usize = 400;

/// The last panic of a test: its place, and its message on one line.
fn message(output: &str) -> String {
    let mut lines = output.lines();
    let mut message = String::from("it failed without a message");
    while let Some(line) = lines.next() {
        let Some((_, place)) = line.split_once(" panicked at ") else { continue };
        let is_end = |line: &&str| line.is_empty() || line.starts_with("note: run with");
        let text: Vec<_> = lines.by_ref().take_while(|line| !is_end(line)).collect();
        let text = text.join(" ");
        let words: Vec<_> = text.split_whitespace().collect();
        let text: String = words.join(" ").chars().take(SHOWN).collect();
        message = format!("{place} {text}");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_shown_with_its_place() {
        let output = "\
thread 'a' (7) panicked at tests/a.rs:3:5:
assertion failed
  left: 1
note: run with `RUST_BACKTRACE=1`

failures:
";
        assert_eq!(message(output), "tests/a.rs:3:5: assertion failed left: 1");
        assert_eq!(message("nothing"), "it failed without a message");
    }
}
