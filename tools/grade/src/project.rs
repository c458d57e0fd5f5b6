//! Where things are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;

/// The file by which the project's root is recognised.
const MARK: &str = "labs/labs.toml";

/// The project on disk.
#[derive(Clone, Debug)]
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Finds the project that the current folder is part of.
    ///
    /// # Errors
    ///
    /// No folder above it is the project's root.
    pub fn find() -> Result<Self, Error> {
        let start = env::current_dir().map_err(Error::at("."))?;
        let root = start.ancestors().find(|folder| folder.join(MARK).is_file());
        root.map(|root| Self { root: root.to_owned() }).ok_or(Error::NoProject(start))
    }

    /// The project of this root.
    #[must_use]
    pub const fn at(root: PathBuf) -> Self {
        Self { root }
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file or folder of the project.
    #[must_use]
    pub fn path(&self, below: impl AsRef<Path>) -> PathBuf {
        self.root.join(below)
    }

    /// The folder for a lab's page and table.
    #[must_use]
    pub fn lab(&self, number: u32) -> PathBuf {
        self.root.join(format!("labs/{number}"))
    }

    /// The folder for a student's files of a lab, which have the paths of the modules that they
    /// replace.
    #[must_use]
    pub fn student(&self, number: u32) -> PathBuf {
        self.root.join(format!("labs/student/{number}"))
    }

    /// The folder for what is built here.
    #[must_use]
    pub fn target(&self) -> PathBuf {
        self.root.join("target/labs")
    }
}

/// Reads a text file.
///
/// # Errors
///
/// It cannot be read.
pub fn read(path: &Path) -> Result<String, Error> {
    fs::read_to_string(path).map_err(Error::at(path))
}

/// Writes a file, and the folders that lead to it.
///
/// # Errors
///
/// It cannot be written.
pub fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().expect("a file is in a folder");
    fs::create_dir_all(folder).map_err(Error::at(folder))?;
    fs::write(path, bytes).map_err(Error::at(path))
}

/// Returns the files below a folder, without the folders that `skip` names, in order. None if
/// there is no such folder.
///
/// # Errors
///
/// A folder cannot be read.
pub fn files(folder: &Path, skip: &dyn Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Error> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(folder) = folders.pop().filter(|folder| folder.is_dir()) {
        for entry in fs::read_dir(&folder).map_err(Error::at(&folder))? {
            let path = entry.map_err(Error::at(&folder))?.path();
            if path.is_dir() {
                folders.extend((!skip(&path)).then_some(path));
            } else {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}
