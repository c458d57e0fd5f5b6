//! Hands out a lab: puts its stubs into the student's folder.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::project::{self, Project};
use crate::stub;
use crate::table::{HUNT, Lab, Tables};
use crate::tree::Replaced;

/// File of a hunt that has the number from which its bugs were drawn.
pub const SEED: &str = "seed";

/// What became of the student's folder.
#[derive(Debug, PartialEq, Eq)]
pub enum Handed {
    /// The stubs are there.
    New,
    /// They were there already, unchanged.
    Unchanged,
    /// They are there, and the student's earlier work is in this folder.
    Kept(PathBuf),
}

/// Returns the stubs of a lab; for the hunt all of `src/`, with the bugs that `seed` draws.
///
/// # Errors
///
/// A module cannot be read, or does not fit the table.
pub fn stubs(project: &Project, tables: &Tables, lab: &Lab, seed: u64) -> Result<Replaced, Error> {
    let read = |file: &Path| project::read(&project.path(file));
    let mut stubs = Replaced::new();
    if lab.number != HUNT {
        for file in stub::modules(lab) {
            let stub = stub::stub(lab, file, &read(file)?)?;
            stubs.insert(file.to_owned(), stub.into_bytes());
        }
        return Ok(stubs);
    }
    for path in project::files(&project.path("src"), &|_| false)? {
        let file = path.strip_prefix(project.root()).expect("a file below the root").to_owned();
        stubs.insert(file.clone(), read(&file)?.into_bytes());
    }
    for bug in tables.hunt(seed) {
        stubs.insert(bug.file.clone(), bug.seed(&read(&bug.file)?)?.into_bytes());
    }
    Ok(stubs)
}

/// Puts the stubs of a lab into the student's folder. Work that is there is moved aside.
///
/// # Errors
///
/// A stub cannot be made, or the folder cannot be changed.
pub fn hand_out(project: &Project, tables: &Tables, lab: &Lab, seed: u64) -> Result<Handed, Error> {
    let mut stubs = stubs(project, tables, lab, seed)?;
    if lab.number == HUNT {
        stubs.insert(SEED.into(), format!("{seed}\n").into_bytes());
    }
    let folder = project.student(lab.number);
    let mut handed = Handed::New;
    if folder.is_dir() {
        if is(&folder, &stubs)? {
            return Ok(Handed::Unchanged);
        }
        let kept = (1..).map(|n| project.path(format!("labs/student/{}-kept-{n}", lab.number)));
        let kept = kept.into_iter().find(|kept| !kept.exists()).expect("some number is unused");
        fs::rename(&folder, &kept).map_err(Error::at(&folder))?;
        handed = Handed::Kept(kept);
    }
    for (file, bytes) in stubs {
        project::write(&folder.join(file), &bytes)?;
    }
    Ok(handed)
}

/// Whether a folder has exactly these files.
fn is(folder: &Path, stubs: &Replaced) -> Result<bool, Error> {
    let files = project::files(folder, &|_| false)?;
    let is_stub = |path: &PathBuf| {
        let file = path.strip_prefix(folder).expect("a file below the folder");
        stubs.get(file).is_some_and(|stub| fs::read(path).is_ok_and(|bytes| bytes == *stub))
    };
    Ok(files.len() == stubs.len() && files.iter().all(is_stub))
}

/// Returns the number from which a student's hunt was drawn, if it was begun.
///
/// # Errors
///
/// The file has no number.
pub fn seed(project: &Project) -> Result<Option<u64>, Error> {
    let path = project.student(HUNT).join(SEED);
    if !path.is_file() {
        return Ok(None);
    }
    let text = project::read(&path)?;
    let number = text.trim().parse().map_err(|_| Error::Table(path, "it has no number".into()));
    number.map(Some)
}
