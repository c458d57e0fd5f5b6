//! Traces in files: found in folders, in any of the forms, compressed or not.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Error, Trace, format, slots};

/// Returns the traces at `paths`: the files named, and in folders those whose names end as those of
/// traces do. Sorted by name.
///
/// # Errors
///
/// There is no such file or folder, a folder cannot be read, or there is no trace in it.
pub fn find(paths: &[PathBuf]) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        if !path.try_exists()? {
            return Err(not_found(format!("there is no {}", path.display())));
        }
        if !path.is_dir() {
            found.push(path.clone());
            continue;
        }
        let before = found.len();
        for entry in std::fs::read_dir(path)? {
            let path = entry?.path();
            let name = path.to_string_lossy();
            if [".bin", ".bin.xz", ".trace"].iter().any(|end| name.ends_with(end)) {
                found.push(path);
            }
        }
        if found.len() == before {
            return Err(not_found(format!("there is no trace in {}", path.display())));
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn not_found(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, what)
}

/// Returns the name of a trace: its file's name up to the first dot.
#[must_use]
pub fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split('.').next().unwrap_or_default().to_owned()
}

/// Returns the bytes of a file; `xz` decompresses one whose name ends in `.xz`.
///
/// # Errors
///
/// The file cannot be read or decompressed, or there is no `xz`.
pub fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    if path.extension().is_none_or(|end| end != "xz") {
        return std::fs::read(path);
    }
    let output =
        Command::new("xz").args(["-dc", "--"]).arg(path).stdin(Stdio::null()).output().map_err(
            |error| io::Error::new(error.kind(), format!("`xz` cannot be run: {error}")),
        )?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    Ok(output.stdout)
}

/// Reads a trace in the slot form or in the compact form.
///
/// # Errors
///
/// The file cannot be read, or is no trace.
pub fn read(path: &Path) -> Result<Trace, Error> {
    let bytes = bytes(path)?;
    if slots::is_slots(&bytes) { slots::read(&bytes) } else { format::read(&bytes) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `malloc(24)` and `free` in the slot form.
    const PAIR: [u8; 48] = {
        let mut pair = [0; 48];
        (pair[0], pair[4], pair[24], pair[32]) = (2, 1, 24, 3);
        pair
    };

    /// A folder of this test's own.
    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("brkalloc-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn traces_are_found_in_folders_and_read_in_both_forms() {
        let folder = folder("traces");
        std::fs::write(folder.join("b.bin"), PAIR).unwrap();
        std::fs::write(folder.join("README.md"), "text").unwrap();
        let trace = read(&folder.join("b.bin")).unwrap();
        trace.write(std::fs::File::create(folder.join("a.trace")).unwrap()).unwrap();
        let found = find(std::slice::from_ref(&folder)).unwrap();
        assert_eq!(found.iter().map(|path| name_of(path)).collect::<Vec<_>>(), ["a", "b"]);
        for path in &found {
            assert_eq!(read(path).unwrap(), trace, "{}", path.display());
        }
        assert!(read(&folder.join("README.md")).is_err());
        let empty = folder.join("empty");
        assert!(
            find(std::slice::from_ref(&empty)).unwrap_err().to_string().contains("there is no")
        );
        std::fs::create_dir(&empty).unwrap();
        assert!(find(&[empty]).unwrap_err().to_string().contains("there is no trace in"));
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn xz_files_are_decompressed_if_xz_is_there() {
        let folder = folder("xz");
        let path = folder.join("pair.bin");
        std::fs::write(&path, PAIR).unwrap();
        if Command::new("xz").arg(&path).status().is_ok_and(|status| status.success()) {
            let trace = read(&folder.join("pair.bin.xz")).unwrap();
            assert_eq!((trace.ops().len(), trace.peak_live()), (2, 24));
            std::fs::write(folder.join("bad.bin.xz"), PAIR).unwrap();
            assert!(matches!(read(&folder.join("bad.bin.xz")), Err(Error::Io(_))));
        }
        std::fs::remove_dir_all(folder).unwrap();
    }
}
