//! What became of each mutant: a file that a later run reads, and a table.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::Error;
use crate::mutant::Mutant;
use crate::trial::End;

/// What became of a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// A test failed.
    Caught,
    /// The tests did not end.
    TimedOut,
    /// All tests passed.
    Survived,
    /// There is no such program.
    Uncompiled,
}

impl Outcome {
    /// What became of a mutant whose tests ended like this.
    pub fn of(end: End) -> Self {
        match end {
            End::Failed => Self::Caught,
            End::TimedOut => Self::TimedOut,
            End::Passed => Self::Survived,
        }
    }
}

const WORDS: [(Outcome, &str); 4] = [
    (Outcome::Caught, "caught"),
    (Outcome::TimedOut, "timed-out"),
    (Outcome::Survived, "survived"),
    (Outcome::Uncompiled, "uncompiled"),
];

/// The outcomes, each of one mutant of one version of a function.
#[derive(Debug)]
pub struct Record {
    path: PathBuf,
    file: File,
    sources: HashMap<String, String>,
    known: HashMap<(u64, String), Outcome>,
}

impl Record {
    /// Reads what earlier runs have seen of these mutants' functions as they are.
    ///
    /// # Errors
    ///
    /// A file.
    pub fn open(root: &Path, mutants: &[Mutant]) -> Result<Self, Error> {
        let folder = root.join("target/mutants");
        fs::create_dir_all(&folder).map_err(|error| Error::File(folder.clone(), error))?;
        let path = folder.join("outcomes");
        let text = fs::read_to_string(&path).unwrap_or_default();
        let known = text.lines().filter_map(parse).collect();
        let mut sources = HashMap::new();
        for mutant in mutants {
            if !sources.contains_key(&mutant.file) {
                let path = root.join(&mutant.file);
                let source =
                    fs::read_to_string(&path).map_err(|error| Error::File(path.clone(), error))?;
                sources.insert(mutant.file.clone(), source);
            }
        }
        let file = OpenOptions::new().create(true).append(true).open(&path);
        let file = file.map_err(|error| Error::File(path.clone(), error))?;
        Ok(Self { path, file, sources, known })
    }

    fn key(&self, mutant: &Mutant) -> (u64, String) {
        (mutant.digest(&self.sources[&mutant.file]), mutant.change())
    }

    /// What became of a mutant, if it was tried.
    pub fn of(&self, mutant: &Mutant) -> Option<Outcome> {
        self.known.get(&self.key(mutant)).copied()
    }

    /// Adds what became of a mutant.
    ///
    /// # Errors
    ///
    /// The file.
    pub fn add(&mut self, mutant: &Mutant, outcome: Outcome) -> Result<(), Error> {
        let (digest, name) = self.key(mutant);
        let word = WORDS.iter().find(|(other, _)| *other == outcome).map_or("", |(_, word)| word);
        writeln!(self.file, "{word} {digest} {name}")
            .map_err(|error| Error::File(self.path.clone(), error))?;
        self.known.insert((digest, name), outcome);
        Ok(())
    }

    /// The mutants that survived.
    pub fn survivors<'a>(&self, mutants: &'a [Mutant]) -> Vec<&'a Mutant> {
        let survived = |mutant: &&Mutant| self.of(mutant) == Some(Outcome::Survived);
        mutants.iter().filter(survived).collect()
    }

    /// The percentage of mutants that tests caught, or did not end with, of those that were run and
    /// are not equivalent to the original: the mutation score. Source: R. A. DeMillo and others,
    /// *Hints on Test Data Selection*, IEEE Computer 11(4), 1978.
    pub fn caught(&self, mutants: &[Mutant], equivalent: &[&Mutant]) -> f64 {
        Counts::of(self, mutants.iter(), equivalent).caught()
    }

    /// A line a file, and one for all.
    pub fn table(&self, mutants: &[Mutant], equivalent: &[&Mutant]) -> String {
        let mut files: BTreeMap<&str, Vec<&Mutant>> = BTreeMap::new();
        for mutant in mutants {
            files.entry(&mutant.file).or_default().push(mutant);
        }
        let mut table = String::from(HEAD);
        for (file, of_file) in files {
            table += &Counts::of(self, of_file.into_iter(), equivalent).row(&format!("`{file}`"));
        }
        table + &Counts::of(self, mutants.iter(), equivalent).row("all")
    }
}

/// The head of the table.
const HEAD: &str =
    "| file | caught | timed out | survived | equivalent | caught or timed out | do not compile \
     | not tried |
|---|---|---|---|---|---|---|---|
";

/// How many mutants have each outcome.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    caught: usize,
    timed_out: usize,
    survived: usize,
    equivalent: usize,
    uncompiled: usize,
    untried: usize,
}

impl Counts {
    fn of<'a>(
        record: &Record,
        mutants: impl Iterator<Item = &'a Mutant>,
        equivalent: &[&Mutant],
    ) -> Self {
        let mut counts = Self::default();
        for mutant in mutants {
            *match record.of(mutant) {
                Some(Outcome::Caught) => &mut counts.caught,
                Some(Outcome::TimedOut) => &mut counts.timed_out,
                Some(Outcome::Survived) if equivalent.contains(&mutant) => &mut counts.equivalent,
                Some(Outcome::Survived) => &mut counts.survived,
                Some(Outcome::Uncompiled) => &mut counts.uncompiled,
                None => &mut counts.untried,
            } += 1;
        }
        counts
    }

    fn caught(self) -> f64 {
        let seen = self.caught + self.timed_out;
        100.0 * seen as f64 / (seen + self.survived).max(1) as f64
    }

    fn row(self, name: &str) -> String {
        let Self { caught, timed_out, survived, equivalent, uncompiled, untried } = self;
        let share = self.caught();
        format!(
            "| {name} | {caught} | {timed_out} | {survived} | {equivalent} | {share:.1} % \
             | {uncompiled} | {untried} |\n"
        )
    }
}

fn parse(line: &str) -> Option<((u64, String), Outcome)> {
    let (word, rest) = line.split_once(' ')?;
    let (digest, name) = rest.split_once(' ')?;
    let (outcome, _) = WORDS.iter().find(|(_, other)| *other == word)?;
    Some(((digest.parse().ok()?, name.to_owned()), *outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mutant::Genre;
    use crate::mutant::tests::mutant;

    #[test]
    fn a_run_knows_what_an_earlier_one_saw_until_the_file_changes() {
        let folder = std::env::temp_dir().join(format!("mutants-{}", std::process::id()));
        fs::create_dir_all(folder.join("src")).unwrap();
        let source = "fn f() -> u8 { 1 + 2 }\n";
        fs::write(folder.join("src/a.rs"), source).unwrap();
        let list = [mutant(source, "fn", "+", "-", Genre::BinaryOperator)];
        let mut record = Record::open(&folder, &list).unwrap();
        assert_eq!(record.of(&list[0]), None);
        record.add(&list[0], Outcome::Survived).unwrap();
        let record = Record::open(&folder, &list).unwrap();
        assert_eq!(record.of(&list[0]), Some(Outcome::Survived));
        let table = record.table(&list, &[]);
        assert!(table.contains("| `src/a.rs` | 0 | 0 | 1 | 0 | 0.0 % | 0 | 0 |"), "{table}");
        let table = record.table(&list, &[&list[0]]);
        assert!(table.contains("| `src/a.rs` | 0 | 0 | 0 | 1 | 0.0 % | 0 | 0 |"), "{table}");
        assert_eq!(record.survivors(&list), [&list[0]]);
        fs::write(folder.join("src/a.rs"), "fn f() {}\n").unwrap();
        assert_eq!(Record::open(&folder, &list).unwrap().of(&list[0]), None);
        fs::remove_dir_all(folder).unwrap();
    }
}
