//! Mutation testing: changes the allocator in one small way at a time, and runs the host suites. A
//! change that no test notices has survived: a test is missing, or the code is not needed, or the
//! change changes nothing.
//!
//! ```text
//!   cargo-mutants ── list ──► schema: all mutants in one copy of the sources
//!                             build:  compiled once, without those that do not compile
//!                             trial:  unit tests, then suites, with one mutant at a time
//!                             record: target/mutants/outcomes, and a table
//!                             document: the table in docs/MUTANTS.md, and why survivors survive
//! ```
//!
//! `mutants try` goes on from where the last run stopped; a change of a file makes its mutants new
//! ones. Survivors are tried again each time: there may be another test now. A program cannot choose
//! the mutants of constants, so these are compiled one by one, and so are survivors: the compiler
//! may have evaluated the function, and sees no mutant in it.

mod build;
mod document;
mod mutant;
mod record;
mod schema;
mod trial;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use std::{env, fmt, io, thread};

use clap::{Parser, Subcommand};

use crate::build::Plain;
use crate::document::Document;
use crate::mutant::Mutant;
use crate::record::{Outcome, Record};
use crate::trial::Trial;

/// What goes wrong.
#[derive(Debug)]
enum Error {
    /// A program that does not run.
    Run(String, io::Error),
    /// A file that cannot be read or written.
    File(PathBuf, io::Error),
    /// A list of mutants that is none.
    List(String),
    /// The sources cannot be copied.
    Copy(PathBuf),
    /// The tests do not compile.
    Build(String),
    /// A test program that fails without a mutant, and its test.
    Baseline(PathBuf, String),
    /// The document has no place for the table.
    Document(PathBuf),
    /// Fewer are caught than should be, in percent, and survivors without a reason.
    Survivors(f64, Vec<String>),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(program, error) => write!(f, "{program}: {error}"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::List(found) => write!(f, "expected the list of cargo-mutants; found {found}"),
            Self::Copy(folder) => write!(f, "the sources cannot be copied to {}", folder.display()),
            Self::Build(text) => write!(f, "the mutated tests cannot be built: {text}"),
            Self::Baseline(program, test) => {
                write!(f, "{}: {test} fails without a mutant", program.display())
            }
            Self::Document(path) => write!(f, "no place for the table in {}", path.display()),
            Self::Survivors(caught, names) => {
                write!(
                    f,
                    "{caught:.1} % are caught, expected {LEAST:.1} % and a reason for each survivor"
                )?;
                names
                    .iter()
                    .try_for_each(|name| write!(f, "\n  no reason in docs/MUTANTS.md: {name}"))
            }
        }
    }
}

/// The percentage that has to be caught.
const LEAST: f64 = 95.0;

/// An odd number whose products are spread. Source: D. E. Knuth, *The Art of Computer Programming*,
/// volume 3, section 6.4.
const SPREAD: usize = 0x9E37_79B9_7F4A_7C15;

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Tries mutants that have no outcome, and survivors again. When all were tried, writes the
    /// table into docs/MUTANTS.md, and fails if too many survived, or one without a reason.
    Try {
        /// Stops after that many seconds, and leaves the document as it is.
        #[arg(long)]
        seconds: Option<u64>,
    },
    /// Prints what became of all mutants so far, a line a file, and each survivor.
    Table,
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mutants: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<(), Error> {
    let root = env::current_dir().map_err(|error| Error::File(".".into(), error))?;
    build::take(&root, &root.join(build::TREE))?;
    let mutants = Mutant::all(&root, &root.join(build::TREE))?;
    let mut record = Record::open(&root, &mutants)?;
    if let Command::Try { seconds } = command {
        let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
        record = try_all(&root, &mutants, record, end)?;
    }
    let survivors = record.survivors(&mutants);
    let document = Document::new(&root);
    let equivalent = document.equivalent(&survivors)?;
    let table = record.table(&mutants, &equivalent);
    print!("{table}");
    survivors.iter().for_each(|mutant| println!("survived: {}", mutant.name));
    if !matches!(command, Command::Try { seconds: None }) {
        return Ok(());
    }
    document.publish(&table)?;
    let unexplained = document.unexplained(&survivors)?;
    let caught = record.caught(&mutants, &equivalent);
    if caught < LEAST || !unexplained.is_empty() {
        return Err(Error::Survivors(caught, unexplained));
    }
    Ok(())
}

/// Tries mutants, as many at a time as there are processors.
fn try_all(
    root: &Path,
    mutants: &[Mutant],
    mut record: Record,
    end: Option<Instant>,
) -> Result<Record, Error> {
    let is_open = |mutant: &Mutant| matches!(record.of(mutant), None | Some(Outcome::Survived));
    let numbered = (1..).zip(mutants).filter(|(_, mutant)| is_open(mutant));
    let (constants, open): (BTreeMap<usize, &Mutant>, BTreeMap<_, _>) =
        numbered.partition(|(_, mutant)| mutant.is_constant());
    if open.is_empty() && constants.is_empty() {
        return Ok(record);
    }
    let built = build::build(root, &open, |line| println!("mutants: compiling: {line}"))?;
    for number in &built.uncompiled {
        record.add(open[number], Outcome::Uncompiled)?;
    }
    println!(
        "mutants: {} do not compile; running the tests without a mutant",
        built.uncompiled.len()
    );
    let trial = Trial::new(&root.join(build::TREE), &built.programs)?;

    let mut numbers: Vec<usize> =
        open.keys().copied().filter(|number| !built.uncompiled.contains(number)).collect();
    // A part of them, spread over all files, says more than the first file's.
    numbers.sort_by_key(|number| number.wrapping_mul(SPREAD));
    let next = AtomicUsize::new(0);
    let record = Mutex::new(record);
    println!("mutants: {} to try", numbers.len() + constants.len());
    let done = AtomicUsize::new(0);
    let is_over = || end.is_some_and(|end| Instant::now() >= end);
    let add = |mutant: &Mutant, outcome: Outcome| -> Result<(), Error> {
        record.lock().expect("no worker panics").add(mutant, outcome)?;
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if matches!(outcome, Outcome::Survived | Outcome::TimedOut) || done.is_multiple_of(25) {
            println!("mutants: {done}: {outcome:?}: {}", mutant.name);
        }
        Ok(())
    };
    let try_chosen = || -> Result<(), Error> {
        while !is_over() {
            let Some(number) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
            add(open[number], Outcome::of(trial.of(*number)?))?;
        }
        Ok(())
    };
    // Each of these is compiled by itself, so one worker has all of them.
    let plain = Plain::new(root)?;
    let try_plain = |mutants: &[&Mutant]| -> Result<(), Error> {
        for mutant in mutants.iter().take_while(|_| !is_over()) {
            plain.put(mutant, true)?;
            let mut outcome = Outcome::Survived;
            for (at, is_unit) in [(0, true), (2, false)] {
                outcome = match plain.program(is_unit)? {
                    Some(program) => Outcome::of(trial.of_program(at, &program)?),
                    None => Outcome::Uncompiled,
                };
                if outcome != Outcome::Survived {
                    break;
                }
            }
            plain.put(mutant, false)?;
            add(mutant, outcome)?;
        }
        Ok(())
    };
    let constants: Vec<_> = constants.into_values().collect();
    let processors = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let first = scope.spawn(|| try_plain(&constants).and_then(|()| try_chosen()));
        let others = (1..processors).map(|_| scope.spawn(try_chosen));
        let workers: Vec<_> = others.chain([first]).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    let survived = |mutant: &&Mutant| {
        record.lock().expect("no worker panics").of(mutant) == Some(Outcome::Survived)
    };
    let survivors: Vec<_> = open.values().copied().filter(survived).collect();
    println!("mutants: {} that the compiler may not have seen are compiled", survivors.len());
    try_plain(&survivors)?;
    Ok(record.into_inner().expect("no worker panics"))
}
