//! Checks without tests of their own: formatting, lints, documentation. Each counts as one.

use std::path::Path;
use std::process::Command;

use super::{Action, Context, Screen, Step};
use crate::tally::{Failure, Kind, Tally};
use crate::{Error, cargo, libtest, process};

/// The kernel's code compiled for the host shares this folder of build output.
pub(super) const KERNEL_HOST: &str = "kernel-host";

/// What the allocator can do beside the default; all of it is tested.
pub const ALLOCATOR_FEATURES: &str = "brkalloc/allocator-api2,brkalloc/lock_api";

/// The same with the profile `checked`.
pub const CHECKED: &str = "brkalloc/allocator-api2,brkalloc/lock_api,brkalloc/checked";

/// The same in the profile for small targets.
pub(super) const TINY: &str = "brkalloc/allocator-api2,brkalloc/tiny";

pub(super) fn steps() -> Vec<Step> {
    let check = |title, command| Step { title, action: Action::Check(command) };
    vec![
        check("fmt: workspace", |context| fmt(context, context.project.root())),
        check("fmt: kernel-demo", |context| fmt(context, &context.project.kernel())),
        check("fmt: ring-3 programs", |context| fmt(context, &context.project.user())),
        check("fmt: other-kernel", |context| fmt(context, &context.project.other_kernel())),
        check("fmt: small target", |context| fmt(context, &context.project.small_target())),
        check("fmt: fuzz", |context| fmt(context, &context.project.fuzz())),
        check("clippy: workspace", |context| {
            let mut command = cargo::host(&context.project, context.project.root(), "");
            command.args([
                "clippy",
                "--workspace",
                "--all-targets",
                "--features",
                "harness/qemu",
                "--features",
                ALLOCATOR_FEATURES,
            ]);
            deny_warnings(command)
        }),
        check("clippy: allocator, tiny", |context| {
            let mut command = cargo::host(&context.project, context.project.root(), "");
            command.args(["clippy", "--package", "brkalloc", "--all-targets", "--features", TINY]);
            deny_warnings(command)
        }),
        check("clippy: the allocator's checked profile", |context| {
            let mut command = cargo::host(&context.project, context.project.root(), "");
            command.args([
                "clippy",
                "--package",
                "brkalloc",
                "--all-targets",
                "--features",
                CHECKED,
            ]);
            deny_warnings(command)
        }),
        check("clippy: kernel-demo", |context| {
            let mut command = kernel_clippy(context, &context.project.kernel());
            command.args(["--lib", "--bins", "--features", "suite"]);
            deny_warnings(command)
        }),
        check("clippy: kernel-demo's host tests", |context| {
            let mut command = kernel_clippy(context, &context.project.kernel());
            command.args(["--lib", "--profile", "test"]);
            deny_warnings(command)
        }),
        check("clippy: ring-3 programs", |context| {
            let mut command = kernel_clippy(context, &context.project.user());
            command.args(["--workspace", "--lib", "--bins"]);
            deny_warnings(command)
        }),
        check("clippy: other-kernel", |context| {
            let mut command = kernel_clippy(context, &context.project.other_kernel());
            command.arg("--bins");
            deny_warnings(command)
        }),
        check("clippy: small target", |context| {
            let mut command = kernel_clippy(context, &context.project.small_target());
            command.args(["--bins", "--features", "tiny"]);
            deny_warnings(command)
        }),
        check("clippy: fuzz", |context| {
            // The targets are checked, not linked: told that somebody else brings libFuzzer, nobody
            // compiles it.
            let mut command = cargo::host(&context.project, &context.project.fuzz(), "fuzz-clippy");
            command
                .arg("clippy")
                .env("RUSTC_BOOTSTRAP", "1")
                .env("CUSTOM_LIBFUZZER_PATH", "none/libnone.a");
            deny_warnings(command)
        }),
        check("doc: workspace", |context| {
            let mut command = doc(context, context.project.root(), "");
            command.args(["--workspace", "--features", ALLOCATOR_FEATURES]);
            command
        }),
        check("doc: kernel-demo", |context| {
            let mut command = doc(context, &context.project.kernel(), KERNEL_HOST);
            command.args(["--lib", "--document-private-items"]);
            command
        }),
        check("doc: ring-3 programs' runtime", |context| {
            let mut command = doc(context, &context.project.user(), KERNEL_HOST);
            command
                .args(["--workspace", "--lib", "--document-private-items"])
                .env("CARGO_PROFILE_DEV_PANIC", "abort");
            command
        }),
    ]
}

/// Runs a check. It counts as one, and shows what it wrote if it fails.
pub(super) fn run(title: &str, command: Command, screen: &mut Screen) -> Result<Tally, Error> {
    let mut output = Vec::new();
    let status = process::run(command, |line| {
        if !libtest::is_progress(line) {
            output.push(line.to_owned());
        }
        screen.detail(line);
    })?;
    Ok(if status.success() {
        Tally::one_passed()
    } else {
        Tally::one_failed(Failure::new(title, Kind::Check, output))
    })
}

pub(super) fn fmt(context: &Context, folder: &Path) -> Command {
    let mut command = cargo::host(&context.project, folder, "");
    command.args(["fmt", "--all", "--check"]);
    command
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
