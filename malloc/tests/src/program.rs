//! Real programs: scripts in `programs/`, each of which says in its first lines what it needs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::library::Library;
use crate::run::{self, Run};

/// A script that runs a real program, with an output that is the same each time.
#[derive(Clone, Debug)]
pub struct Program {
    /// The script's name, without its ending.
    pub name: String,
    /// Whether its time says something about the library: not if it waits most of the time.
    pub is_measured: bool,
    script: PathBuf,
    needs: Vec<String>,
    version: String,
    /// Folders of programs, besides those of the environment.
    folders: Vec<PathBuf>,
}

impl Program {
    /// The program of this name.
    ///
    /// # Panics
    ///
    /// If there is no such script, or it does not say what it needs.
    #[must_use]
    pub fn named(name: &str) -> Self {
        let script = crate::file(&format!("programs/{name}.sh"));
        let text = std::fs::read_to_string(&script).expect("a script of this name");
        let after = |what: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(what));
            line.unwrap_or_else(|| panic!("{name}.sh has no line {what:?}")).trim().to_owned()
        };
        let needs = after("# needs:").split_whitespace().map(str::to_owned).collect();
        let folders = text.lines().find_map(|line| line.strip_prefix("# path:"));
        let folders = folders.map_or_else(Vec::new, matching_folders);
        let is_measured = !text.lines().any(|line| line == "# measured: no");
        let (name, version) = (name.to_owned(), after("# version:"));
        Self { name, is_measured, needs, version, script, folders }
    }

    /// All there are, by name.
    ///
    /// # Panics
    ///
    /// If the folder cannot be read.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let files = std::fs::read_dir(crate::file("programs")).expect("the folder of scripts");
        let paths = files.map(|file| file.expect("a file in it").path());
        let mut names: Vec<_> =
            paths.filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned())).collect();
        names.sort();
        names.iter().map(|name| Self::named(name)).collect()
    }

    /// The folders in which its programs are looked for.
    fn path(&self) -> OsString {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::env::split_paths(&path).chain(self.folders.iter().cloned());
        std::env::join_paths(folders).unwrap_or(path)
    }

    /// What it needs and is not on this machine.
    #[must_use]
    pub fn missing(&self) -> Vec<&str> {
        let path = self.path();
        let is_there = |program: &str| {
            std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
        };
        self.needs.iter().map(String::as_str).filter(|program| !is_there(program)).collect()
    }

    /// The first line with a digit of what it says about its version.
    #[must_use]
    pub fn version(&self) -> String {
        let mut command = Command::new("sh");
        let output = command.args(["-c", &self.version]).env("PATH", self.path()).output();
        let text = output
            .map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
            .unwrap_or_default();
        text.lines()
            .find(|line| line.contains(|letter: char| letter.is_ascii_digit()))
            .unwrap_or("?")
            .trim()
            .to_owned()
    }

    /// Runs it in a folder of its own, `scale` times as much as the least.
    ///
    /// # Errors
    ///
    /// It could not be run.
    pub fn run(
        &self,
        library: &Library,
        scale: usize,
        variables: &[(&str, &str)],
    ) -> std::io::Result<Run> {
        let folder = tempfile::tempdir()?;
        let root = crate::file("../..").canonicalize()?;
        let mut command = Command::new("sh");
        command
            .arg(&self.script)
            .current_dir(folder.path())
            .env("SCALE", scale.to_string())
            .env("PATH", self.path())
            .env("ROOT", root);
        command.env("LC_ALL", "C").envs(variables.iter().copied());
        run::run(command, library.path.as_deref(), &output_file(folder.path()))
    }
}

/// The folders that a pattern of the shell means.
fn matching_folders(pattern: &str) -> Vec<PathBuf> {
    let output = Command::new("sh").args(["-c", &format!("echo {pattern}")]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    text.unwrap_or_default().split_whitespace().map(PathBuf::from).collect()
}

fn output_file(folder: &Path) -> PathBuf {
    folder.join("brkmalloc-tests")
}
