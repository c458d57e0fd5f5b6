//! The tests that run on the host, counted by the summaries of their programs.

use std::env;
use std::process::Command;

use super::checks::{ALLOCATOR_FEATURES, CHECKED, KERNEL_HOST, TINY};
use super::{Action, Context, Outcome, Screen, Step};
use crate::libtest::{self, Reader};
use crate::size::{SORT, Sizes};
use crate::tally::{Failure, Kind, Tally};
use crate::{Error, cargo, no_trace, process};

/// The profile of test programs, in the manifests of the root and of the kernel.
pub(super) const PROFILE: &str = "suites";

/// What `cargo` is told to run the allocator's tests.
pub const SUITES: [&str; 8] =
    ["test", "--profile", PROFILE, "--package", "brkalloc", "--lib", "--test", "all"];

/// The same, each suite as a program.
const SUITES_APART: [&str; 7] =
    ["test", "--profile", PROFILE, "--package", "brkalloc", "--lib", "--tests"];

pub(super) fn steps() -> Vec<Step> {
    let tests = |title, run| Step { title, action: Action::Tests(run) };
    vec![
        tests("host tests: allocator", allocator),
        tests("host tests: allocator's examples", examples),
        tests("host tests: allocator, tiny", tiny),
        tests("host tests: allocator, checked", checked),
        tests("host tests: tools, models, benches", tools),
        tests("host tests: kernel-demo", kernel),
    ]
}

/// The allocator's tests as 32-bit programs.
pub(super) fn steps32() -> Vec<Step> {
    let tests = |title, run| Step { title, action: Action::Tests(run) };
    vec![
        tests("host tests: 32-bit", host32),
        tests("host tests: 32-bit, tiny", host32_tiny),
        tests("host tests: 32-bit, checked", host32_checked),
    ]
}

/// What is linked of the allocator into a program, and for which processors.
pub(super) fn linked() -> Vec<Step> {
    let alone = |title, run| Step { title, action: Action::Alone(run) };
    vec![
        alone("size: small target", size),
        Step { title: "check: a processor without exchange", action: Action::Check(no_exchange) },
        alone("checked: no trace when off", no_trace),
    ]
}

/// Compiles all of the allocator for a processor that cannot exchange a word at once.
fn no_exchange(context: &Context) -> Command {
    let mut command =
        cargo::freestanding(&context.project, &context.setup, context.project.root(), SORT);
    command.args([
        "check",
        "--package",
        "brkalloc",
        "--lib",
        "--features",
        CHECKED,
        "-Zbuild-std=core",
    ]);
    command.args(["--target", "thumbv6m-none-eabi"]).env("RUSTFLAGS", "-D warnings");
    command
}

/// The allocator's own tests and the suites, as one program each, with overflow checks and debug
/// assertions.
fn allocator(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let command = || cargo::host(&context.project, context.project.root(), "");
    suites("host tests: allocator", context, command, ALLOCATOR_FEATURES, screen)
}

/// What the allocator's documentation shows.
fn examples(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args([
        "test",
        "--profile",
        PROFILE,
        "--package",
        "brkalloc",
        "--features",
        ALLOCATOR_FEATURES,
        "--doc",
    ]);
    cargo_test("host tests: allocator's examples", context, command, screen)
}

/// The allocator's tests in the profile for small targets.
fn tiny(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let command = || fewer_programs(cargo::host(&context.project, context.project.root(), ""));
    suites("host tests: allocator, tiny", context, command, TINY, screen)
}

/// The allocator's tests with its profile `checked` on.
fn checked(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let command = || cargo::host(&context.project, context.project.root(), "");
    suites("host tests: allocator, checked", context, command, CHECKED, screen)
}

/// The tests of all other packages of the workspace.
fn tools(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["test", "--workspace", "--exclude", "brkalloc"]);
    cargo_test("host tests: tools, models, benches", context, command, screen)
}

/// Runs the allocator's own tests and the suites with these features; `command` says where, and for
/// which target. If the program dies, its suites are run as programs of their own, which tells who
/// it was, and how the others are.
pub(super) fn suites(
    title: &str,
    context: &Context,
    command: impl Fn() -> Command,
    features: &str,
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    let mut run = |which: &[&str]| {
        let mut command = command();
        command.args(which).args(["--features", features]);
        cargo_test(title, context, command, screen)
    };
    let together = run(&SUITES)?;
    let has_died = matches!(&together, Outcome::Ran(tally) if tally.failures.iter().any(|failure| failure.kind == Kind::Died));
    if !has_died {
        return Ok(together);
    }
    match run(&SUITES_APART)? {
        Outcome::Ran(apart) if !apart.is_clean() => Ok(Outcome::Ran(apart)),
        _ => Ok(together),
    }
}

/// Random programs where what they prove has been proved with more of them elsewhere, unless the
/// reader's environment says how many.
pub(super) fn fewer_programs(mut command: Command) -> Command {
    const CASES: (&str, &str) = ("PROPTEST_CASES", "64");
    if env::var_os(CASES.0).is_none() {
        command.env(CASES.0, CASES.1);
    }
    command
}

/// What of the kernel does not need a kernel to run in.
fn kernel(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, &context.project.kernel(), KERNEL_HOST);
    command.args(["test", "--profile", PROFILE, "--lib"]).env("RUSTC_BOOTSTRAP", "1");
    cargo_test("host tests: kernel-demo", context, command, screen)
}

/// The allocator's tests as a 32-bit program, over a standard library built from source.
fn host32(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    host32_with("host tests: 32-bit", ALLOCATOR_FEATURES, context, screen)
}

/// The same in the profile for small targets, which are 32-bit.
fn host32_tiny(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    host32_with("host tests: 32-bit, tiny", TINY, context, screen)
}

/// The same with the profile `checked`: headers have no bits to spare there.
fn host32_checked(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    host32_with("host tests: 32-bit, checked", CHECKED, context, screen)
}

fn host32_with(
    title: &str,
    features: &str,
    context: &Context,
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    let Some(target) = &context.setup.host32 else {
        return Ok(Outcome::LeftOut(
            "there is no 32-bit C library; `make setup` says what it takes".into(),
        ));
    };
    let command = || {
        let mut command =
            cargo::freestanding(&context.project, &context.setup, context.project.root(), "host32");
        command.arg("-Zbuild-std=std,panic_unwind").env("CARGO_BUILD_TARGET", target);
        fewer_programs(command)
    };
    suites(title, context, command, features, screen)
}

/// What the allocator takes of a small target.
fn size(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let sizes = Sizes::measure(&context.project, &context.setup, |line| screen.detail(line))?;
    if sizes.is_ok() {
        return Ok(Outcome::Ran(Tally::one_passed()));
    }
    let table = sizes.to_string().lines().map(str::to_owned).collect();
    Ok(Outcome::Ran(Tally::one_failed(Failure::new("size: small target", Kind::Check, table))))
}

/// Whether the profile `checked` costs anything where it is off.
fn no_trace(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let differences =
        no_trace::differences(&context.project, &context.setup, |line| screen.detail(line))?;
    let tally = match differences.is_empty() {
        true => Tally::one_passed(),
        false => {
            Tally::one_failed(Failure::new("checked: no trace when off", Kind::Check, differences))
        }
    };
    Ok(Outcome::Ran(tally))
}

/// Runs a `cargo test`, all of its programs even if one fails, and counts.
pub(super) fn cargo_test(
    title: &str,
    context: &Context,
    mut command: Command,
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    command.args(["--no-fail-fast", "--color", "never", "--"]);
    if let Some(filter) = &context.filter {
        command.args(filter.split(',').map(str::trim).filter(|part| !part.is_empty()));
    }
    let mut reader = Reader::default();
    let status = process::run(command, |line| {
        reader.line(line);
        if libtest::is_verdict(line) {
            screen.line(line);
        } else {
            screen.detail(line);
        }
    })?;
    let mut tally = reader.finish(title, status.success());
    if tally.ran() == 0 && context.filter.is_none() {
        let reason = vec!["its programs ran, but held no test".into()];
        tally.add(Tally::one_failed(Failure::new(title, Kind::Empty, reason)));
    }
    Ok(Outcome::Ran(tally))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use crate::project::Project;

    #[test]
    fn each_suite_is_part_of_the_program_of_all() {
        let project = Project::find().unwrap();
        let manifest = fs::read_to_string(project.root().join("Cargo.toml")).unwrap();
        let all = fs::read_to_string(project.root().join("tests/all.rs")).unwrap();
        let suites =
            manifest.split("[[test]]\nname = \"").skip(1).filter_map(|rest| rest.split('"').next());
        let suites: Vec<_> = suites.filter(|&suite| suite != "all").collect();
        assert!(suites.contains(&"claims"), "{suites:?}");
        for suite in suites {
            assert!(all.contains(&format!("\nmod {suite};\n")), "tests/all.rs lacks {suite}");
        }
    }
}
