//! What `make size` found that the heap takes of a small target.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

/// What each profile takes; of what the file says, as much as a target needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SmallTarget {
    /// The target.
    pub target: String,
    /// The ordinary one, and `tiny`.
    pub profiles: Vec<Profile>,
}

/// What one profile takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub name: String,
    /// The figures.
    #[serde(flatten)]
    pub bytes: Bytes,
    /// The most that they may be.
    pub limits: Option<Bytes>,
}

/// Bytes of state, and of code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bytes {
    /// The heap, with its break and its lock.
    #[serde(rename = "state_bytes")]
    pub state: u32,
    /// Everything that is linked and not written to.
    #[serde(rename = "code_bytes")]
    pub code: u32,
}

impl SmallTarget {
    /// Reads what `make size` wrote.
    ///
    /// # Errors
    ///
    /// There is no such file, or it is something else.
    pub fn read(path: &Path) -> io::Result<Self> {
        Ok(serde_json::from_slice(&std::fs::read(path)?)?)
    }
}
