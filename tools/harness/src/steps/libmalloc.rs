//! `libbrkmalloc.so`: built as `make libmalloc` does, and then loaded into programs.

use std::process::Command;

use super::checks::{deny_warnings, fmt};
use super::host::cargo_test;
use super::{Action, Context, Outcome, Screen, Step};
use crate::tally::{Failure, Kind, Tally};
use crate::{Error, cargo, libtest, process};

/// Where the build leaves it, and what tells the tests.
const LIBRARY: &str = "libbrkmalloc.so";
const VARIABLE: &str = "LIBBRKMALLOC";

pub(super) fn steps() -> Vec<Step> {
    vec![
        Step {
            title: "fmt: libbrkmalloc",
            action: Action::Check(|context| fmt(context, &context.project.libmalloc())),
        },
        // Together they would be built with the features that either needs, and the library has no
        // std.
        Step {
            title: "clippy: libbrkmalloc",
            action: Action::Check(|context| {
                clippy(context, &["--package", "brkmalloc", "--package", "brkalloc-checked"])
            }),
        },
        Step {
            title: "clippy: libbrkmalloc's tests",
            action: Action::Check(|context| {
                clippy(context, &["--package", "brkmalloc-tests", "--all-targets"])
            }),
        },
        Step { title: "programs with libbrkmalloc", action: Action::Tests(programs) },
    ]
}

fn clippy(context: &Context, packages: &[&str]) -> Command {
    let mut command = cargo::host(&context.project, &context.project.libmalloc(), "");
    command.arg("clippy").args(packages);
    deny_warnings(command)
}

/// Builds the library, and runs small and real programs with it.
fn programs(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let title = "programs with libbrkmalloc";
    if !cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        return Ok(Outcome::LeftOut("the library is for Linux with glibc on x86-64".into()));
    }
    let mut build = cargo::host(&context.project, &context.project.libmalloc(), "");
    build.args(["build", "--release", "--package", "brkmalloc"]);
    let mut output = Vec::new();
    let status = process::run(build, |line| {
        if !libtest::is_progress(line) {
            output.push(line.to_owned());
        }
        screen.detail(line);
    })?;
    if !status.success() {
        return Ok(Outcome::Ran(Tally::one_failed(Failure::new(title, Kind::Check, output))));
    }
    let mut command = cargo::host(&context.project, &context.project.libmalloc(), "");
    command.args(["test", "--package", "brkmalloc-tests"]);
    command.env(VARIABLE, context.project.target("release").join(LIBRARY));
    cargo_test(title, context, command, screen)
}
