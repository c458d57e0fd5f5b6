//! A copy of the project below `target/`, in which some modules are replaced: by a student's, or
//! by those with a seeded bug. The project's own files are never touched.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::project::{self, Project};
use crate::stub;
use crate::student;
use crate::table::{HUNT, Lab};

/// Folders that no program needs.
const SKIPPED: [&str; 3] = ["target", ".git", "labs/student"];

/// Files in the place of the project's, by path in the project.
pub type Replaced = BTreeMap<PathBuf, Vec<u8>>;

/// The copy. One command at a time has it.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    _lock: File,
}

impl Tree {
    /// Takes the copy, once no other command has it.
    ///
    /// # Errors
    ///
    /// The folder cannot be made or locked.
    pub fn take(project: &Project) -> Result<Self, Error> {
        let folder = project.target();
        fs::create_dir_all(&folder).map_err(Error::at(&folder))?;
        let path = folder.join("lock");
        let lock = File::create(&path).map_err(Error::at(&path))?;
        lock.lock().map_err(Error::at(&path))?;
        Ok(Self { root: folder.join("tree"), _lock: lock })
    }

    /// The copy's root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the copy equal to the project, but for the files that are `replaced`. A file that is
    /// right is left alone, so that cargo builds what has changed.
    ///
    /// # Errors
    ///
    /// A file cannot be read or written.
    pub fn set(&self, project: &Project, replaced: &Replaced) -> Result<(), Error> {
        let root = project.root();
        let skip = |path: &Path| {
            path.file_name().is_some_and(|name| name == "target")
                || SKIPPED.iter().any(|skipped| path == root.join(skipped))
        };
        let below = |path: &Path, root: &Path| {
            path.strip_prefix(root).expect("a file below the root").to_owned()
        };
        let mut kept = BTreeSet::new();
        for path in project::files(root, &skip)? {
            let file = below(&path, root);
            let own;
            let wanted = match replaced.get(&file) {
                Some(bytes) => bytes,
                None => {
                    own = fs::read(&path).map_err(Error::at(&path))?;
                    &own
                }
            };
            let copy = self.root.join(&file);
            if fs::read(&copy).ok().as_ref() != Some(wanted) {
                project::write(&copy, wanted)?;
            }
            kept.insert(file);
        }
        for path in project::files(&self.root, &|_| false)? {
            if !kept.contains(&below(&path, &self.root)) {
                fs::remove_file(&path).map_err(Error::at(path))?;
            }
        }
        Ok(())
    }
}

/// Returns the files that a student has for a lab: none if the lab was not begun.
///
/// # Errors
///
/// A file cannot be read, or replaces none of the lab's modules.
pub fn students(project: &Project, lab: &Lab) -> Result<Replaced, Error> {
    let folder = project.student(lab.number);
    let mut replaced = Replaced::new();
    for path in project::files(&folder, &|_| false)? {
        let file = path.strip_prefix(&folder).expect("a file below the folder").to_owned();
        if file == Path::new(student::SEED) {
            continue;
        }
        let is_module = if lab.number == HUNT {
            file.starts_with("src") && project.path(&file).is_file()
        } else {
            stub::modules(lab).any(|module| module == file)
        };
        if !is_module {
            return Err(Error::NoModule(path));
        }
        replaced.insert(file, fs::read(&path).map_err(Error::at(&path))?);
    }
    Ok(replaced)
}
