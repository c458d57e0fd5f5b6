//! Writes the table of the ring-3 programs that the kernel carries, for `src/programs.rs`.
//!
//! `BRKALLOC_PROGRAMS` is the folder with their images, set by whoever has built them. Without it
//! the table is empty: the host's tests and lints need none.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

const FOLDER: &str = "BRKALLOC_PROGRAMS";

/// How an executable begins.
const MAGIC: &[u8] = b"\x7fELF";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed={FOLDER}");
    let programs =
        env::var_os(FOLDER).map(|folder| programs(Path::new(&folder))).unwrap_or_default();

    let mut table = format!("static PROGRAMS: [(&str, &[u8]); {}] = [\n", programs.len());
    for path in programs {
        println!("cargo::rerun-if-changed={}", path.display());
        let name = path
            .file_name()
            .expect("a file in a folder has a name")
            .to_str()
            .expect("programs have plain names");
        writeln!(table, "    ({name:?}, &Aligned(*include_bytes!({path:?})).0),")
            .expect("a string takes all text");
    }
    table.push_str("];\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo says where to write"));
    fs::write(out.join("programs.rs"), table).expect("the table can be written");
}

/// The images in the folder, by name.
fn programs(folder: &Path) -> Vec<PathBuf> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{FOLDER}: {}: {error}", folder.display()));
    let mut programs: Vec<_> =
        entries.map(|entry| entry.expect("a folder can be read to its end").path()).collect();
    assert!(!programs.is_empty(), "{FOLDER}: there is no program in {}", folder.display());
    for path in &programs {
        let image = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(image.starts_with(MAGIC), "{} is no program", path.display());
    }
    programs.sort();
    programs
}
