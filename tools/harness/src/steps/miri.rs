//! The allocator's unit tests under Miri, which finds undefined behaviour that no processor shows:
//! pointers without provenance, references that alias, reads of what was never written.

use std::process::Command;

use super::checks::ALLOCATOR_FEATURES;
use super::host::cargo_test;
use super::{Context, Outcome, Screen, Step, Tier};
use crate::{Error, cargo, process};

/// The step's title.
const TITLE: &str = "host tests: Miri";

/// Modules whose tests Miri runs within minutes: those with raw access to cells and slabs.
const TESTS: [&str; 3] = ["cell::", "check::tests::", "check::slabs::"];

pub(super) fn step() -> Step {
    Step::alone(Tier::All, TITLE, run)
}

fn run(context: &Context, screen: &mut Screen) -> Result<Outcome, Error> {
    let Some(toolchain) = toolchain() else {
        return Ok(Outcome::LeftOut(
            "no nightly of rustup's has it; `rustup component add --toolchain nightly miri rust-src` \
             fetches it where it can be had"
                .into(),
        ));
    };
    let mut command =
        cargo::of_toolchain(&toolchain, &context.project, context.project.root(), "miri");
    command.args(["miri", "test", "--package", "brkalloc", "--lib"]);
    command.args(["--features", ALLOCATOR_FEATURES]);
    // Fenceposts of other regions are found by an address that was exposed.
    // Property tests look for files of earlier failures.
    command.env("MIRIFLAGS", "-Zmiri-permissive-provenance -Zmiri-disable-isolation");
    let context = Context { filter: Some(TESTS.join(",")), ..context.clone() };
    cargo_test(TITLE, &context, command, screen)
}

/// The first nightly that has Miri.
fn toolchain() -> Option<String> {
    let lines = |arguments: &[&str]| {
        let mut command = Command::new("rustup");
        command.args(arguments);
        let mut lines = Vec::new();
        let status = process::run(command, |line| lines.push(line.to_owned())).ok()?;
        status.success().then_some(lines)
    };
    let listed = lines(&["toolchain", "list"])?;
    let names = listed.iter().filter_map(|line| line.split_whitespace().next());
    let mut nightlies = names.filter(|name| name.starts_with("nightly"));
    let name = nightlies.find(|name| lines(&["run", name, "cargo", "miri", "--version"]).is_some());
    name.map(str::to_owned)
}
