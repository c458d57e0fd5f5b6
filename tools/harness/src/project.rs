//! Where things are: the project's folders, and what `tools/setup.sh` found.

use std::collections::HashMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::Error;

/// The file by which the project's root is recognised; also the kernel's target.
const TARGET_FILE: &str = "x86_64-target.json";

/// The project on disk.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the project that the current directory is part of.
    pub fn find() -> Result<Self, Error> {
        let start = env::current_dir().unwrap_or_default();
        start
            .ancestors()
            .find(|folder| folder.join(TARGET_FILE).is_file())
            .map(|root| Self { root: root.to_owned() })
            .ok_or(Error::NoProject(start))
    }

    /// The project of this root.
    pub fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The root, where the allocator's `Cargo.toml` is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The demo kernel's package.
    pub fn kernel(&self) -> PathBuf {
        self.root.join("kernel-demo")
    }

    /// The workspace of the programs that the demo kernel runs.
    pub fn user(&self) -> PathBuf {
        self.kernel().join("user")
    }

    /// The package of the kernel that has nothing in common with ours.
    pub fn other_kernel(&self) -> PathBuf {
        self.root.join("tests/other-kernel")
    }

    /// The package of the kernels that try each platform of `kerntest`.
    pub fn boards(&self) -> PathBuf {
        self.root.join("tools/kerntest/boards")
    }

    /// The workspace of the programs for other platforms.
    pub fn examples(&self) -> PathBuf {
        self.root.join("examples")
    }

    /// The package of the fuzz targets.
    pub fn fuzz(&self) -> PathBuf {
        self.root.join("fuzz")
    }

    /// The package of the program for a small target.
    pub fn small_target(&self) -> PathBuf {
        self.root.join("tools/size")
    }

    /// The workspace of the library that serves programs as `malloc`.
    pub fn libmalloc(&self) -> PathBuf {
        self.root.join("malloc")
    }

    /// The folder for build output of one sort. Sorts with different flags must not share one, or
    /// each build would throw the other's away.
    pub fn target(&self, sort: &str) -> PathBuf {
        self.root.join("target").join(sort)
    }

    /// The description of the kernel's target.
    pub fn kernel_target(&self) -> PathBuf {
        self.root.join(TARGET_FILE)
    }

    /// One value of what the set-up found, if there is one and it is not empty.
    pub fn setup_value(&self, key: &str) -> Option<String> {
        let text = fs::read_to_string(self.target("setup").join("env")).ok()?;
        parse_env(&text).get(key).map(|value| (*value).to_owned()).filter(|value| !value.is_empty())
    }

    /// Reads what the set-up found.
    pub fn setup(&self) -> Result<Setup, Error> {
        let folder = self.target("setup");
        let path = folder.join("env");
        let text =
            fs::read_to_string(&path).map_err(|error| Error::NoSetup(path.clone(), error))?;
        let values = parse_env(&text);
        let value = |key: &'static str| match values.get(key) {
            Some(&value) => Ok(value.to_owned()),
            None => Err(Error::IncompleteSetup(path.clone(), key)),
        };
        Ok(Setup {
            bin: folder.join("bin"),
            strip: strip(&value("SYSROOT")?),
            qemu: value("QEMU")?.into(),
            host32: Some(value("HOST32")?).filter(|target| !target.is_empty()),
            sanitizers: Some(value("SANITIZERS")?)
                .filter(|folder| !folder.is_empty())
                .map(PathBuf::from),
        })
    }
}

/// What the set-up found on this machine.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The folder with the `cargo` and `rustc` that build for the kernel, and `bootimage`.
    pub bin: PathBuf,
    /// The program that removes symbols from others.
    pub strip: PathBuf,
    /// The emulator.
    pub qemu: PathBuf,
    /// The 32-bit target whose programs can be linked and run here, if there is one.
    pub host32: Option<String>,
    /// The folder with the sanitizers' runtime of LLVM, of the version that the kernel's compiler
    /// has, if the Rust on PATH brings none.
    pub sanitizers: Option<PathBuf>,
}

/// LLVM's tool in a sysroot of Rust, below the name of the host.
fn strip(sysroot: &str) -> PathBuf {
    let hosts = fs::read_dir(Path::new(sysroot).join("lib/rustlib")).into_iter().flatten();
    let mut tools = hosts.flatten().map(|host| host.path().join("bin/llvm-strip"));
    tools.find(|tool| tool.is_file()).unwrap_or_else(|| "llvm-strip".into())
}

/// The entries of a file of `KEY='value'` lines and comments.
fn parse_env(text: &str) -> HashMap<&str, &str> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(key, value)| (key, value.trim_matches('\'')))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_ups_file_is_read_without_its_quotes_and_comments() {
        let values = parse_env("# Written by x\nQEMU='/usr/bin/q'\nHOST32=''\n");
        assert_eq!(values["QEMU"], "/usr/bin/q");
        assert_eq!(values["HOST32"], "");
        assert_eq!(values.len(), 2);
    }

    #[test]
    fn the_project_is_found_from_a_folder_inside_it() {
        let project = Project::find().unwrap();
        assert!(project.root().join("tools/harness/Cargo.toml").is_file());
    }
}
