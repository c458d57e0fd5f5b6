//! Builds the ring-3 programs, and collects their images in a folder for the kernel that carries
//! them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::project::{Project, Setup};
use crate::{Error, build, cargo};

/// The environment variable by which the kernel's build finds the folder.
pub const FOLDER: &str = "BRKALLOC_PROGRAMS";

/// The sort of build output that they are.
const SORT: &str = "user";

/// Bare x86_64, position-independent, without floating point.
const TARGET: &str = "x86_64-unknown-none";

/// Brings the programs up to date and returns the folder that holds their images and nothing else.
/// `on_line` gets what the build has to say.
pub fn build(
    project: &Project,
    setup: &Setup,
    mut on_line: impl FnMut(&str),
) -> Result<PathBuf, Error> {
    let failed = |output| Error::Build("the ring-3 programs".into(), output);
    let command = || {
        let mut command = cargo::freestanding(project, setup, &project.user(), SORT);
        command.args(["build", "--release", "--bins", "--target", TARGET]).args([
            "-Zbuild-std=core,alloc,compiler_builtins",
            "-Zbuild-std-features=compiler-builtins-mem",
        ]);
        command
    };
    let mut output = Vec::new();
    let status = build::run(project, SORT, command, |line| {
        output.push(line.to_owned());
        on_line(line);
    })?;
    if !status.success() {
        return Err(failed(output));
    }
    let sources = sources(project);
    let names =
        names(&sources).map_err(|error| failed(vec![format!("{}: {error}", sources.display())]))?;
    let (built, folder) =
        (project.target(SORT).join(TARGET).join("release"), project.target("programs"));
    collect(&names, &built, &folder).map_err(|error| Error::Write(folder.clone(), error))?;
    Ok(folder)
}

/// The folder of the programs' sources.
pub(crate) fn sources(project: &Project) -> PathBuf {
    project.user().join("programs/src/bin")
}

/// The programs' names: each file of sources, or folder of such, is one.
pub(crate) fn names(sources: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(sources)?.collect::<io::Result<Vec<_>>>()?;
    let mut names: Vec<_> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Copies the images of these names to the folder, removes all others, and leaves those alone that
/// are as they should be: who looks at times sees that they did not change.
fn collect(names: &[String], built: &Path, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !names.iter().any(|name| entry.file_name() == **name) {
            fs::remove_file(entry.path())?;
        }
    }
    for name in names {
        let (from, to) = (built.join(name), folder.join(name));
        if fs::read(&to).ok() != Some(fs::read(&from)?) {
            fs::copy(&from, &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_of_the_project_is_named() {
        let project = Project::find().unwrap();
        let names = names(&sources(&project)).unwrap();
        assert!(names.iter().any(|name| name == "hello"), "{names:?}");
    }
}
