//! Calls `cargo`: the one on PATH for the host, the set-up's for the kernel.
//!
//! The harness may itself run under cargo, whose variables would mislead a cargo below it
//! (`bootimage`, for one, builds the package that `CARGO_MANIFEST_DIR` names), so they are taken
//! away. A reader's own `RUSTFLAGS` and the like stay for host builds and are taken away for the
//! kernel, whose target needs exactly its own.

use std::env;
use std::path::Path;
use std::process::Command;

use crate::project::{Project, Setup};

/// Set by cargo for the programs it runs.
const FROM_OUTER_CARGO: [&str; 5] =
    ["CARGO", "CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_CRATE_NAME", "LD_LIBRARY_PATH"];

/// Set by a reader for host programs.
const FOR_HOST_BUILDS: [&str; 7] = [
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTFLAGS",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
];

/// With which seed property tests run, unless the reader's environment says another: `make test`
/// judges a change, and must not fail for what was there before. Other seeds are what `make soak`
/// takes.
const SEED: (&str, &str) = ("PROPTEST_RNG_SEED", "1");

/// The plain `cargo` on PATH, run in `folder`, with its build output in `target/<sort>` of the
/// project.
pub fn host(project: &Project, folder: &Path, sort: &str) -> Command {
    for_host(Command::new("cargo"), project, folder, sort)
}

/// The same of a toolchain of rustup's.
pub fn of_toolchain(toolchain: &str, project: &Project, folder: &Path, sort: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]);
    for_host(command, project, folder, sort)
}

fn for_host(mut command: Command, project: &Project, folder: &Path, sort: &str) -> Command {
    clean(&mut command);
    command.current_dir(folder).env("CARGO_TARGET_DIR", project.target(sort));
    command
}

/// The program that counts instructions, without its arguments. Flags that a reader has set
/// would make another program.
pub fn budgets(project: &Project) -> Command {
    let mut command = host(project, project.root(), "");
    for variable in FOR_HOST_BUILDS {
        command.env_remove(variable);
    }
    command.args(["run", "--profile", "budgets", "--package", "budgets", "--"]);
    command
}

/// The cargo that can build for the kernel's target and rebuild the standard library for any other.
pub fn freestanding(project: &Project, setup: &Setup, folder: &Path, sort: &str) -> Command {
    let mut path = vec![setup.bin.clone()];
    path.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
    let path = env::join_paths(path).expect("a folder on PATH contains no separator");

    let mut command = Command::new(setup.bin.join("cargo"));
    clean(&mut command);
    for variable in FOR_HOST_BUILDS {
        command.env_remove(variable);
    }
    command.current_dir(folder).env("CARGO_TARGET_DIR", project.target(sort)).env("PATH", path);
    command
}

fn clean(command: &mut Command) {
    let (variable, seed) = SEED;
    command.env(variable, env::var_os(variable).unwrap_or_else(|| seed.into()));
    for variable in FROM_OUTER_CARGO {
        command.env_remove(variable);
    }
    for (variable, _) in env::vars_os() {
        if variable.to_string_lossy().starts_with("CARGO_PKG_") {
            command.env_remove(variable);
        }
    }
}
