//! Builds the ring-3 programs with symbols, for debuggers and stories, and collects their images
//! without them in a folder, for the kernel that carries them.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::project::{Project, Setup};
use crate::{Error, build, c, cargo};

/// The environment variable by which the kernel's build finds the folder.
pub const FOLDER: &str = "BRKALLOC_PROGRAMS";

/// The sort of build output that the programs are, and the folder of their images.
const SORT: &str = "user";
const IMAGES: &str = "programs";

/// The program with symbols, once it was built.
pub fn with_symbols(project: &Project, name: &str) -> PathBuf {
    let in_c = symbols(project).join("c").join(name);
    if in_c.is_file() { in_c } else { symbols(project).join(name) }
}

/// The folder of the programs with symbols: where cargo leaves them.
pub fn symbols(project: &Project) -> PathBuf {
    project.target(SORT).join(TARGET).join("release")
}

/// Bare x86_64, position-independent, without floating point.
const TARGET: &str = "x86_64-unknown-none";

/// Brings the programs up to date and returns the folder that holds their images and nothing else.
/// `on_line` gets what the build has to say. A program in C that does not compile or link is left
/// out.
pub fn build(
    project: &Project,
    setup: &Setup,
    mut on_line: impl FnMut(&str),
) -> Result<PathBuf, Error> {
    on_line(&build::phase("the ring-3 programs"));
    let failed = |output| Error::Build("the ring-3 programs".into(), output);
    let command = || {
        let mut command = cargo::freestanding(project, setup, &project.user(), SORT);
        command.args(["build", "--release", "--bins", "--lib", "--target", TARGET]).args([
            "-Zbuild-std=core,alloc,compiler_builtins",
            "-Zbuild-std-features=compiler-builtins-mem",
        ]);
        command
    };
    let mut output = Vec::new();
    let status = build::run(project, SORT, command, |line| {
        output.push(line.to_owned());
        on_line(line);
    })?;
    if !status.success() {
        return Err(failed(output));
    }
    let names = all_names(project).map_err(|error| failed(vec![error.to_string()]))?;
    let twice = names.windows(2).find(|names| names[0] == names[1]);
    if let Some(names) = twice {
        return Err(failed(vec![format!("there are two programs {:?}", names[0])]));
    }
    let folder = project.target(IMAGES);
    let built = symbols(project);
    let built_c = c::build(project, setup, &built, on_line)?;
    let is_c = |name: &str| c::source(project, name).is_file();
    let file = |name: &str| if is_c(name) { built_c.join(name) } else { built.join(name) };
    let whole = names.into_iter().filter(|name| !is_c(name) || file(name).is_file());
    collect(&whole.collect::<Vec<_>>(), &folder, |name| image(setup, &file(name)))
        .map_err(|error| Error::Write(folder.clone(), error))?;
    Ok(folder)
}

/// The folder of the programs' sources.
pub(crate) fn sources(project: &Project) -> PathBuf {
    project.user().join("programs/src/bin")
}

/// The names of all programs, in Rust and in C, in order.
pub(crate) fn all_names(project: &Project) -> io::Result<Vec<String>> {
    let mut names = [names(&sources(project))?, c::names(project)?].concat();
    names.sort();
    Ok(names)
}

/// Maximum length of a program's name and arguments, in bytes: the kernel has a buffer for them.
const LONGEST: usize = 1024;

/// Finds a program that there is not, before anything is built: the first of the words names it.
///
/// # Errors
///
/// There is none of that name, the words are too long, or the folders of programs cannot be read.
pub fn check(project: &Project, words: &str) -> Result<(), Error> {
    let names = all_names(project).map_err(|error| Error::Run("the programs".into(), error))?;
    let name = words.split_whitespace().next().unwrap_or_default();
    if words.len() > LONGEST {
        let len = words.len();
        return Err(Error::Usage(format!("PROGRAM has {len} bytes; at most {LONGEST} are taken")));
    }
    if names.iter().any(|known| known == name) {
        return Ok(());
    }
    let names = names.join(", ");
    Err(Error::Usage(format!("PROGRAM: there is no program {name:?}; there are: {names}")))
}

/// Finds a program that the last build has left out: the first of the words names it.
///
/// # Errors
///
/// It was left out.
pub(crate) fn check_built(project: &Project, words: &str) -> Result<(), Error> {
    let name = words.split_whitespace().next().unwrap_or_default();
    if project.target(IMAGES).join(name).is_file() {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "PROGRAM: {name:?} was left out: {} does not compile or link; the errors are above",
        c::source(project, name).display()
    )))
}

/// The names of those in Rust: each file of sources, or folder of such, is one.
pub(crate) fn names(sources: &Path) -> io::Result<Vec<String>> {
    let entries = fs::read_dir(sources)?.collect::<io::Result<Vec<_>>>()?;
    let mut names: Vec<_> = entries
        .iter()
        .map(fs::DirEntry::path)
        .filter(|path| path.is_dir() || path.extension().is_some_and(|extension| extension == "rs"))
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// The bytes of a program that a kernel carries: without symbols.
fn image(setup: &Setup, program: &Path) -> io::Result<Vec<u8>> {
    let stripped = program.with_extension("stripped");
    if !build::is_newer(&stripped, &[program.to_owned()]) {
        // It has its name only when it is whole.
        let new = program.with_extension("new");
        let status = Command::new(&setup.strip).arg("-o").arg(&new).arg(program).status()?;
        if !status.success() {
            return Err(io::Error::other("a program cannot be stripped"));
        }
        fs::rename(new, &stripped)?;
    }
    fs::read(stripped)
}

/// Writes the images of these names to the folder, removes all others, and leaves those alone that
/// are as they should be: their times tell that they did not change.
fn collect(
    names: &[String],
    folder: &Path,
    image: impl Fn(&str) -> io::Result<Vec<u8>>,
) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !names.iter().any(|name| entry.file_name() == **name) {
            fs::remove_file(entry.path())?;
        }
    }
    for name in names {
        let (image, to) = (image(name)?, folder.join(name));
        if fs::read(&to).ok().as_ref() != Some(&image) {
            fs::write(&to, image)?;
            fs::set_permissions(&to, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_program_of_the_project_is_named() {
        let project = Project::find().unwrap();
        let names = all_names(&project).unwrap();
        for program in ["hello", "textbook"] {
            assert!(names.iter().any(|name| name == program), "{names:?}");
        }
    }

    #[test]
    fn an_unknown_program_is_answered_with_those_there_are() {
        let project = Project::find().unwrap();
        assert!(check(&project, "lazy 5").is_ok());
        for words in ["lazier 5", "", " "] {
            let answer = check(&project, words).unwrap_err().to_string();
            assert!(answer.contains("hello, "), "{answer}");
        }
    }

    #[test]
    fn words_that_the_kernel_has_no_room_for_are_refused() {
        let project = Project::find().unwrap();
        let words = |len: usize| format!("hello {}", "x".repeat(len - "hello ".len()));
        assert!(check(&project, &words(LONGEST)).is_ok());
        let answer = check(&project, &words(LONGEST + 1)).unwrap_err().to_string();
        assert!(answer.contains("1025 bytes"), "{answer}");
    }
}
