//! Lines of source, from addresses in programs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use addr2line::Context;
use addr2line::gimli::{Dwarf, EndianSlice, Error, LittleEndian, SectionId};
use object::{File, Object as _, ObjectSection as _};

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
    loaded: HashMap<String, Option<Context<Section>>>,
}

/// Bytes of a section of a program.
type Section = EndianSlice<'static, LittleEndian>;

/// Reads a program's lines. Its bytes stay in memory, as the lines name them, and this tool ends
/// with its page.
fn load(program: &Path) -> Option<Context<Section>> {
    let bytes: &'static [u8] = fs::read(program).ok()?.leak();
    let file = File::parse(bytes).ok()?;
    let section = |id: SectionId| {
        let section = file.section_by_name(id.name());
        let bytes = section.and_then(|section| section.data().ok()).unwrap_or_default();
        Ok::<_, Error>(EndianSlice::new(bytes, LittleEndian))
    };
    Context::from_dwarf(Dwarf::load(section).ok()?).ok()
}

/// Whether a file is a program's own, not what it stands on.
fn is_own(file: &str) -> bool {
    let in_c = file.split_once("/user/c/").map(|(_, rest)| rest);
    file.contains("/programs/src/") || in_c.is_some_and(|rest| !rest.contains('/'))
}

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
        let load = || {
            let folder = folder.as_ref()?;
            load(&folder.join("c").join(program)).or_else(|| load(&folder.join(program)))
        };
        let context = loaded.entry(program.to_owned()).or_insert_with(load).as_ref()?;
        addresses.iter().enumerate().find_map(|(depth, address)| {
            // The call is in front of the address to which it returns.
            let address = address.checked_sub(u64::from(depth > 0))?;
            let mut frames = context.find_frames(address).skip_all_loads().ok()?;
            while let Ok(Some(frame)) = frames.next() {
                let Some(location) = frame.location else { continue };
                let (Some(file), Some(line)) = (location.file, location.line) else { continue };
                if is_own(file) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_stands_on_is_not_its_own() {
        for own in ["/a/user/programs/src/bin/lazy.rs", "/a/kernel-demo/user/c/words.c"] {
            assert!(is_own(own), "{own}");
        }
        for other in ["/a/user/c/libc/malloc.c", "/a/user/c/runtime/src/lib.rs", "/a/src/heap.rs"] {
            assert!(!is_own(other), "{other}");
        }
    }
}
