//! Builds the ring-3 programs in C, with the host's `cc` and the linker of the kernel's compiler.
//!
//! ```text
//!   user/c/NAME.c, user/c/libc/*.c ── cc -c, no headers of the host ──► objects ─┐
//!   user/c/runtime ── cargo ──► libc_runtime.a: start-up code, brkalloc ─────────┴─ rust-lld ──► NAME
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::process;
use crate::project::{Project, Setup};

/// The compiler, which the set-up has made sure of.
const CC: &str = "cc";

/// Position-independent code without vector registers, which the kernel saves for nobody.
const FLAGS: &[&str] = &[
    "-c",
    "-O1",
    "-std=gnu11",
    "-Wall",
    "-Wextra",
    "-ffreestanding",
    "-nostdinc",
    "-fPIE",
    "-fno-stack-protector",
    "-fcf-protection=none",
    "-fno-asynchronous-unwind-tables",
    "-mgeneral-regs-only",
];

/// What Clang is told beyond that: it compiles for every machine.
const CLANG_TARGET: &str = "--target=x86_64-unknown-none-elf";

/// The same layout as that of the programs in Rust; see their `.cargo/config.toml`.
const LINK_FLAGS: &[&str] = &[
    "-flavor",
    "gnu",
    "-pie",
    "--no-dynamic-linker",
    "--gc-sections",
    "-zseparate-loadable-segments",
    "-zmax-page-size=4096",
    "--entry=_start",
];

/// Begins each line about a program that is left out.
pub(crate) const LEFT_OUT: &str = "left out: ";

/// The folder of the programs' sources.
pub(crate) fn sources(project: &Project) -> PathBuf {
    project.user().join("c")
}

/// The source of a program of this name, if that is in C.
pub(crate) fn source(project: &Project, name: &str) -> PathBuf {
    sources(project).join(name).with_extension("c")
}

/// The names of the programs: each file of C is one.
pub(crate) fn names(project: &Project) -> io::Result<Vec<String>> {
    let files = files(&sources(project))?;
    let name = |file: &PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// Compiles and links all programs, given the folder of what cargo has built. `with_symbols` for a
/// debugger. Returns the folder that holds them. One that does not compile or link is not there,
/// and `on_line` gets the reason.
pub(crate) fn build(
    project: &Project,
    setup: &Setup,
    built: &Path,
    with_symbols: bool,
    mut on_line: impl FnMut(&str),
) -> Result<PathBuf, Error> {
    let folder = built.join("c");
    let objects = folder.join("objects");
    fs::create_dir_all(&objects).map_err(|error| Error::Write(objects.clone(), error))?;
    let read = |folder: &Path| {
        files(folder)
            .map_err(|error| Error::Build(folder.display().to_string(), vec![error.to_string()]))
    };
    let compile = |file: &PathBuf| {
        let object = objects.join(file.file_stem().unwrap_or_default()).with_extension("o");
        compile(&sources(project), file, &object, with_symbols).map(|()| object)
    };
    let libc = sources(project).join("libc");
    let library = read(&libc)?.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
    let link = |object: &Path, file: &Path, program: &Path| {
        let mut command = Command::new(setup.strip.with_file_name("rust-lld"));
        command.args(LINK_FLAGS).arg(object).args(&library).arg(built.join("libc_runtime.a"));
        if !with_symbols {
            command.arg("--strip-all");
        }
        command.arg("-o").arg(program);
        run(command, file)
    };
    for file in read(&sources(project))? {
        let program = folder.join(file.file_stem().unwrap_or_default());
        let linked = compile(&file).and_then(|object| link(&object, &file, &program));
        if let Err(Error::Build(_, lines)) = linked {
            remove(&program)?;
            let name = file.strip_prefix(project.root()).unwrap_or(&file).display();
            on_line(&format!("{LEFT_OUT}{name}, which does not compile or link"));
            lines.iter().for_each(|line| on_line(&format!("{LEFT_OUT}{line}")));
        } else {
            linked?;
        }
    }
    Ok(folder)
}

/// Removes a program that an earlier build has made, if there is one.
fn remove(program: &Path) -> Result<(), Error> {
    match fs::remove_file(program) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::Write(program.to_owned(), error))
        }
        _ => Ok(()),
    }
}

fn compile(sources: &Path, file: &Path, object: &Path, with_symbols: bool) -> Result<(), Error> {
    let mut command = Command::new(CC);
    if is_clang() {
        command.arg(CLANG_TARGET);
    }
    command.args(FLAGS).arg("-I").arg(sources.join("libc/include"));
    if with_symbols {
        // A story follows frame pointers from a call of the heap to its line in the source.
        command.args(["-g", "-fno-omit-frame-pointer"]);
    }
    command.arg(file).arg("-o").arg(object);
    run(command, file)
}

fn is_clang() -> bool {
    let output = Command::new(CC).arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("clang"))
}

/// Runs a command that makes something of a file.
fn run(command: Command, file: &Path) -> Result<(), Error> {
    let mut lines = Vec::new();
    let status = process::run(command, |line| lines.push(line.to_owned()))?;
    if status.success() { Ok(()) } else { Err(Error::Build(file.display().to_string(), lines)) }
}

/// The files of C in a folder, in order.
fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let is_c = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "c");
    let mut files: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(is_c).collect();
    files.sort();
    Ok(files)
}
