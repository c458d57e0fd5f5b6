//! Lines of source, from addresses in programs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use addr2line::Loader;

/// A line of a source file, whose path is relative to the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, from 1 on.
    pub line: u32,
}

/// Symbols of programs, read when they are asked for.
pub struct Symbols {
    project: PathBuf,
    folder: Option<PathBuf>,
    loaded: HashMap<String, Option<Loader>>,
}

/// Folders whose files are the programs' own.
const OWN: [&str; 2] = ["/programs/src/", "/user/c/"];

impl Symbols {
    /// Symbols of the programs in a folder, of a project.
    pub fn new(project: &Path, folder: Option<&Path>) -> Self {
        let folder = folder.map(Path::to_owned);
        Self { project: project.to_owned(), folder, loaded: HashMap::new() }
    }

    /// Returns the innermost line of the program's own source among these addresses, which are
    /// offsets in its image. The first one is an instruction's, the others are those to which calls
    /// return.
    pub fn place(&mut self, program: &str, addresses: &[u64]) -> Option<Place> {
        let Self { project, folder, loaded } = self;
        let load = || Loader::new(folder.as_ref()?.join(program)).ok();
        let loader = loaded.entry(program.to_owned()).or_insert_with(load).as_ref()?;
        addresses.iter().enumerate().find_map(|(depth, address)| {
            // The call is in front of the address to which it returns.
            let address = address.checked_sub(u64::from(depth > 0))?;
            let mut frames = loader.find_frames(address).ok()?;
            while let Ok(Some(frame)) = frames.next() {
                let Some(location) = frame.location else { continue };
                let (Some(file), Some(line)) = (location.file, location.line) else { continue };
                if OWN.iter().any(|own| file.contains(own)) {
                    return Some(Place { file: relative(project, file), line });
                }
            }
            None
        })
    }
}

/// A path without the project's.
fn relative(project: &Path, file: &str) -> String {
    let path = Path::new(file);
    path.strip_prefix(project).unwrap_or(path).display().to_string()
}
