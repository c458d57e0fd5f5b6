//! `libbrkmalloc.so`: built as `make libmalloc` does, and then loaded into programs.

use std::process::Command;

use super::checks::deny_warnings;
use super::host::cargo_test_but;
use super::{Context, Outcome, Screen, Step, Tier};
use crate::kinds;
use crate::{Error, cargo, libtest, process};
use kerntest::tally::{Failure, Tally};

/// Where the build leaves it, and what tells the tests.
const LIBRARY: &str = "libbrkmalloc.so";
const VARIABLE: &str = "LIBBRKMALLOC";

/// Programs that the short form leaves out: each takes long, and asks for nothing that the others
/// do not.
const LONG_PROGRAMS: [&str; 12] = [
    "compilers",
    "java",
    "lua",
    "nginx",
    "node",
    "openssl",
    "php",
    "postgres",
    "python",
    "redis",
    "ruby",
    "zstd",
];

pub(super) fn steps() -> Vec<Step> {
    vec![
        Step::check(Tier::Test, "clippy: libbrkmalloc", clippy_all),
        Step::tests(Tier::Test, "programs with libbrkmalloc", programs).unless_unchanged(),
    ]
}

/// Together they would be built with the features that either needs, and the library has no std.
fn clippy_all(context: &Context) -> Vec<Command> {
    let mut commands = vec![clippy(context, &["--package", "brkmalloc"])];
    if !context.is_short() {
        commands.push(clippy(context, &["--package", "brkmalloc-tests", "--all-targets"]));
    }
    commands
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
        return Ok(Outcome::Ran(Tally::one_failed(Failure::new(title, kinds::CHECK, output))));
    }
    let mut command = cargo::host(&context.project, &context.project.libmalloc(), "");
    command.args(["test", "--package", "brkmalloc-tests"]);
    command.env(VARIABLE, context.project.target("release").join(LIBRARY));
    let but: &[&str] =
        if context.is_short() && context.filter.is_none() { &LONG_PROGRAMS } else { &[] };
    cargo_test_but(title, context, command, but, screen)
}
