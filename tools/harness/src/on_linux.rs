//! The kernel's ring-3 programs, run on Linux: they use its system calls, so what is true of them
//! there is what they must find in the kernel. Each checks its own claims; its exit status, or the
//! signal that ends it, is the verdict.
//!
//! A program that has no line in `RUNS` is run without arguments, and must end well: a new one is
//! a file and nothing else.

use std::fmt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus};

use crate::kinds;
use crate::{Error, process};
use kerntest::tally::{Failure, Tally};

/// A program with its arguments, and how it must end.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    program: &'a str,
    arguments: &'a [&'a str],
    ending: Ending,
}

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    /// With this status.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

const WELL: Ending = Ending::Exited(0);
/// It does not know its arguments.
const ASTRAY: Ending = Ending::Exited(2);
const SEGMENTATION_FAULT: Ending = Ending::Killed(11);

const fn run<'a>(program: &'a str, arguments: &'a [&'a str], ending: Ending) -> Run<'a> {
    Run { program, arguments, ending }
}

/// All runs of these programs: the known ones, and one of each program that has none.
pub fn runs(programs: &[String]) -> Vec<Run<'_>> {
    let known = |name: &String| RUNS.iter().any(|run| run.program == name);
    let others = programs.iter().filter(|name| !known(name)).map(|name| run(name, &[], WELL));
    RUNS.iter().copied().chain(others).collect()
}

/// Runs with arguments, or with another end than a good one.
const RUNS: &[Run<'static>] = &[
    run("hello", &[], WELL),
    run("hello", &["one", "two", "three"], WELL),
    run("layout", &[], WELL),
    run("costs", &["8"], WELL),
    run("touch", &[], WELL),
    run("touch", &["1024", "32"], WELL),
    run("touch", &["0"], ASTRAY),
    run("touch", &["512", "x"], ASTRAY),
    run("maps-story", &[], WELL),
    run("lazy", &[], WELL),
    run("lazy", &["5"], WELL),
    run("lazy", &["0"], ASTRAY),
    run("pinned", &[], WELL),
    run("segv", &[], WELL),
    run("segv", &["null"], SEGMENTATION_FAULT),
    run("segv", &["execute-data"], SEGMENTATION_FAULT),
    run("segv", &["recursion"], SEGMENTATION_FAULT),
    run("segv", &["no-such-case"], ASTRAY),
    run("twins", &[], WELL),
    run("shared", &[], WELL),
    run("foreign", &[], WELL),
    run("realmode", &[], WELL),
    run("churn", &[], WELL),
    run("churn", &["20000", "2"], WELL),
    run("fork", &[], WELL),
    run("simple", &[], WELL),
    run("spin", &[], WELL),
    run("spin", &["1000"], WELL),
    run("spin", &["round"], ASTRAY),
    run("hungry", &["4"], WELL),
    run("hungry", &[], ASTRAY),
    run("hungry", &["4MiB"], ASTRAY),
    run("echo", &[], WELL),
    run("shell", &[], WELL),
    run("cells", &["fast"], ASTRAY),
    run("cells", &[], WELL),
    run("words", &["one", "three"], WELL),
    run("words", &[], WELL),
    run("fuzz", &[], WELL),
    run("pressure", &["promised", "8"], WELL),
    run("pressure", &["tables", "1"], WELL),
    run("pressure", &["objects", "100"], WELL),
    run("pressure", &["areas", "100", "4"], WELL),
    run("pressure", &["large", "4"], WELL),
    run("pressure", &[], ASTRAY),
    run("usertests", &[], WELL),
    run("usertests", &["list"], WELL),
    run("usertests", &["no-such-case"], ASTRAY),
];

/// After so many seconds a program, and all processes that it made, are stopped.
const LIMIT: &str = "60";

impl Run<'_> {
    /// The program that is run.
    pub fn program(&self) -> &str {
        self.program
    }

    /// The test's name.
    pub fn name(&self) -> String {
        let words: Vec<_> = [&[self.program], self.arguments].concat();
        format!("ring3::{}", words.join(" "))
    }

    /// Runs the program, whose image is in the folder.
    pub fn judge(&self, folder: &Path) -> Result<Tally, Error> {
        // A program that hangs may have made processes that do too; `timeout` stops them all, and
        // else ends as the program does.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", LIMIT]).arg(folder.join(self.program)).args(self.arguments);
        let mut output = Vec::new();
        let status = process::run(command, |line| output.push(line.to_owned()))?;
        let ending = Ending::of(status);
        if ending == self.ending {
            return Ok(Tally::one_passed());
        }
        output.push(format!("it ended by {ending}, not by {}", self.ending));
        Ok(Tally::one_failed(Failure::new(self.name(), kinds::HOST_TEST, output)))
    }
}

impl Ending {
    fn of(status: ExitStatus) -> Self {
        status
            .code()
            .map_or_else(|| Self::Killed(status.signal().unwrap_or_default()), Self::Exited)
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => write!(f, "exit status {status}"),
            Self::Killed(signal) => write!(f, "signal {signal}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs;
    use crate::project::Project;

    #[test]
    fn each_program_is_run_and_each_run_has_its_program() {
        let names = programs::all_names(&Project::find().unwrap()).unwrap();
        let runs = runs(&names);
        for name in &names {
            assert!(runs.iter().any(|run| run.program == name), "{name} is not run on Linux");
        }
        let without = runs.iter().find(|run| !names.iter().any(|name| name == run.program));
        assert!(without.is_none(), "{without:?}");
    }

    #[test]
    fn a_new_program_is_run_without_arguments_and_must_end_well() {
        let names = [String::from("hello"), String::from("brand-new")];
        let runs = runs(&names);
        let new: Vec<_> = runs.iter().filter(|run| run.program == "brand-new").collect();
        assert!(matches!(new[..], [Run { arguments: [], ending: WELL, .. }]), "{new:?}");
        assert_eq!(runs.iter().filter(|run| run.program == "hello").count(), 2);
    }

    #[test]
    fn an_ending_other_than_the_expected_one_is_a_failure() {
        let folder = Path::new("/bin");
        assert!(run("true", &[], WELL).judge(folder).unwrap().is_clean());
        assert!(run("false", &[], Ending::Exited(1)).judge(folder).unwrap().is_clean());
        assert!(
            run("sh", &["-c", "kill -SEGV $$"], SEGMENTATION_FAULT)
                .judge(folder)
                .unwrap()
                .is_clean()
        );
        for (arguments, ending) in [
            ("exit 3", WELL),
            ("kill -KILL $$", SEGMENTATION_FAULT),
            ("exit 139", SEGMENTATION_FAULT),
        ] {
            let arguments = Vec::leak(vec!["-c", arguments]);
            assert!(
                !run("sh", arguments, ending).judge(folder).unwrap().is_clean(),
                "{arguments:?}"
            );
        }
    }
}
