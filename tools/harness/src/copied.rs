//! Copies of the project, made of links.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Links all entries of a folder that are chosen by name to another folder, which is made, in place
/// of a link if there is one. Links to what is gone are removed.
pub(crate) fn link_all(from: &Path, to: &Path, is_chosen: impl Fn(&str) -> bool) -> io::Result<()> {
    if to.is_symlink() {
        fs::remove_file(to)?;
    }
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(to)? {
        let link = entry?.path();
        if link.is_symlink() && !link.exists() {
            fs::remove_file(link)?;
        }
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let link = to.join(entry.file_name());
        if is_chosen(&entry.file_name().to_string_lossy()) && !link.is_symlink() {
            symlink(entry.path(), link)?;
        }
    }
    Ok(())
}

/// The Rust files below a folder, in order.
pub(crate) fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
