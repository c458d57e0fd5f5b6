//! The tests that run on the host, counted by the summaries of their programs.

use std::collections::BTreeSet;
use std::env;
use std::process::Command;

use super::checks::{ALLOCATOR_FEATURES, KERNEL_HOST};
use super::{Context, Outcome, Screen, Step, Tier};
use crate::kinds;
use crate::libtest::{self, Reader};
use crate::size::{SORT, Sizes};
use crate::{Error, cargo, cases, process};
use kerntest::tally::{Failure, Kind, Tally};

/// The profile of test programs, in the manifests of the root and of the kernel.
pub(super) const PROFILE: &str = "suites";

/// How a line begins that says how many small worlds were searched.
const WORLDS: &str = "worlds: ";

/// What `cargo` is told to run the allocator's tests.
pub const SUITES: [&str; 8] =
    ["test", "--profile", PROFILE, "--package", "brkalloc", "--lib", "--test", "all"];

/// Leaves all packages but the allocator's own unoptimised: to optimise them, a standard library
/// above all, takes longer than to run the tests without.
pub(super) const UNOPTIMISED: &str = r#"profile.suites.package."*".opt-level=0"#;

pub(super) fn steps() -> Vec<Step> {
    vec![
        Step::tests(Tier::Check, "host tests: allocator", allocator),
        Step::tests(Tier::Test, "host tests: allocator's examples", examples),
        Step::tests(Tier::Test, "host tests: tools, models, benches", tools),
        Step::tests(Tier::Test, "host tests: kernel-demo", kernel),
        Step::alone(Tier::Test, "budgets: instructions of common paths", budgets)
            .unless_unchanged(),
    ]
}

/// The allocator's tests as 32-bit programs.
pub(super) fn steps32() -> Vec<Step> {
    vec![Step::tests(Tier::Test, "host tests: 32-bit", host32).unless_unchanged()]
}

/// The tests of arenas on processors that order memory weakly.
pub(super) fn steps_elsewhere() -> Vec<Step> {
    vec![
        Step::tests(Tier::All, "host tests: arenas on aarch64", |context, screen| {
            elsewhere("aarch64", "aarch64-unknown-linux-gnu", context, screen)
        }),
        Step::tests(Tier::All, "host tests: arenas on riscv64", |context, screen| {
            elsewhere("riscv64", "riscv64gc-unknown-linux-gnu", context, screen)
        }),
    ]
}

/// What is linked of the allocator into a program, and for which processors.
pub(super) fn linked() -> Vec<Step> {
    vec![
        Step::alone(Tier::Test, "size: small target", size),
        Step::check(Tier::Test, "check: a processor without exchange", no_exchange),
    ]
}

/// Compiles all of the allocator for a processor that cannot exchange a word at once.
fn no_exchange(context: &Context) -> Vec<Command> {
    let mut command =
        cargo::freestanding(&context.project, &context.setup, context.project.root(), SORT);
    command.args([
        "check",
        "--package",
        "brkalloc",
        "--lib",
        "--features",
        ALLOCATOR_FEATURES,
        "-Zbuild-std=core",
    ]);
    command.args(["--target", "thumbv6m-none-eabi"]).env("RUSTFLAGS", "-D warnings");
    vec![command]
}

/// The allocator's own tests and the suites, as one program each, with overflow checks and debug
/// assertions.
fn allocator(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let is_check = context.tier == Tier::Check;
    let (number, cases): (_, &[&str]) =
        if is_check { (64, &[cases::ONE_PROFILE]) } else { (256, &[]) };
    let command = || {
        let command = programs(cargo::host(&context.project, context.project.root(), ""), number);
        if is_check { command } else { deeper_worlds(command) }
    };
    suites("host tests: allocator", context, command, cases, screen)
}

/// Tells the search through small worlds how far to go, unless the reader does: all of it takes
/// about a minute of two processors.
fn deeper_worlds(command: Command) -> Command {
    unless_set(unless_set(command, "WORLDS_DEPTH", 6), "WORLDS_SECONDS", 30)
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

/// The tests of all other packages of the workspace; in the short form not those of the benchmarks,
/// whose peers take long to compile.
fn tools(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["test", "--workspace", "--exclude", "brkalloc"]);
    if context.is_short() {
        command.args(["--exclude", "bench", "--exclude", "recorder", "--exclude", "scoreboard"]);
    }
    cargo_test("host tests: tools, models, benches", context, command, screen)
}

/// Runs the allocator's own tests and the suites, of which the features `cases` choose; `command`
/// says where, and for which target. If the program dies, its suites run one after the other: that
/// shows which one it was, and the results of the others.
pub(super) fn suites(
    title: &str,
    context: &Context,
    command: impl Fn() -> Command,
    cases: &[&str],
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    let programs = || {
        let mut command = command();
        command.args(SUITES).args(["--features", ALLOCATOR_FEATURES]);
        command.args(cases.iter().flat_map(|feature| ["--features", feature]));
        command
    };
    let together = cargo_test(title, context, programs(), screen)?;
    let has_died = matches!(&together, Outcome::Ran(tally) if tally.failures.iter().any(|failure| failure.kind == kinds::DIED));
    if !has_died {
        return Ok(together);
    }
    let mut apart = Tally::default();
    for suite in suites_of(programs())? {
        let title = format!("{title}, {suite}");
        let context = Context { filter: Some(format!("{suite}::")), ..context.clone() };
        if let Outcome::Ran(tally) = cargo_test(&title, &context, programs(), screen)? {
            apart.add(tally);
        }
    }
    Ok(if apart.is_clean() { together } else { Outcome::Ran(apart) })
}

/// The suites and modules whose tests the programs have.
fn suites_of(mut command: Command) -> Result<BTreeSet<String>, Error> {
    let mut suites = BTreeSet::new();
    command.args(["--", "--list"]);
    process::run(command, |line| {
        let name = line.strip_suffix(": test").and_then(|name| name.split_once("::"));
        suites.extend(name.map(|(suite, _)| suite.to_owned()));
    })?;
    Ok(suites)
}

/// Random programs of each kind: so many in the short form, and in the long one, where what they
/// prove has been proved with more of them elsewhere. The reader's environment comes first.
pub(super) fn fewer_programs(context: &Context, command: Command) -> Command {
    programs(command, if context.is_short() { 16 } else { 64 })
}

/// Tells property tests how many programs of each kind to run, unless the reader does.
fn programs(command: Command, number: u32) -> Command {
    unless_set(command, "PROPTEST_CASES", number)
}

/// Sets a variable of a command's environment, unless the reader has set it.
fn unless_set(mut command: Command, name: &str, value: u32) -> Command {
    if env::var_os(name).is_none() {
        command.env(name, value.to_string());
    }
    command
}

/// What of the kernel does not need a kernel to run in.
fn kernel(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let mut command = cargo::host(&context.project, &context.project.kernel(), KERNEL_HOST);
    command.args(["test", "--profile", PROFILE, "--lib"]).env("RUSTC_BOOTSTRAP", "1");
    cargo_test("host tests: kernel-demo", context, command, screen)
}

/// The instructions of common paths, which `benches/budgets.txt` limits.
fn budgets(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    if !cfg!(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64")) {
        return Ok(Outcome::LeftOut("instructions are counted on Linux on x86_64 alone".into()));
    }
    let mut command = cargo::budgets(&context.project);
    command.arg("check");
    count("budgets: instructions of common paths", command, screen).map(Outcome::Ran)
}

/// The allocator's tests as a 32-bit program, over a standard library built from source.
fn host32(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some(target) = &context.setup.host32 else {
        return Ok(Outcome::LeftOut(
            "there is no 32-bit C library; `make setup` says what it takes".into(),
        ));
    };
    let command = || {
        let mut command =
            cargo::freestanding(&context.project, &context.setup, context.project.root(), "host32");
        command.arg("-Zbuild-std=std,panic_unwind").env("CARGO_BUILD_TARGET", target);
        // Without backtraces, which take a sixth of its build; a panic says where it is by itself.
        command.args(["-Zbuild-std-features=panic-unwind", "--config", UNOPTIMISED]);
        fewer_programs(context, command)
    };
    // With the suites that touch memory most it takes as long again. The unit tests have the
    // arithmetic.
    if context.is_short() {
        let mut command = command();
        command.args(["test", "--profile", PROFILE, "--package", "brkalloc", "--lib"]);
        command.args(["--features", ALLOCATOR_FEATURES]);
        return cargo_test("host tests: 32-bit", context, command, screen);
    }
    suites("host tests: 32-bit", context, command, &[], screen)
}

/// The suites of arenas as programs of another processor, under its emulator, over a standard
/// library built from source.
fn elsewhere(
    processor: &str,
    target: &str,
    context: &Context,
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    let (linker, emulator) = (format!("{processor}-linux-gnu-gcc"), format!("qemu-{processor}"));
    for program in [&linker, &emulator] {
        if Command::new(program).arg("--version").output().is_err() {
            return Ok(Outcome::LeftOut(format!("there is no {program}; `make setup` says why")));
        }
    }
    let mut command =
        cargo::freestanding(&context.project, &context.setup, context.project.root(), processor);
    let variable = target.to_uppercase().replace('-', "_");
    command.args(["-Zbuild-std=std,panic_unwind", "-Zbuild-std-features=panic-unwind"]);
    command.args(["--config", UNOPTIMISED]).args(SUITES).args(["--features", "brkalloc/linux"]);
    command
        .env("CARGO_BUILD_TARGET", target)
        .env(format!("CARGO_TARGET_{variable}_LINKER"), linker)
        .env(
            format!("CARGO_TARGET_{variable}_RUNNER"),
            format!("{emulator} -L /usr/{processor}-linux-gnu"),
        );
    let filter = context.filter.clone().or_else(|| Some("arenas::".to_owned()));
    let context = Context { filter, ..context.clone() };
    let command = fewer_programs(&context, command);
    cargo_test(&format!("host tests: arenas on {processor}"), &context, command, screen)
}

/// What the allocator takes of a small target.
fn size(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let sizes = Sizes::measure(&context.project, &context.setup, |line| screen.detail(line))?;
    if sizes.is_ok() {
        return Ok(Outcome::Ran(Tally::one_passed()));
    }
    let table = sizes.to_string().lines().map(str::to_owned).collect();
    Ok(Outcome::Ran(Tally::one_failed(Failure::new("size: small target", kinds::CHECK, table))))
}

/// Runs a `cargo test`, all of its programs even if one fails, and counts.
pub(super) fn cargo_test(
    title: &str,
    context: &Context,
    command: Command,
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    cargo_test_but(title, context, command, &[], screen)
}

/// The same without the tests whose names contain one of these.
pub(super) fn cargo_test_but(
    title: &str,
    context: &Context,
    mut command: Command,
    but: &[&str],
    screen: &mut Screen,
) -> Result<Outcome, Error> {
    command.args(["--no-fail-fast", "--color", "never", "--"]);
    for part in but {
        command.args(["--skip", part]);
    }
    if let Some(filter) = &context.filter {
        command.args(filter.split(',').map(str::trim).filter(|part| !part.is_empty()));
    }
    let mut tally = count(title, command, screen)?;
    if tally.ran() == 0 && context.filter.is_none() {
        let reason = vec!["its programs ran, but held no test".into()];
        tally.add(Tally::one_failed(Failure::new(title, Kind::Empty, reason)));
    }
    Ok(Outcome::Ran(tally))
}

/// Runs a program that writes as `cargo test` does, and counts.
pub(super) fn count(title: &str, command: Command, screen: &mut Screen) -> Result<Tally, Error> {
    let mut reader = Reader::default();
    let status = process::run(command, |line| {
        reader.line(line);
        if libtest::is_verdict(line) || line.starts_with(WORLDS) {
            screen.line(line);
        } else {
            screen.detail(line);
        }
    })?;
    Ok(reader.finish(title, status.success()))
}
