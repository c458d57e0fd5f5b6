//! Checks without tests of their own: formatting, lints, documentation. Each counts as one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Context, Outcome, Screen, Step, Tier, oldest};
use crate::kinds;
use crate::unsafe_sites::Inventory;
use crate::{Error, cargo, libtest, process};
use kerntest::tally::{Failure, Tally};

/// The kernel's code compiled for the host shares this folder of build output.
pub(super) const KERNEL_HOST: &str = "kernel-host";

/// What the allocator can do beside the default; all of it is tested.
pub const ALLOCATOR_FEATURES: &str = "brkalloc/allocator-api2,brkalloc/allocator-api2-03,\
                                      brkalloc/allocator-api2-04,brkalloc/lock_api,\
                                      brkalloc/critical-section,brkalloc/x86_64,\
                                      brkalloc/linux,brkalloc/wasm,brkalloc/uefi";

pub(super) fn steps() -> Vec<Step> {
    vec![
        Step::check(Tier::Check, "fmt", fmt),
        Step::check(Tier::Check, "clippy", clippy),
        Step::alone(Tier::Check, "unsafe: the inventory of docs/UNSAFE.md", unsafe_sites),
        Step::check(Tier::Test, "check: each feature of the allocator alone", features),
        oldest::step(),
        Step::check(Tier::All, "clippy: allocator with core's Allocator", clippy_nightly),
        Step::check(Tier::Test, "clippy: kernels and their programs", clippy_kernels),
        Step::check(Tier::Test, "clippy: fuzz", clippy_fuzz),
        Step::check(Tier::Test, "doc", docs),
        Step::check(Tier::All, "package: as published, with its own tests", package),
    ]
}

/// Runs the programs of a check, each of which counts as one, and shows what one wrote if it
/// fails.
pub(super) fn run(
    title: &str,
    commands: Vec<Command>,
    screen: &mut Screen,
) -> Result<Tally, Error> {
    let mut tally = Tally::default();
    for command in commands {
        let folder = command.get_current_dir().map(Path::to_owned).unwrap_or_default();
        let mut output = Vec::new();
        let status = process::run(command, |line| {
            if !libtest::is_progress(line) {
                output.push(line.to_owned());
            }
            screen.detail(line);
        })?;
        tally.add(if status.success() {
            Tally::one_passed()
        } else {
            output.insert(0, format!("in {}:", folder.display()));
            Tally::one_failed(Failure::new(title, kinds::CHECK, output))
        });
    }
    Ok(tally)
}

/// The uses of `unsafe`, as documented.
fn unsafe_sites(context: &Context, _: &mut Screen) -> Result<Outcome, Error> {
    Inventory::read(&context.project)?.judge().map(Outcome::Ran)
}

/// Returns the Rust files of a folder and those below it, without what was built; none where it
/// cannot be read.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .map(|entry| entry.path())
        .filter(|path| !path.ends_with("target"))
        .flat_map(|path| if path.is_dir() { rust_files(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// Of one package each, but for the workspaces: `--all` would format the packages that it depends
/// on, too.
fn fmt(context: &Context) -> Vec<Command> {
    let project = &context.project;
    let of = |folder: &Path, all: bool| {
        let mut command = cargo::host(project, folder, "");
        command.arg("fmt").args(all.then_some("--all")).arg("--check");
        command
    };
    // Modules that a macro declares are not found by cargo: they are named.
    let mut root = of(project.root(), true);
    root.arg("--").args(rust_files(&project.root().join("tests")));
    vec![
        root,
        of(&project.kernel(), false),
        of(&project.user(), true),
        of(&project.other_kernel(), false),
        of(&project.boards(), false),
        of(&project.small_target(), false),
        of(&project.fuzz(), false),
        of(&project.examples(), true),
        of(&project.libmalloc(), true),
    ]
}

/// Packs the crate, and runs the tests of the package.
fn package(context: &Context) -> Vec<Command> {
    let cargo = cargo::host(&context.project, context.project.root(), "");
    let mut script = Command::new("sh");
    script.arg("tools/package.sh").current_dir(context.project.root());
    for (name, value) in cargo.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    vec![script]
}

/// The workspace; for `make check` the allocator and its suites, without what tools and benchmarks
/// depend on.
fn clippy(context: &Context) -> Vec<Command> {
    let mut command = cargo::host(&context.project, context.project.root(), "");
    command.args(["clippy", "--all-targets", "--features", ALLOCATOR_FEATURES]);
    if context.tier == Tier::Check {
        command.args(["--package", "brkalloc", "--package", "case-finder"]);
    } else {
        command.args(["--workspace", "--features", "harness/qemu"]);
    }
    vec![deny_warnings(command)]
}

/// Compiles the allocator as the packages may that use it: without features, with each of them
/// alone, and with all.
fn features(context: &Context) -> Vec<Command> {
    let of = |features: &[&str]| {
        let mut command = cargo::host(&context.project, context.project.root(), "");
        command.args(["check", "--package", "brkalloc", "--lib"]).args(features);
        command.env("RUSTFLAGS", "--deny warnings").env("CARGO_INCREMENTAL", "0");
        command
    };
    let alone = ALLOCATOR_FEATURES.split(',').map(|feature| of(&["--features", feature]));
    let mut commands: Vec<_> = alone.collect();
    commands.extend([of(&[]), of(&["--all-features"])]);
    commands
}

/// The same with the trait of core, which the stable toolchain has behind a switch.
fn clippy_nightly(context: &Context) -> Vec<Command> {
    let mut command = cargo::host(&context.project, context.project.root(), "nightly");
    command.args(["clippy", "--package", "brkalloc", "--all-targets"]);
    command.args(["--features", ALLOCATOR_FEATURES]);
    command.env("RUSTFLAGS", "--cfg brkalloc_nightly").env("RUSTC_BOOTSTRAP", "1");
    vec![deny_warnings(command)]
}

/// The kernels, the demo kernel's host tests, the ring-3 programs, and the program for a small
/// target.
fn clippy_kernels(context: &Context) -> Vec<Command> {
    let project = &context.project;
    let of = |folder: &Path, arguments: &[&str]| {
        let mut command = kernel_clippy(context, folder);
        command.args(arguments);
        deny_warnings(command)
    };
    let mut commands = vec![
        of(&project.kernel(), &["--lib", "--bins", "--features", "suite"]),
        of(&project.user(), &["--workspace", "--lib", "--bins"]),
        of(&project.other_kernel(), &["--bins"]),
        of(&project.small_target(), &["--bins"]),
    ];
    // The examples of this machine; those of others are compiled when they run.
    let mut examples = cargo::host(project, &project.examples(), "examples");
    examples.args(["clippy", "--package", "linux", "--package", "work"]);
    commands.push(deny_warnings(examples));
    if !context.is_short() {
        commands.push(of(&project.kernel(), &["--lib", "--profile", "test"]));
    }
    commands
}

/// The targets are checked, not linked: told that somebody else brings libFuzzer, nobody compiles
/// it.
fn clippy_fuzz(context: &Context) -> Vec<Command> {
    let mut command = cargo::host(&context.project, &context.project.fuzz(), "fuzz-clippy");
    command
        .arg("clippy")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CUSTOM_LIBFUZZER_PATH", "none/libnone.a");
    vec![deny_warnings(command)]
}

fn docs(context: &Context) -> Vec<Command> {
    let project = &context.project;
    let mut allocator = doc(context, project.root(), "");
    allocator.args(["--package", "brkalloc", "--all-features"]);
    if context.is_short() {
        return vec![allocator];
    }
    let mut workspace = doc(context, project.root(), "");
    workspace.args(["--workspace", "--exclude", "brkalloc"]);
    let mut kernel = doc(context, &project.kernel(), KERNEL_HOST);
    kernel.args(["--lib", "--document-private-items"]);
    let mut user = doc(context, &project.user(), KERNEL_HOST);
    user.args(["--workspace", "--lib", "--document-private-items"])
        .env("CARGO_PROFILE_DEV_PANIC", "abort");
    vec![allocator, workspace, kernel, user]
}

/// Clippy on the kernel's code, as if it were for the host: nothing is linked, so the target does
/// not matter to it. The kernel's bins bring their own panic handler, which without unwinding is
/// all they need.
fn kernel_clippy(context: &Context, folder: &Path) -> Command {
    let mut command = cargo::host(&context.project, folder, KERNEL_HOST);
    command.arg("clippy").env("RUSTC_BOOTSTRAP", "1").env("CARGO_PROFILE_DEV_PANIC", "abort");
    command
}

pub(super) fn deny_warnings(mut command: Command) -> Command {
    command.args(["--", "-D", "warnings"]);
    command
}

fn doc(context: &Context, folder: &Path, sort: &str) -> Command {
    let mut command = cargo::host(&context.project, folder, sort);
    command
        .args(["doc", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings")
        .env("RUSTC_BOOTSTRAP", "1");
    command
}
