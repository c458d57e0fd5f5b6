//! Lists the suites: the files of `tests/` for the host and the kernel, those of `tests/qemu/` for
//! the kernel alone.
//!
//! A file of `tests/` with a line `host_only!("reason");` is left out of the kernel.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// What of `tests/` is no suite: the program of all suites, and what they share.
const NO_SUITES: [&str; 2] = ["all", "common"];

/// Files of `tests/qemu/` that are no suite.
const NO_KERNEL_SUITES: [&str; 4] = ["main", "host", "common", "platform"];

/// How the line begins that keeps a suite out of the kernel.
const HOST_ONLY: &str = "host_only!(\"";

fn main() {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo says where this is"));
    let tests = here.parent().expect("it is a folder of `tests`");
    let mut list = "static SUITES: &[(&str, Option<&str>)] = &[\n".to_owned();
    for (name, path) in suites(tests, &NO_SUITES) {
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        writeln!(list, "    ({name:?}, {:?}),", host_only(&text)).expect("a string takes all text");
    }
    list.push_str("];\nstatic KERNEL_SUITES: &[&str] = &[\n");
    for (name, _) in suites(&tests.join("qemu"), &NO_KERNEL_SUITES) {
        writeln!(list, "    {name:?},").expect("a string takes all text");
    }
    list.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to write"));
    // Left alone if it is as it should be.
    let path = out.join("suites.rs");
    if fs::read_to_string(&path).ok().as_deref() != Some(&list) {
        fs::write(path, list).expect("the list can be written");
    }
}

/// The modules in a folder, by name: files, and folders with a `mod.rs`.
fn suites(folder: &Path, but: &[&str]) -> Vec<(String, PathBuf)> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries =
        fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut suites: Vec<_> = entries
        .map(|entry| entry.expect("a folder can be read to its end").path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            let is_file = path.extension().is_some_and(|extension| extension == "rs");
            let path = if is_file { path } else { path.join("mod.rs") };
            (path.is_file() && !but.contains(&name.as_str())).then_some((name, path))
        })
        .collect();
    suites.sort();
    suites
}

/// The reason why a suite is not for the kernel.
fn host_only(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.strip_prefix(HOST_ONLY))?;
    line.split('"').next()
}
