//! What the allocator has for a target is there with a stable compiler.

use std::fs;
use std::path::{Path, PathBuf};

/// A stable compiler tells no code which of these features a target has: `mclass`, which all
/// Cortex-M have, is set by a nightly only. (Those that it does tell are those of x86 and aarch64,
/// and the allocator needs none.)
const UNTOLD: &str = "target_feature";

#[test]
fn no_part_depends_on_what_only_a_nightly_tells() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().join("src");
    let files = sources(&src);
    assert!(files.len() > 100, "only {} files were found", files.len());
    for file in files {
        let has = fs::read_to_string(&file).unwrap().contains(UNTOLD);
        assert!(!has, "{} asks for a {UNTOLD}", file.display());
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}
