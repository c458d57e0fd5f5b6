//! Steps that need not run again: nothing changed since they passed.
//!
//! ```text
//!   every file of the project ─┐
//!   tools: compilers, emulator ├─► Inputs, 128 bits        target/passed/STEP: inputs, tests
//!   environment                ┘        └── the same? ──► left out; the table says so
//! ```
//!
//! Rules:
//! - Only a pass is recorded. The record is removed before the step runs, and written only if the
//!   inputs were the same before and after it.
//! - `make test-all` and `CI=true` run everything. So does a filter.
//! - Unknown files and variables count: one more run costs minutes, one too few a bug.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::hash::Hash;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::digest::{Digest, Digester};
use crate::process;
use crate::project::{Project, Setup};

/// Folders that hold output, and what no step reads.
const OUTPUT: [&str; 2] = ["target", ".git"];

/// Variables that differ between two terminals and that no step reads.
const NOISE: [&str; 16] = [
    "_",
    "COLUMNS",
    "LINES",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MAKE_TERMERR",
    "MAKE_TERMOUT",
    "MFLAGS",
    "OLDPWD",
    "PWD",
    "SHLVL",
    "STEP",
    "TERM",
    "TERM_PROGRAM",
    "TMUX",
    "TMUX_PANE",
];

/// Starts of the names of such variables.
const NOISY_STARTS: [&str; 4] = ["DBUS_", "SSH_", "XDG_", "VSCODE_"];

/// What tells of a change to the machine's programs and libraries.
const SYSTEM: [&str; 3] = ["/var/lib/dpkg/status", "/etc/os-release", "/proc/version"];

/// All that a step can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inputs(Digest);

impl Inputs {
    /// What is there now. `None` if something cannot be read.
    pub(super) fn now(project: &Project, setup: &Setup) -> Option<Self> {
        let mut digester = Digester::default();
        files(project.root(), &mut digester).ok()?;
        for (name, value) in variables() {
            (name, value).hash(&mut digester);
        }
        for program in [PathBuf::from("rustc"), setup.bin.join("rustc")] {
            let mut command = Command::new(program);
            command.arg("-vV");
            process::run(command, |line| line.hash(&mut digester)).ok()?;
        }
        fs::read(project.target("setup").join("env")).ok()?.hash(&mut digester);
        let system = SYSTEM.iter().map(PathBuf::from).chain([setup.qemu.clone()]);
        for path in system {
            // Another system has other files, or none.
            if let Ok(data) = fs::metadata(&path) {
                (path, data.len(), data.modified().ok()).hash(&mut digester);
            }
        }
        Some(Self(digester.digest()))
    }
}

/// The variables that a step may read, sorted.
fn variables() -> Vec<(std::ffi::OsString, std::ffi::OsString)> {
    let is_noise = |name: &OsStr| {
        let name = name.to_string_lossy();
        NOISE.contains(&&*name) || NOISY_STARTS.iter().any(|start| name.starts_with(start))
    };
    let mut variables: Vec<_> = env::vars_os().filter(|(name, _)| !is_noise(name)).collect();
    variables.sort();
    variables
}

/// Hashes the names and contents of all files below the folder, but for output.
fn files(folder: &Path, digester: &mut Digester) -> io::Result<()> {
    let mut entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let (name, kind) = (entry.file_name(), entry.file_type()?);
        if OUTPUT.iter().any(|output| name == *output) {
            continue;
        }
        name.hash(digester);
        if kind.is_dir() {
            files(&entry.path(), digester)?;
            "the folder's end".hash(digester);
        } else if kind.is_symlink() {
            fs::read_link(entry.path())?.hash(digester);
        } else {
            fs::read(entry.path())?.hash(digester);
        }
    }
    Ok(())
}

/// The records of what passed.
#[derive(Debug)]
pub(super) struct Passed {
    folder: PathBuf,
}

impl Passed {
    /// Those of the project.
    pub(super) fn of(project: &Project) -> Self {
        Self { folder: project.target("passed") }
    }

    /// The number of tests with which the step passed with these inputs, if it did.
    pub(super) fn tests(&self, title: &str, inputs: Inputs) -> Option<usize> {
        let text = fs::read_to_string(self.file(title)).ok()?;
        let (recorded, tests) = text.trim_end().split_once(' ')?;
        (recorded == inputs.0.to_string()).then_some(())?;
        tests.parse().ok()
    }

    /// The step is going to run: until it passes, nothing is known of it.
    pub(super) fn forget(&self, title: &str) {
        // It need not be there.
        let _ = fs::remove_file(self.file(title));
    }

    /// The step passed with so many tests. A record that cannot be written is missing later, and
    /// the step runs.
    pub(super) fn record(&self, title: &str, inputs: Inputs, tests: usize) {
        let (path, new) = (self.file(title), self.file(title).with_extension("new"));
        let _ = fs::create_dir_all(&self.folder)
            .and_then(|()| fs::write(&new, format!("{} {tests}\n", inputs.0)))
            .and_then(|()| fs::rename(&new, &path));
    }

    fn file(&self, title: &str) -> PathBuf {
        let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
        self.folder.join(title.chars().map(plain).collect::<String>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is empty, and gone after the test.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = env::temp_dir().join(format!("brkalloc-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn hash(folder: &Path) -> Digest {
        let mut digester = Digester::default();
        files(folder, &mut digester).unwrap();
        digester.digest()
    }

    #[test]
    fn each_file_and_its_place_count_and_output_does_not() {
        let folder = Folder::new("inputs");
        let mut seen = vec![hash(&folder.0)];
        let mut change = |path: &str, text: &str| {
            let path = folder.0.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            let hash = hash(&folder.0);
            let is_new = !seen.contains(&hash);
            seen.push(hash);
            is_new
        };
        assert!(change("a", "1") && change("a", "2") && change("sub/a", "2"));
        assert!(!change("target/x", "1") && !change(".git/x", "1") && !change("sub/target/x", "1"));
        fs::rename(folder.0.join("sub"), folder.0.join("other")).unwrap();
        assert!(!seen.contains(&hash(&folder.0)));
    }

    #[test]
    fn a_pass_is_known_until_the_inputs_change_or_the_step_runs_again() {
        let folder = Folder::new("passed");
        let passed = Passed { folder: folder.0.join("new") };
        let inputs = |number: u8| {
            let mut digester = Digester::default();
            number.hash(&mut digester);
            Inputs(digester.digest())
        };
        let (one, other) = (inputs(1), inputs(2));
        assert_eq!(passed.tests("a: b", one), None);
        passed.record("a: b", one, 17);
        assert_eq!(passed.tests("a: b", one), Some(17));
        assert_eq!((passed.tests("a: b", other), passed.tests("a", one)), (None, None));
        passed.forget("a: b");
        assert_eq!(passed.tests("a: b", one), None);
    }

    #[test]
    fn the_same_project_has_the_same_inputs() {
        let project = Project::find().unwrap();
        let Ok(setup) = project.setup() else { return };
        let now = || Inputs::now(&project, &setup);
        assert!(now().is_some());
        assert_eq!(variables(), variables());
    }
}
