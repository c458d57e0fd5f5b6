//! The document: a table that is written here, and below it a line for each survivor, written by
//! hand, that says why it survived.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Error;
use crate::mutant::Mutant;

/// Between these lines is the table.
const MARKS: [&str; 2] = ["<!-- written by make mutants -->\n", "<!-- end -->\n"];

/// Below this heading, a line for each survivor that is equivalent to the original.
const EQUIVALENT: &str = "\n## Equivalent\n";

/// `docs/MUTANTS.md`.
#[derive(Clone, Debug)]
pub struct Document {
    root: PathBuf,
    path: PathBuf,
}

impl Document {
    /// The document of a project.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), path: root.join("docs/MUTANTS.md") }
    }

    fn read(&self) -> Result<String, Error> {
        fs::read_to_string(&self.path).map_err(|error| Error::File(self.path.clone(), error))
    }

    /// Replaces the table.
    ///
    /// # Errors
    ///
    /// The document cannot be read or written, or has no place for a table.
    pub fn publish(&self, table: &str) -> Result<(), Error> {
        let said = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).current_dir(&self.root).output();
            let output = output.map_err(|error| Error::Run(program.into(), error))?;
            Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
        };
        let commit = said("git", &["rev-parse", "--short", "HEAD"])?;
        let date = said("date", &["-u", "+%Y-%m-%d"])?;
        let text = replaced(&self.read()?, &format!("Commit {commit}, {date}.\n\n{table}"))
            .ok_or_else(|| Error::Document(self.path.clone()))?;
        fs::write(&self.path, text).map_err(|error| Error::File(self.path.clone(), error))
    }

    /// The survivors of which the document says that they are equivalent: their line stands in that
    /// part.
    ///
    /// # Errors
    ///
    /// The document cannot be read, or has no such part.
    pub fn equivalent<'a>(&self, survivors: &[&'a Mutant]) -> Result<Vec<&'a Mutant>, Error> {
        let text = self.read()?;
        let (_, part) =
            text.split_once(EQUIVALENT).ok_or_else(|| Error::Document(self.path.clone()))?;
        let part = part.split("\n## ").next().unwrap_or_default();
        let is_there = |mutant: &&&Mutant| part.contains(&format!("`{}`", mutant.change()));
        Ok(survivors.iter().filter(is_there).copied().collect())
    }

    /// The survivors without a line.
    ///
    /// # Errors
    ///
    /// The document cannot be read.
    pub fn unexplained(&self, survivors: &[&Mutant]) -> Result<Vec<String>, Error> {
        let text = self.read()?;
        let is_open = |mutant: &&&Mutant| !text.contains(&format!("`{}`", mutant.change()));
        Ok(survivors.iter().filter(is_open).map(|mutant| mutant.name.clone()).collect())
    }
}

/// The text with another table.
fn replaced(text: &str, table: &str) -> Option<String> {
    let (head, rest) = text.split_once(MARKS[0])?;
    let (_, tail) = rest.split_once(MARKS[1])?;
    Some([head, MARKS[0], table, MARKS[1], tail].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::Genre;
    use crate::mutant::tests::mutant;

    #[test]
    fn what_is_around_the_table_stays() {
        let text = format!("a\n{}old\n{}b\n", MARKS[0], MARKS[1]);
        assert_eq!(replaced(&text, "new\n"), Some(format!("a\n{}new\n{}b\n", MARKS[0], MARKS[1])));
        assert_eq!(replaced("a\n", "new\n"), None);
    }

    #[test]
    fn a_survivor_needs_a_line_with_its_change() {
        let root = std::env::temp_dir().join(format!("mutants-document-{}", std::process::id()));
        fs::create_dir_all(root.join("docs")).unwrap();
        let source = "fn f() -> bool { 1 + 2 * 3 < 4 }";
        let plus = mutant(source, "fn", "+", "-", Genre::BinaryOperator);
        let times = mutant(source, "fn", "*", "/", Genre::BinaryOperator);
        let less = mutant(source, "fn", "<", ">", Genre::BinaryOperator);
        fs::write(
            root.join("docs/MUTANTS.md"),
            "\n## Equivalent\n\n- `src/a.rs: replace + with -`: the sum is not used.\n\n## Open\n\n\
             - `src/a.rs: replace * with /`: no test.\n",
        )
        .unwrap();
        let document = Document::new(&root);
        let survivors = [&plus, &times, &less];
        assert_eq!(document.unexplained(&survivors).unwrap(), [less.name.as_str()]);
        assert_eq!(document.equivalent(&survivors).unwrap(), [&plus]);
        fs::remove_dir_all(root).unwrap();
    }
}
