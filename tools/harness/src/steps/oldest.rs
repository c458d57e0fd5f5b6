//! The allocator compiled by the oldest Rust that its package names.

use std::process::Command;

use super::checks::{self, ALLOCATOR_FEATURES};
use super::{Context, Outcome, Screen, Step, Tier};
use crate::{Error, cargo, process};

/// The step's title.
const TITLE: &str = "check: the oldest Rust";

/// The manifest of the allocator's package.
const MANIFEST: &str = include_str!("../../../../Cargo.toml");

/// The feature with a dependency that needs a newer one: the README says so.
const NEWER: &str = "brkalloc/uefi";

pub(super) fn step() -> Step {
    Step::alone(Tier::Test, TITLE, run)
}

fn run(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let project = &context.project;
    let version = oldest(MANIFEST).expect("the allocator's package names a version");
    let mut rustc = Command::new("rustup");
    rustc.args(["run", version, "rustc", "--version"]);
    if !process::run(rustc, |_| {}).is_ok_and(|status| status.success()) {
        return Ok(Outcome::LeftOut(format!(
            "`rustup toolchain install {version} --profile minimal` fetches it where it can be had"
        )));
    }
    let features: Vec<_> =
        ALLOCATOR_FEATURES.split(',').filter(|&feature| feature != NEWER).collect();
    let commands = [String::new(), features.join(",")].map(|features| {
        let mut command = cargo::of_toolchain(version, project, project.root(), "oldest");
        command.args(["check", "--package", "brkalloc", "--lib", "--features", &features]);
        command
    });
    checks::run(TITLE, commands.into(), screen).map(Outcome::Ran)
}

/// Returns the version of Rust that a manifest names.
fn oldest(manifest: &str) -> Option<&str> {
    let line = manifest.lines().find_map(|line| line.strip_prefix("rust-version = "))?;
    Some(line.trim_matches('"'))
}
