//! Runs the tests with one mutant, until the first of them fails.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader};
use std::iter;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use wait4::Wait4;

use crate::Error;

/// Tests that search or wait, and are left out.
const SLOW: [&str; 3] = ["worlds::", "threads", "single_step"];

/// Most memory of a program, in KiB: a heap that went wrong may want all.
const MEMORY: &str = "6291456";

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// All tests passed.
    Passed,
    /// A test failed, or the program crashed.
    Failed,
    /// The time was over.
    TimedOut,
}

/// Runs a program with limits: memory, processor time, time.
const LIMITED: &str = "ulimit -c 0; ulimit -d \"$0\"; ulimit -S -t \"$1\"; time=$2; shift 2; \
    exec timeout --signal=KILL \"$time\" \"$@\"";

/// How many times as long a run may take as it may take of a processor: the machine may be busy.
const WALL: u64 = 60;

/// The signals that end a program whose time, or time on a processor, is over.
const SIGKILL: i32 = 9;
const SIGXCPU: i32 = 24;

/// What became of a run.
struct Run {
    end: End,
    /// The test that ran last.
    test: String,
    /// Processor time.
    took: Duration,
}

/// The test programs with their longest times.
#[derive(Debug)]
pub struct Trial {
    folder: PathBuf,
    programs: Vec<Program>,
}

#[derive(Debug)]
struct Program {
    path: PathBuf,
    /// Most processor time of a run, in seconds.
    limit: u64,
    /// How many mutants each test has caught.
    caught: Mutex<HashMap<String, usize>>,
}

/// How many tests run before all others: those that have caught the most.
const FIRST: usize = 12;

impl Program {
    /// The arguments that select the tests which caught the most; `None` before any test has.
    fn best(&self) -> Option<Vec<String>> {
        let caught = self.caught.lock().expect("no worker panics");
        let mut tests: Vec<_> = caught.iter().collect();
        tests.sort_by_key(|&(name, count)| (usize::MAX - count, name));
        let names = tests.into_iter().take(FIRST).map(|(name, _)| name.clone());
        let arguments: Vec<_> = iter::once("--exact".to_owned()).chain(names).collect();
        (arguments.len() > 1).then_some(arguments)
    }
}

impl Trial {
    /// Runs all tests without a mutant: each program may take five times as long with one.
    ///
    /// # Errors
    ///
    /// A program that does not run, or whose tests fail.
    pub fn new(folder: &Path, programs: &[PathBuf]) -> Result<Self, Error> {
        let mut trial = Self { folder: folder.to_owned(), programs: Vec::new() };
        for path in programs {
            let Run { end, test, took } = trial.run(path, &all(), 0, [1200, 1200 * WALL])?;
            if end != End::Passed {
                return Err(Error::Baseline(path.clone(), test));
            }
            let limit = took.as_secs() * 5 + 10;
            trial.programs.push(Program { path: path.clone(), limit, caught: Mutex::default() });
        }
        Ok(trial)
    }

    /// Runs the programs with the mutant of this number, up to the first that does not pass.
    ///
    /// # Errors
    ///
    /// A program does not run.
    pub fn of(&self, number: usize) -> Result<End, Error> {
        for program in &self.programs {
            let limit = program.limit;
            for tests in program.best().into_iter().chain([all()]) {
                let Run { end, test, .. } =
                    self.run(&program.path, &tests, number, [limit, limit * WALL])?;
                if end != End::Passed {
                    let mut caught = program.caught.lock().expect("no worker panics");
                    *caught.entry(test).or_default() += 1;
                    return Ok(end);
                }
            }
        }
        Ok(End::Passed)
    }

    /// Runs a program that was compiled with one mutant; `at` says which of the programs it is.
    /// Without optimisation it may take five times as long again.
    ///
    /// # Errors
    ///
    /// The program does not run.
    pub fn of_program(&self, at: usize, program: &Path) -> Result<End, Error> {
        let limit = self.programs[at].limit * 5;
        Ok(self.run(program, &all(), 0, [limit, limit * WALL])?.end)
    }

    /// Runs a program with a limit of its processor time, and one of time, in seconds.
    fn run(
        &self,
        program: &Path,
        tests: &[String],
        number: usize,
        [processor, time]: [u64; 2],
    ) -> Result<Run, Error> {
        let failed = |error: io::Error| Error::Run(program.display().to_string(), error);
        let mut command = Command::new("sh");
        let (processor, time) = (processor.to_string(), time.to_string());
        command.args(["-c", LIMITED, MEMORY, &processor, &time]).arg(program);
        command.args(["--test-threads", "1"]).args(tests);
        command.env("BRKALLOC_MUTANT", number.to_string()).env("RUST_BACKTRACE", "0");
        command.env("PROPTEST_CASES", "16").env("PROPTEST_RNG_SEED", "1");
        command.current_dir(&self.folder).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().map_err(failed)?;
        let output = child.stdout.take().expect("the output is a pipe");
        let (mut test, mut has_failed) = (String::new(), false);
        for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            let named = line.strip_prefix("test ").and_then(|line| line.split_once(" ..."));
            if let Some((name, _)) = named {
                test = name.to_owned();
            }
            // The first failure ends the run: the other tests have nothing to add.
            if line == "FAILED" || named.is_some_and(|(_, verdict)| verdict == " FAILED") {
                has_failed = true;
                break;
            }
        }
        if has_failed {
            let group = format!("-{}", child.id());
            let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        }
        let used = child.wait4().map_err(failed)?;
        let end = match (used.status.code(), used.status.signal()) {
            _ if has_failed => End::Failed,
            (Some(0), _) => End::Passed,
            (_, Some(SIGKILL | SIGXCPU)) => End::TimedOut,
            _ => End::Failed,
        };
        Ok(Run { end, test, took: used.rusage.utime + used.rusage.stime })
    }
}

/// The arguments that select all tests but the slow ones.
fn all() -> Vec<String> {
    SLOW.iter().flat_map(|name| ["--skip".to_owned(), (*name).to_owned()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// How a program ends that is written in the shell.
    fn run(name: &str, script: &str, limits: [u64; 2]) -> Run {
        let folder = std::env::temp_dir();
        let program = folder.join(format!("mutants-trial-{name}-{}", std::process::id()));
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let trial = Trial { folder, programs: Vec::new() };
        let run = trial.run(&program, &all(), 7, limits).unwrap();
        fs::remove_file(program).unwrap();
        run
    }

    #[test]
    fn a_program_passes_fails_crashes_or_takes_too_long() {
        let passed = run("passed", "echo 'test a ... ok'; test \"$BRKALLOC_MUTANT\" = 7", [60, 60]);
        assert_eq!((passed.end, passed.test.as_str()), (End::Passed, "a"));
        let failed = run("failed", "echo 'test b ... FAILED'; sleep 100", [60, 60]);
        assert_eq!((failed.end, failed.test.as_str()), (End::Failed, "b"));
        let panicked = run("panicked", "echo 'test c ... '; echo FAILED; sleep 100", [60, 60]);
        assert_eq!((panicked.end, panicked.test.as_str()), (End::Failed, "c"));
        assert_eq!(run("crashed", "kill -SEGV $$", [60, 60]).end, End::Failed);
        assert_eq!(run("looped", "while :; do :; done", [1, 600]).end, End::TimedOut);
        assert_eq!(run("waited", "sleep 100", [60, 1]).end, End::TimedOut);
    }
}
