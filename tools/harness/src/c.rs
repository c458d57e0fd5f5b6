//! Builds the ring-3 programs in C, with the host's `cc` and the linker of the kernel's compiler.
//!
//! ```text
//!   user/c/NAME.c, user/c/libc/*.c ── cc -c, no headers of the host ──► objects ─┐
//!   user/c/runtime ── cargo ──► libc_runtime.a: start-up code, brkalloc ─────────┴─ rust-lld ──► NAME
//! ```
//!
//! All are built again if a file that goes into one has changed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::build::is_newer;
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
    // A debugger reads the symbols; a story follows frame pointers from a call of the heap to its
    // line in the source.
    "-g",
    "-fno-omit-frame-pointer",
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
    let files = files(&sources(project), "c")?;
    let name = |file: &PathBuf| Some(file.file_stem()?.to_str()?.to_owned());
    Ok(files.iter().filter_map(name).collect())
}

/// Compiles and links all programs, with symbols, given the folder of what cargo has built. Returns
/// the folder that holds them. One that does not compile or link is not there, and `on_line` gets
/// the reason.
pub(crate) fn build(
    project: &Project,
    setup: &Setup,
    built: &Path,
    mut on_line: impl FnMut(&str),
) -> Result<PathBuf, Error> {
    let folder = built.join("c");
    let objects = folder.join("objects");
    fs::create_dir_all(&objects).map_err(|error| Error::Write(objects.clone(), error))?;
    let failed =
        |error: io::Error| Error::Build("the programs in C".to_owned(), vec![error.to_string()]);
    let sources = sources(project);
    let libc = sources.join("libc");
    let runtime = built.join("libc_runtime.a");
    let programs = files(&sources, "c").map_err(failed)?;
    let library = files(&libc, "c").map_err(failed)?;
    let program = |file: &Path| folder.join(file.file_stem().unwrap_or_default());

    // The flags are this program's.
    let mut read = vec![runtime.clone(), std::env::current_exe().map_err(failed)?];
    read.extend(programs.iter().chain(&library).cloned());
    for headers in [&libc, &libc.join("include")] {
        read.extend(files(headers, "h").map_err(failed)?);
    }
    if programs.iter().all(|file| is_newer(&program(file), &read)) {
        return Ok(folder);
    }

    let compile = |file: &PathBuf| {
        let object = objects.join(file.file_stem().unwrap_or_default()).with_extension("o");
        compile(&sources, file, &object).map(|()| object)
    };
    let library = library.iter().map(compile).collect::<Result<Vec<_>, _>>()?;
    let link = |object: &Path, file: &Path| {
        // It has its name only when it is whole.
        let (new, program) = (program(file).with_extension("new"), program(file));
        let mut command = Command::new(setup.strip.with_file_name("rust-lld"));
        command.args(LINK_FLAGS).arg(object).args(&library).arg(&runtime).arg("-o").arg(&new);
        run(command, file)?;
        fs::rename(new, &program).map_err(|error| Error::Write(program, error))
    };
    for file in programs {
        let linked = compile(&file).and_then(|object| link(&object, &file));
        if let Err(Error::Build(_, lines)) = linked {
            remove(&program(&file))?;
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

fn compile(sources: &Path, file: &Path, object: &Path) -> Result<(), Error> {
    let mut command = Command::new(CC);
    if is_clang() {
        command.arg(CLANG_TARGET);
    }
    command.args(FLAGS).arg("-I").arg(sources.join("libc/include"));
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

/// The files in a folder with this extension, in order.
fn files(folder: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<io::Result<Vec<_>>>()?;
    let is_one = |path: &PathBuf| path.extension().is_some_and(|found| found == extension);
    let mut files: Vec<_> = entries.iter().map(fs::DirEntry::path).filter(is_one).collect();
    files.sort();
    Ok(files)
}
