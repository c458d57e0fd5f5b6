//! What the profile `checked` costs where it is off: nothing, to the byte.
//!
//! ```text
//!   src/ ─┬─ as it is ─────────────────────► a program ─┐
//!         └─ without every line of the       a program ─┴─ the same file
//!            profile, which blank.rs takes out              (and with the feature on, another one)
//! ```
//!
//! Both are built at one place from files of one length, so nothing but the code can make a
//! difference: not even a line number has moved.

mod blank;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::project::{Project, Setup};
use crate::size::SORT;
use crate::{Error, cargo, process};

/// The profile.
const FEATURE: &str = "checked";

/// Programs are compared for a 32-bit target, as small as can be, and for a 64-bit one, as fast as
/// can be.
const BUILDS: [(&str, &str); 2] = [("thumbv7m-none-eabi", "z"), ("x86_64-unknown-none", "3")];

/// Compares the programs. No line: they are the same.
///
/// # Errors
///
/// What kept the programs from being built.
pub fn differences(
    project: &Project,
    setup: &Setup,
    mut on_line: impl FnMut(&str),
) -> Result<Vec<String>, Error> {
    let copy = Copy::of(project)?;
    let mut found = Vec::new();
    for (target, level) in BUILDS {
        let mut build =
            |features| copy.build(project, setup, (target, level), features, &mut on_line);
        copy.write_source(project, |text| Ok(text.to_owned()))?;
        let (off, on) = (build("")?, build(FEATURE)?);
        copy.write_source(project, |text| {
            let left = blank::without(FEATURE, text)?;
            if blank::mentions(FEATURE, &left)? {
                Err(format!("a condition on {FEATURE} is left"))
            } else {
                Ok(left)
            }
        })?;
        let without = build("")?;
        if off == on {
            found.push(format!("{target}: the feature {FEATURE} makes no difference: the comparison would see nothing"));
        }
        if off != without {
            let at = off
                .iter()
                .zip(&without)
                .position(|(one, other)| one != other)
                .unwrap_or(off.len().min(without.len()));
            found.push(format!(
                "{target}: {FEATURE} leaves a trace: a program of {} bytes, {} without a line of it, different from byte {at} on",
                off.len(),
                without.len()
            ));
        }
    }
    Ok(found)
}

/// A copy of what is built: the allocator's manifest and source, and the program for a small
/// target.
struct Copy(PathBuf);

impl Copy {
    fn of(project: &Project) -> Result<Self, Error> {
        let copy = Self(project.target("no-trace").join("tree"));
        match fs::remove_dir_all(&copy.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::Write(copy.0, error));
            }
            _ => {}
        }
        let mut files = vec![project.root().join("Cargo.toml"), project.root().join("README.md")];
        for folder in ["tests", "tools/size"] {
            files.extend(files_in(&project.root().join(folder))?);
        }
        for file in files {
            let text = fs::read(&file).map_err(|error| Error::Write(file.clone(), error))?;
            copy.write(relative(project, &file), &text)?;
        }
        Ok(copy)
    }

    /// Writes the source anew, each file as `edit` says.
    fn write_source(
        &self,
        project: &Project,
        edit: impl Fn(&str) -> Result<String, String>,
    ) -> Result<(), Error> {
        for file in files_in(&project.root().join("src"))? {
            let text =
                fs::read_to_string(&file).map_err(|error| Error::Write(file.clone(), error))?;
            let name = relative(project, &file);
            let edited = edit(&text)
                .map_err(|reason| Error::Build(name.display().to_string(), vec![reason]))?;
            self.write(name, edited.as_bytes())?;
        }
        Ok(())
    }

    fn write(&self, name: &Path, text: &[u8]) -> Result<(), Error> {
        let path = self.0.join(name);
        let folder = path.parent().expect("a file in a folder");
        let written = fs::create_dir_all(folder).and_then(|()| fs::write(&path, text));
        written.map_err(|error| Error::Write(path, error))
    }

    /// Builds the program, and reads it.
    fn build(
        &self,
        project: &Project,
        setup: &Setup,
        (target, level): (&str, &str),
        features: &str,
        mut on_line: impl FnMut(&str),
    ) -> Result<Vec<u8>, Error> {
        let mut command = cargo::freestanding(project, setup, &self.0.join("tools/size"), SORT);
        command
            .args([
                "build",
                "--release",
                "--target",
                target,
                "--features",
                features,
                "-Zbuild-std=core,compiler_builtins",
            ])
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level);
        let mut output = Vec::new();
        let status = process::run(command, |line| {
            output.push(line.to_owned());
            on_line(line);
        })?;
        // If cargo took the files for those that it knows, the programs would be the same for
        // another reason.
        let is_new = output.iter().any(|line| line.contains("Compiling brkalloc "));
        if !status.success() || !is_new {
            return Err(Error::Build(format!("the program for {target}"), output));
        }
        let path = project.target(SORT).join(target).join("release/small-target");
        fs::read(&path).map_err(|error| Error::Write(path, error))
    }
}

/// All files below a folder.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |error| Error::Write(folder.to_owned(), error);
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        match path.is_dir() {
            true if path.file_name().is_some_and(|name| name == "target") => {}
            true => files.extend(files_in(&path)?),
            false => files.push(path),
        }
    }
    Ok(files)
}

fn relative<'a>(project: &Project, file: &'a Path) -> &'a Path {
    file.strip_prefix(project.root()).expect("a file of the project")
}
