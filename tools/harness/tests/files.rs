//! No file of a program is longer than a reader takes in at once. (`src/` is judged by its rooms,
//! the kernel by stricter limits: `rooms.rs`, `kernel.rs`.)

use std::fs;
use std::path::{Path, PathBuf};

/// Maximum lines of a file.
const MOST: usize = 500;

/// Extensions of programs.
const PROGRAMS: [&str; 8] = ["c", "cc", "h", "js", "mjs", "py", "rs", "sh"];

/// Folders with other files than the project's own, and the allocator.
const LEFT_OUT: [&str; 4] = ["target", ".git", "labs/student", "src"];

#[test]
fn no_program_is_in_a_file_that_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let files = files(root, root);
    assert!(files.len() > 300, "only {} files were found", files.len());
    for file in files {
        let lines = fs::read_to_string(&file).unwrap().lines().count();
        assert!(lines <= MOST, "{} has {lines} lines, {MOST} at most", file.display());
    }
}

fn files(root: &Path, folder: &Path) -> Vec<PathBuf> {
    let is_left_out = |path: &Path| {
        path.ends_with("target") || LEFT_OUT.iter().any(|folder| path == root.join(folder))
    };
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) =
        paths.filter(|path| !path.is_symlink()).partition(|path| path.is_dir());
    let is_program = |path: &PathBuf| {
        path.extension().is_some_and(|found| PROGRAMS.iter().any(|extension| found == *extension))
    };
    let below =
        folders.iter().filter(|path| !is_left_out(path)).flat_map(|path| self::files(root, path));
    files.into_iter().filter(is_program).chain(below).collect()
}
