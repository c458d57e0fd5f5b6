//! A mutant: one small change of a source, as cargo-mutants lists it.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::Error;

/// What is mutated: the arithmetic, and the structures that all else stands on.
const FILES: [&str; 8] = [
    "src/cell/*.rs",
    "src/bins/*.rs",
    "src/chunks/*.rs",
    "src/slabs/slab.rs",
    "src/slabs/shape.rs",
    "src/slabs/free_list.rs",
    "src/slabs/page_map.rs",
    "src/size_class.rs",
];

/// A place in a source: line and column from 1 on, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// The number of bytes in front of the place.
    fn offset(self, source: &str) -> usize {
        let line = source.split_inclusive('\n').take(self.line - 1).map(str::len).sum::<usize>();
        let rest = source[line..].chars().take(self.column - 1).map(char::len_utf8).sum::<usize>();
        line + rest
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Span {
    start: Place,
    end: Place,
}

/// What kind of change it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Genre {
    /// Another operator between two operands.
    BinaryOperator,
    /// No operator in front of an operand.
    UnaryOperator,
    /// A value in place of a function's body.
    FnValue,
    /// A match without one of its arms.
    MatchArm,
    /// A guard that always, or never, holds.
    MatchArmGuard,
    /// A field that is taken from the base of a struct.
    StructField,
}

/// The function that is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
struct Function {
    span: Span,
}

/// A small change of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub struct Mutant {
    /// The source, in the project.
    pub file: String,
    span: Span,
    function: Option<Function>,
    /// The kind.
    pub genre: Genre,
    /// What stands there instead.
    pub replacement: String,
    /// The place and the change in words.
    pub name: String,
}

impl Mutant {
    /// All mutants of the project, read from a copy of it, in the order of files and places.
    /// Changes the copy: cargo-mutants leaves functions out that are `unsafe`, so the word is
    /// blanked.
    ///
    /// # Errors
    ///
    /// A file, or that cargo-mutants does not run, or says something else.
    pub fn all(root: &Path, copy: &Path) -> Result<Vec<Self>, Error> {
        blank(&copy.join("src"))?;
        let mut command = Command::new(root.join("target/setup/bin/cargo-mutants"));
        command.args(["mutants", "--list", "--json", "--package", "brkalloc"]).current_dir(copy);
        for file in FILES {
            command.args(["--file", file]);
        }
        let output = command.output().map_err(|error| Error::Run("cargo mutants".into(), error))?;
        let list = String::from_utf8_lossy(&output.stdout);
        let mut mutants: Vec<Self> = serde_json::from_str(&list).map_err(|error| {
            Error::List(format!("{error}: {}", String::from_utf8_lossy(&output.stderr)))
        })?;
        mutants.sort();
        Ok(mutants)
    }

    /// The bytes of the source that are replaced.
    pub fn range(&self, source: &str) -> Range<usize> {
        self.span.start.offset(source)..self.span.end.offset(source)
    }

    /// Whether the change is in a constant: a compiled program cannot choose it.
    pub fn is_constant(&self) -> bool {
        self.genre != Genre::FnValue && !self.name.contains(" in ")
    }

    /// The digest of the function that is changed, and of the place of the change in it; outside of
    /// functions, that of the source without its tests. An outcome is one of that text: it stays
    /// known while other functions change, and other lines move.
    pub fn digest(&self, source: &str) -> u64 {
        let of = |span: Span| span.start.offset(source)..span.end.offset(source);
        let code = source.find("\n#[cfg(test)]\nmod tests").unwrap_or(source.len());
        let text = self.function.map_or(0..code, |function| of(function.span));
        let Range { start, end } = self.range(source);
        let mut hasher = DefaultHasher::new();
        (&source[text.clone()], start.wrapping_sub(text.start), end - start).hash(&mut hasher);
        hasher.finish()
    }

    /// The source with the change.
    pub fn applied(&self, source: &str) -> String {
        let Range { start, end } = self.range(source);
        [&source[..start], &self.replacement, &source[end..]].concat()
    }

    /// The change in words, by its file and without the place: the same when other lines move.
    pub fn change(&self) -> String {
        let words = self.name.splitn(4, ':').nth(3).unwrap_or(&self.name);
        format!("{}:{words}", self.file)
    }
}

/// Blanks `unsafe` in front of `fn` in the sources of a folder. All places stay.
fn blank(folder: &Path) -> Result<(), Error> {
    let failed = |error| Error::File(folder.to_owned(), error);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            blank(&path)?;
        } else {
            let text =
                fs::read_to_string(&path).map_err(|error| Error::File(path.clone(), error))?;
            fs::write(&path, text.replace("unsafe fn ", "       fn "))
                .map_err(|error| Error::File(path, error))?;
        }
    }
    Ok(())
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A mutant that replaces the first `from` behind `marker` in a source.
    pub fn mutant(source: &str, marker: &str, from: &str, to: &str, genre: Genre) -> Mutant {
        let behind = source.find(marker).unwrap();
        let start = behind + source[behind..].find(from).unwrap();
        let place = |offset: usize| {
            let before = &source[..offset];
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().unwrap().chars().count() + 1;
            Place { line, column }
        };
        let span = Span { start: place(start), end: place(start + from.len()) };
        let name = format!("src/a.rs:1:2: replace {from} with {to}");
        Mutant {
            file: "src/a.rs".into(),
            span,
            function: None,
            genre,
            replacement: to.into(),
            name,
        }
    }

    #[test]
    fn a_digest_is_of_the_function_and_the_place_in_it() {
        let digest = |source: &str, operator: &str| {
            let mut mutant = mutant(source, "fn f", operator, "-", Genre::BinaryOperator);
            let whole = tests::mutant(source, "", "fn f() -> u8 { 1 + 2 * 3 }", "", Genre::FnValue);
            mutant.function = Some(Function { span: whole.span });
            mutant.digest(source)
        };
        let first = digest("fn f() -> u8 { 1 + 2 * 3 }", "+");
        assert_eq!(digest("\nfn g() {}\n\nfn f() -> u8 { 1 + 2 * 3 }\n", "+"), first);
        assert_ne!(digest("fn f() -> u8 { 1 + 2 * 3 }", "*"), first);
    }

    #[test]
    fn outside_of_functions_it_is_of_the_source_without_tests() {
        let digest = |source| mutant(source, "A", "1", "2", Genre::BinaryOperator).digest(source);
        let first = digest("const A: u8 = 1;\n");
        assert_eq!(digest("const A: u8 = 1;\n\n#[cfg(test)]\nmod tests {}\n"), first);
        assert_ne!(digest("const A: u8 = 1 + 1;\n"), first);
    }

    #[test]
    fn a_place_is_counted_in_characters() {
        let source = "// ≤\nfn é(a: u8) -> bool { a < 2 }\n";
        let mutant = mutant(source, "é", "<", "==", Genre::BinaryOperator);
        assert_eq!(&source[mutant.range(source)], "<");
        assert_eq!(mutant.change(), "src/a.rs: replace < with ==");
        assert_eq!(mutant.applied(source), "// ≤\nfn é(a: u8) -> bool { a == 2 }\n");
        assert!(mutant.is_constant());
    }
}
