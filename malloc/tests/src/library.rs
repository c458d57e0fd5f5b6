//! The libraries that programs are run with.

use std::path::PathBuf;

/// The variable that says where `libbrkmalloc.so` is, if not where `make libmalloc` leaves it.
pub const VARIABLE: &str = "LIBBRKMALLOC";

/// An allocator for whole programs.
#[derive(Clone, Debug)]
pub struct Library {
    /// What it is called in tables.
    pub name: &'static str,
    /// What is preloaded; nothing for the C library's own.
    pub path: Option<PathBuf>,
}

/// The library under test.
///
/// # Panics
///
/// If it was not built.
#[must_use]
pub fn brkmalloc() -> Library {
    let built = || crate::file("../../target/release/libbrkmalloc.so");
    let path = std::env::var_os(VARIABLE).map_or_else(built, PathBuf::from);
    assert!(path.is_file(), "there is no {}: `make libmalloc` builds it", path.display());
    Library { name: "brkmalloc", path: Some(path) }
}

/// The C library's.
#[must_use]
pub const fn glibc() -> Library {
    Library { name: "glibc", path: None }
}

/// Others that are installed.
#[must_use]
pub fn others() -> Vec<Library> {
    let places = ["/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib"];
    let names = [
        ("mimalloc", "libmimalloc.so.2"),
        ("mimalloc", "libmimalloc.so.2.0"),
        ("jemalloc", "libjemalloc.so.2"),
    ];
    let mut found: Vec<Library> = Vec::new();
    for (name, file) in names {
        let path =
            places.iter().map(|place| PathBuf::from(place).join(file)).find(|path| path.exists());
        if path.is_some() && found.iter().all(|library| library.name != name) {
            found.push(Library { name, path });
        }
    }
    found
}
