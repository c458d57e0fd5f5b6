//! A place where the programs of `c/` are built and run.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::library::{Library, brkmalloc};
use crate::run::{self, Run};

/// A folder in which programs are built, and then run.
#[derive(Debug)]
pub struct Workshop(TempDir);

impl Workshop {
    /// Returns the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Makes a folder.
    ///
    /// # Panics
    ///
    /// If there is no place for it.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "it makes a folder")]
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder for what is built"))
    }

    /// Builds a source file as a program, or, with `-shared`, as a library.
    ///
    /// # Panics
    ///
    /// If it does not compile.
    #[must_use]
    pub fn build(&self, source: &str, flags: &[&str]) -> PathBuf {
        let compiler = if source.ends_with(".cc") { "c++" } else { "cc" };
        let target = self.0.path().join(source.replace('.', "_"));
        let mut command = Command::new(compiler);
        // The programs do on purpose what compilers warn of.
        command.args(["-O1", "-w", "-o"]).arg(&target).arg(crate::file("c").join(source));
        let status = command.args(flags).args(["-pthread", "-ldl"]).status().expect("a compiler");
        assert!(status.success(), "{source} does not compile");
        target
    }

    /// Runs a program with the library under test.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn run(&self, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Run {
        self.run_with(&brkmalloc(), program, arguments, variables)
    }

    /// Runs a program with another library.
    ///
    /// # Panics
    ///
    /// If it cannot be started.
    #[must_use]
    pub fn run_with(
        &self,
        library: &Library,
        program: &Path,
        arguments: &[&str],
        variables: &[(&str, &str)],
    ) -> Run {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.0.path()).envs(variables.iter().copied());
        run::run(command, library.path.as_deref(), &self.0.path().join("log"))
            .expect("a program that can be started")
    }

    /// Runs a program that must end as it should, and say so.
    ///
    /// # Panics
    ///
    /// If it does not.
    pub fn assert_ok(&self, program: &Path, arguments: &[&str], variables: &[(&str, &str)]) {
        let run = self.run(program, arguments, variables);
        let output = String::from_utf8_lossy(&run.output);
        assert!(
            run.status.success() && output.ends_with(": ok\n"),
            "{} {arguments:?} {variables:?}: {}\n{output}{}",
            program.display(),
            run.status,
            run.errors
        );
    }
}

/// Variables for the checked heap.
pub const CHECKED: [(&str, &str); 1] = [("BRKALLOC_CHECKED", "1")];
