//! The allocator beside peers: bytes of code over an empty program, and of state. All are behind
//! the program's critical section, and their `realloc` is linked.

use std::fmt;
use std::fs;
use std::path::Path;

use object::{Object, ObjectSection, ObjectSymbol, SectionKind};
use serde::Serialize;

use super::{SORT, build};
use crate::Error;
use crate::project::{Project, Setup};

/// A target, its programs, and the feature that adds its peer.
struct Target {
    name: &'static str,
    peer: &'static str,
    feature: &'static str,
    extension: &'static str,
    /// Maximum code of a `Small` and of a `Usual` heap, in bytes: 1 % more than what was reached.
    limits: [u64; 2],
}

const TARGETS: [Target; 2] = [
    Target {
        name: "thumbv7m-none-eabi",
        peer: "embedded-alloc, TLSF",
        feature: "tlsf",
        extension: "",
        limits: [3_200, USUAL_CODE],
    },
    Target {
        name: "wasm32-unknown-unknown",
        peer: "talc",
        feature: "talc",
        extension: ".wasm",
        limits: [5_260, 27_900],
    },
];

/// Maximum code of a `Usual` heap on the first target, in bytes.
const USUAL_CODE: u64 = 16 << 10;

/// What one allocator takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Taken {
    name: &'static str,
    /// Bytes that are loaded and not written to, less those of an empty program.
    code_bytes: u64,
    /// Bytes of the variable `HEAP`; `None` if the file does not tell.
    state_bytes: Option<u64>,
    /// The most code it is meant to take.
    goal: Option<u64>,
    /// The most code it may take.
    limit: Option<u64>,
}

impl Taken {
    fn is_ok(&self) -> bool {
        self.limit.is_none_or(|limit| self.code_bytes <= limit)
    }
}

/// The allocators on one target. Prints as a table.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Beside {
    target: &'static str,
    taken: Vec<Taken>,
}

impl Beside {
    /// Returns whether every heap keeps its limit.
    pub(super) fn is_ok(&self) -> bool {
        self.taken.iter().all(Taken::is_ok)
    }
}

/// Builds the programs of both targets, and measures.
pub(super) fn measure(
    project: &Project,
    setup: &Setup,
    on_line: &mut dyn FnMut(&str),
) -> Result<Vec<Beside>, Error> {
    let measure = |target: &Target| {
        let Target { name, peer, feature, extension, limits: [small, usual] } = target;
        let bin = format!("--bin={feature}");
        let programs = ["--profile=s", "--bin=empty", "--bin=small", "--bin=usual", &bin];
        build(
            project,
            setup,
            name,
            &[&programs, &["--features", feature][..]].concat(),
            &mut *on_line,
        )?;
        let folder = project.target(SORT).join(name).join("s");
        let read = |program: &str| sizes(&folder.join(format!("{program}{extension}")));
        let (empty, _) = read("empty")?;
        let taken = |name, program, goal, limit| {
            let (code, state_bytes) = read(program)?;
            Ok::<_, Error>(Taken {
                name,
                code_bytes: code.saturating_sub(empty),
                state_bytes,
                goal,
                limit,
            })
        };
        let peer = taken(peer, feature, None, None)?;
        let usual_goal = extension.is_empty().then_some(USUAL_CODE);
        let small = taken("Small", "small", Some(peer.code_bytes), Some(*small))?;
        let usual = taken("Usual", "usual", usual_goal, Some(*usual))?;
        Ok(Beside { target: name, taken: vec![small, usual, peer] })
    };
    TARGETS.iter().map(measure).collect()
}

/// Returns the bytes of a program that are loaded and not written to, and those of its `HEAP`.
fn sizes(path: &Path) -> Result<(u64, Option<u64>), Error> {
    let failed = |reason: String| {
        Error::Build(
            "a program for a small target".into(),
            vec![format!("{}: {reason}", path.display())],
        )
    };
    let file = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let file = object::File::parse(&*file).map_err(|error| failed(error.to_string()))?;
    let is_code = |kind| matches!(kind, SectionKind::Text | SectionKind::ReadOnlyData);
    let is_wasm = matches!(file.format(), object::BinaryFormat::Wasm);
    let code = file
        .sections()
        // A module's constants are in its section of data.
        .filter(|section| {
            is_code(section.kind()) || (is_wasm && section.kind() == SectionKind::Data)
        })
        .map(|section| section.size())
        .sum();
    let heap = |name: &str| {
        name == "HEAP" || format!("{:#}", rustc_demangle::demangle(name)).ends_with("::HEAP")
    };
    let state = file
        .symbols()
        .filter(|symbol| symbol.name().is_ok_and(heap))
        .map(|symbol| symbol.size())
        .find(|&bytes| bytes > 0);
    Ok((code, state))
}

impl fmt::Display for Beside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:32} {:>8} {:>8}   opt-level \"s\"", self.target, "code", "state")?;
        for taken in &self.taken {
            let Taken { name, code_bytes, state_bytes, goal, limit } = taken;
            let state = state_bytes.map_or("-".into(), |bytes| bytes.to_string());
            write!(f, "{name:32} {code_bytes:>8} {state:>8}")?;
            if let Some(goal) = goal {
                let verdict = match code_bytes.checked_sub(*goal) {
                    None | Some(0) => "reached".into(),
                    Some(more) => format!("short by {more}"),
                };
                write!(f, "   goal: at most {goal} of code: {verdict}")?;
            }
            if let Some(limit) = limit.filter(|_| !taken.is_ok()) {
                write!(f, "   more than the limit, {limit}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_is_short() {
        let taken = |code_bytes, goal| Taken {
            name: "some",
            code_bytes,
            state_bytes: None,
            goal,
            limit: Some(100),
        };
        let taken = vec![taken(100, Some(100)), taken(101, Some(100)), taken(7, None)];
        let beside = Beside { target: "target", taken };
        assert!(!beside.is_ok());
        let table = beside.to_string();
        let lines: Vec<_> = table.lines().map(str::trim_end).collect();
        assert!(lines[1].ends_with("reached") && lines[2].contains("short by 1 "), "{table}");
        assert!(lines[2].ends_with("more than the limit, 100"), "{table}");
        assert!(lines[3].ends_with("-"), "{table}");
    }
}
