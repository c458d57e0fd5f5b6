//! How much the allocator takes of a small target: builds `tools/size` for one, in both profiles,
//! and looks at what was linked; and the same beside peers, as most firmware is built.

mod beside;

use std::fmt;
use std::fs;

use serde::Serialize;

use beside::Beside;

use crate::elf::{Function, Program};
use crate::project::{Project, Setup};
use crate::{Error, cargo, process};

/// The small target: 32-bit ARM with atomic operations, so that the lock takes no crate more.
const TARGET: &str = "thumbv7m-none-eabi";

/// The sort of build output that programs for small targets are.
pub(crate) const SORT: &str = "size";

/// The most that a `SmallHeap` may take.
const SMALL_LIMITS: Limits = Limits { state_bytes: 128, code_bytes: 3_008 };

/// The most that something may take.
#[derive(Clone, Copy, Debug, Serialize)]
struct Limits {
    state_bytes: u64,
    code_bytes: u64,
}

/// What one profile takes.
#[derive(Clone, Debug, Serialize)]
pub struct Profile {
    name: &'static str,
    /// The heap, with its break and its lock.
    state_bytes: u64,
    /// Everything that was linked and is not written to.
    code_bytes: u64,
    /// What of it are functions that copy and fill memory, which most programs have in any case.
    memory_functions_bytes: u64,
    functions: Vec<Function>,
    limits: Option<Limits>,
    ok: bool,
}

impl Profile {
    fn new(name: &'static str, program: Program, state_bytes: u64, limits: Option<Limits>) -> Self {
        let Program { code_bytes, functions, .. } = program;
        // Text and panics would come with more code than the heap itself, and it has no use for
        // either.
        let lean = !functions.iter().any(Function::panics_or_formats);
        let within = |limits: Limits| {
            lean && state_bytes <= limits.state_bytes && code_bytes <= limits.code_bytes
        };
        Self {
            name,
            state_bytes,
            code_bytes,
            memory_functions_bytes: functions
                .iter()
                .filter(|function| function.is_memory_function())
                .map(|f| f.bytes)
                .sum(),
            ok: limits.is_none_or(within),
            functions,
            limits,
        }
    }
}

/// What each profile takes, alone and beside peers. Prints as tables.
#[derive(Clone, Debug, Serialize)]
pub struct Sizes {
    target: &'static str,
    profiles: Vec<Profile>,
    beside: Vec<Beside>,
}

impl Sizes {
    /// Builds and measures, and writes `target/size.json`. `on_line` gets what the builds have to
    /// say.
    pub fn measure(
        project: &Project,
        setup: &Setup,
        mut on_line: impl FnMut(&str),
    ) -> Result<Self, Error> {
        let mut profiles = Vec::new();
        build(project, setup, TARGET, &["--release", "--bin=small", "--bin=usual"], &mut on_line)?;
        for (name, limits) in [("usual", None), ("small", Some(SMALL_LIMITS))] {
            let program = read(project, name)?;
            let missing = || {
                Error::Build(
                    format!("{name}, small target"),
                    vec!["it has no variable HEAP".into()],
                )
            };
            let state_bytes = program.variable("HEAP").ok_or_else(missing)?;
            profiles.push(Profile::new(name, program, state_bytes, limits));
        }
        let beside = beside::measure(project, setup, &mut on_line)?;
        let sizes = Self { target: TARGET, profiles, beside };
        let path = project.target("size.json");
        let json =
            serde_json::to_string_pretty(&sizes).expect("names and numbers can be written as JSON");
        fs::write(&path, json + "\n").map_err(|error| Error::Write(path, error))?;
        Ok(sizes)
    }

    /// Whether every profile keeps its limits.
    pub fn is_ok(&self) -> bool {
        self.profiles.iter().all(|profile| profile.ok) && self.beside.iter().all(Beside::is_ok)
    }
}

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Profile { name, functions, code_bytes, .. } in &self.profiles {
            writeln!(f, "{name}, bytes by function")?;
            for Function { name, bytes } in functions {
                writeln!(f, "{bytes:6}  {name}")?;
            }
            let in_functions: u64 = functions.iter().map(|function| function.bytes).sum();
            writeln!(f, "{:6}  (constants, tables, alignment)\n", code_bytes - in_functions)?;
        }
        writeln!(
            f,
            "{:12} {:>8} {:>8} {:>24}",
            self.target, "state", "code", "of it memcpy and others"
        )?;
        for Profile { name, state_bytes, code_bytes, memory_functions_bytes, limits, ok, .. } in
            &self.profiles
        {
            write!(f, "{name:18} {state_bytes:>8} {code_bytes:>8} {memory_functions_bytes:>24}")?;
            if let Some(Limits { state_bytes, code_bytes }) = limits {
                let verdict = if *ok { "ok" } else { "short" };
                write!(
                    f,
                    "   at most {state_bytes} and {code_bytes}, no panics, no formatting: {verdict}"
                )?;
            }
            writeln!(f)?;
        }
        self.beside.iter().try_for_each(|target| write!(f, "\n{target}"))
    }
}

/// Builds programs of `tools/size` for a target.
fn build(
    project: &Project,
    setup: &Setup,
    target: &str,
    arguments: &[&str],
    mut on_line: impl FnMut(&str),
) -> Result<(), Error> {
    let mut command = cargo::freestanding(project, setup, &project.small_target(), SORT);
    command.args(["build", "--target", target, "-Zbuild-std=core,alloc,compiler_builtins"]);
    command.args(arguments);
    let mut output = Vec::new();
    let status = process::run(command, |line| {
        output.push(line.to_owned());
        on_line(line);
    })?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Build(format!("the programs for {target}"), output))
}

/// Reads the program of this name.
fn read(project: &Project, name: &str) -> Result<Program, Error> {
    let path = project.target(SORT).join(TARGET).join("release").join(name);
    let failed = |error: String| {
        let what = format!("{}: {error}", path.display());
        Error::Build(format!("the program for {TARGET}"), vec![what])
    };
    let file = fs::read(&path).map_err(|error| failed(error.to_string()))?;
    Program::read(&file).map_err(|error| failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(code_bytes: u64, state_bytes: u64, function: &str) -> Profile {
        let functions = vec![Function { name: function.to_owned(), bytes: code_bytes / 2 }];
        Profile::new("some", Program::of(code_bytes, functions), state_bytes, Some(SMALL_LIMITS))
    }

    #[test]
    fn a_byte_more_than_the_limit_is_too_much() {
        let Limits { state_bytes, code_bytes } = SMALL_LIMITS;
        assert!(profile(code_bytes, state_bytes, "alloc").ok);
        assert!(!profile(code_bytes + 1, state_bytes, "alloc").ok);
        assert!(!profile(code_bytes, state_bytes + 1, "alloc").ok);
    }

    #[test]
    fn a_panic_is_too_much() {
        assert!(!profile(100, 100, "core::panicking::panic_fmt").ok);
    }

    #[test]
    fn the_table_tells_what_is_no_function_and_what_is_a_memory_function() {
        let profiles = vec![profile(100, 64, "memcpy")];
        let sizes = Sizes { target: TARGET, profiles, beside: Vec::new() };
        assert!(sizes.is_ok());
        let table = sizes.to_string();
        assert!(table.contains("    50  (constants"), "{table}");
        assert!(
            table
                .lines()
                .any(|line| line.split_whitespace().take(4).eq(["some", "64", "100", "50"])),
            "{table}"
        );
    }
}
