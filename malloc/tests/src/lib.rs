//! Programs under `LD_PRELOAD`: who they are, how one is run, and what came of it.
//!
//! ```text
//!   c/          small programs, written for one rule each      tests/small_programs/
//!   programs/   real ones, as scripts                          tests/real_programs.rs, and main.rs: time and memory beside other libraries
//! ```

pub mod library;
pub mod program;
pub mod run;
pub mod workshop;

use std::path::{Path, PathBuf};

/// A file of this package.
#[must_use]
pub fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
