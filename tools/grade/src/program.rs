//! Builds a program of tests in the copy of the project, and runs single tests.

use std::env;
use std::io::{self, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wait_timeout::ChildExt as _;

use crate::error::Error;
use crate::project::Project;
use crate::seen::Seen;
use crate::table::{Program, Test};
use crate::tree::Tree;

/// Time that a test may take as long as each has ended, and once one has not.
const TIME: Duration = Duration::from_secs(60);
const SHORT_TIME: Duration = Duration::from_secs(5);

/// Signals that a program of a wrong heap dies of.
const SIGNALS: [(i32, &str); 4] = [
    (4, "an illegal instruction"),
    (6, "an abort"),
    (7, "a bus error"),
    (11, "a segmentation fault"),
];

/// Time after which a build is worth a word.
const SLOW: Duration = Duration::from_secs(1);

/// Random programs of each kind: enough to find what the labs are about.
const RANDOM: &str = "32";

/// Set by cargo for the programs that it runs; they would mislead a cargo below it.
const FROM_OUTER_CARGO: [&str; 5] =
    ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_CRATE_NAME", "LD_LIBRARY_PATH"];

/// A program that was built.
#[derive(Clone, Debug)]
pub struct Built {
    /// The program.
    pub(crate) executable: PathBuf,
    /// Folder where it runs.
    pub(crate) folder: PathBuf,
}

/// Time that the tests of a grade may take. An endless loop in a student's function usually stops
/// many tests: the first one waits long, the ones that begin after it do not.
#[derive(Debug)]
pub struct Patience {
    /// Time for each test until one has not ended.
    pub(crate) long: Duration,
    /// Time for each test that begins later.
    pub(crate) short: Duration,
    is_lost: AtomicBool,
}

impl Patience {
    /// Patience that gives a test `long`, and `short` once a test has not ended.
    pub(crate) const fn new(long: Duration, short: Duration) -> Self {
        Self { long, short, is_lost: AtomicBool::new(false) }
    }

    /// Time for the test that begins now.
    fn time(&self) -> Duration {
        if self.is_lost.load(Ordering::Relaxed) { self.short } else { self.long }
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::new(TIME, SHORT_TIME)
    }
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed, and this was seen.
    Failed(Seen),
}

/// Progress of a grade: builds that take their time, and tests.
#[derive(Clone, Copy, Debug)]
pub enum Told<'a> {
    /// A build runs.
    Begun(&'a Program),
    /// It has ended, after this time.
    Ended(Duration),
    /// A test has ended like this.
    Tested(&'a Test, &'a Verdict),
}

/// Builds a program of tests. `on_slow` is told of a build that takes its time.
///
/// # Errors
///
/// `Ok(Err(…))` has what the compiler wrote, if the modules do not compile.
pub fn build(
    project: &Project,
    tree: &Tree,
    program: &Program,
    on_slow: &mut dyn FnMut(Told<'_>),
) -> Result<Result<Built, String>, Error> {
    let folder = tree.root().join(&program.folder);
    let mut arguments = program.arguments.clone();
    arguments.push("--no-run".to_owned());
    let program = Program { arguments, ..program.clone() };
    let executable = executable(project, tree, &program, on_slow)?;
    Ok(executable.map(|executable| Built { executable, folder }))
}

/// Builds a program, and returns where it is. `on_slow` is told of a build that takes its time.
///
/// # Errors
///
/// `Ok(Err(…))` has what the compiler wrote, if the modules do not compile.
pub fn executable(
    project: &Project,
    tree: &Tree,
    program: &Program,
    on_slow: &mut dyn FnMut(Told<'_>),
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
    let begun = Instant::now();
    let mut is_slow = false;
    let ended = run_for(&mut command, SLOW, || {
        is_slow = true;
        on_slow(Told::Begun(program));
        None
    });
    let (status, messages, errors) = ended.map_err(start)?;
    if is_slow {
        on_slow(Told::Ended(begun.elapsed()));
    }
    if !status.is_some_and(|status| status.success()) {
        return Ok(Err(errors));
    }
    match named_in(&messages) {
        Some(executable) => Ok(Ok(executable)),
        None => Err(Error::Build("cargo named no program".to_owned())),
    }
}

/// The executable that cargo's messages in JSON name. (No path of the project has a letter that JSON
/// writes otherwise: the set-up sees to it.)
fn named_in(messages: &str) -> Option<PathBuf> {
    let (_, rest) = messages.split_once(r#""executable":""#)?;
    rest.split('"').next().map(PathBuf::from)
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
    pub fn run(&self, test: &str, patience: &Patience) -> Result<Verdict, Error> {
        let start = |error| Error::Start(self.executable.display().to_string(), error);
        let mut command = Command::new(&self.executable);
        command
            .args(["--exact", test, "--test-threads", "1"])
            .current_dir(&self.folder)
            .env("PROPTEST_CASES", RANDOM)
            .env("PROPTEST_RNG_SEED", "1")
            .env("RUST_BACKTRACE", "0");
        let time = patience.time();
        let (status, output, errors) =
            run_for(&mut command, time, || Some(Duration::ZERO)).map_err(start)?;
        let output = output + &errors;
        let seen = Seen::read(&output);
        let ended = |how: String| Verdict::Failed(Seen { found: Some(how), ..seen.clone() });
        Ok(match status {
            None => {
                patience.is_lost.store(true, Ordering::Relaxed);
                ended(format!("no end within {} s", time.as_secs()))
            }
            Some(status) if status.success() && output.contains("test result: ok. 1 passed") => {
                Verdict::Passed
            }
            Some(status) if status.success() => return Err(Error::NoTest(test.to_owned())),
            Some(status) => match status.signal() {
                Some(signal) => {
                    let known = SIGNALS.iter().find(|(number, _)| *number == signal);
                    let name = known.map_or("a signal", |(_, name)| name);
                    ended(format!("the process ended by {name} ({signal})"))
                }
                None if seen == Seen::default() => ended("a failure without a message".to_owned()),
                None => Verdict::Failed(seen),
            },
        })
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

/// Runs a command, and returns its status, output and error output. After `time` it asks `on_time`
/// how long to wait on: `None` for as long as it takes. A program that has not ended by then is
/// killed, and has no status.
fn run_for(
    command: &mut Command,
    time: Duration,
    on_time: impl FnOnce() -> Option<Duration>,
) -> io::Result<(Option<ExitStatus>, String, String)> {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut stdout = child.stdout.take().expect("it is piped");
    let mut stderr = child.stderr.take().expect("it is piped");
    std::thread::scope(|scope| {
        let errors = scope.spawn(move || read(&mut stderr));
        let output = scope.spawn(move || read(&mut stdout));
        let mut status = child.wait_timeout(time);
        if let Ok(None) = status {
            status = match on_time() {
                None => child.wait().map(Some),
                Some(more) => child.wait_timeout(more),
            };
        }
        if let Ok(None) = status {
            // The process may have ended meanwhile: then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
        }
        let text = |thread: std::thread::ScopedJoinHandle<'_, _>| thread.join().unwrap_or_default();
        Ok((status?, text(output), text(errors)))
    })
}

/// All that a program writes.
fn read(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    // What was written before an error is shown.
    let _ = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_is_found_among_the_messages() {
        let messages = "{\"reason\":\"a\",\"executable\":null}\n\
            {\"reason\":\"a\",\"executable\":\"/a/b\",\"fresh\":true}\n";
        assert_eq!(named_in(messages), Some("/a/b".into()));
        assert_eq!(named_in("{\"executable\":null}"), None);
    }
}
