//! The scoreboard: heaps of the labs replay traces of real programs, and utilisation and throughput
//! make one score, as in the malloc lab's `mdriver`.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::program::{self, Told};
use crate::project::Project;
use crate::table::{Program, Tables};
use crate::tree::{self, Replaced, Tree};

/// Time that one heap may take for all traces.
const TIME: Duration = Duration::from_secs(120);

/// Labs whose modules are heaps, and the heap that has the module.
const HEAPS: [(u32, &str); 5] =
    [(1, "simple"), (2, "simple"), (3, "simple"), (4, "simple"), (9, "arenas")];

/// What a heap did on one trace.
#[derive(Clone, Debug, PartialEq)]
struct Figure {
    trace: String,
    /// Bytes that were live at a time, of those that the heap had taken.
    utilisation: f64,
    /// Operations a second.
    throughput: f64,
}

impl Figure {
    /// Thousands of operations a second.
    fn kops(&self) -> f64 {
        self.throughput / 1000.0
    }
}

/// A line: `compiler     54.2 %    12345 Kops/s`.
impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { trace, utilisation, .. } = self;
        write!(f, "{trace:12}{:>6.1} %{:>9.0} Kops/s", 100.0 * utilisation, self.kops())
    }
}

/// A row of the scoreboard.
struct Row {
    name: String,
    /// The figures, or the reason why there are none.
    figures: Result<Vec<Figure>, String>,
}

/// Runs all heaps and prints the scoreboard.
///
/// # Errors
///
/// A heap cannot be built or started for another reason than a student's mistake.
pub fn run(project: &Project, tables: &Tables) -> Result<(), Error> {
    let tree = Tree::take(project)?;
    tree.set(project, &Replaced::new())?;
    println!(
        "Four heaps, and yours, replay three traces each. That takes a few minutes: slow heaps"
    );
    println!("take most of it. Lines: trace, utilisation, thousands of operations a second.");
    let mut rows = vec![row(project, &tree, "the C library's malloc", "system")?];
    let system = rows[0].figures.clone();
    rows.push(row(project, &tree, "Heap", "heap")?);
    rows.push(row(project, &tree, "SimpleHeap (labs 1 to 4)", "simple")?);
    rows.push(row(project, &tree, "ArenaHeap, all frees remote (lab 9)", "arenas")?);
    for (number, subject) in HEAPS {
        let students = tree::students(project, tables.lab(number)?)?;
        if !students.is_empty() {
            tree.set(project, &students)?;
            rows.push(row(project, &tree, &format!("yours, lab {number}"), subject)?);
        }
    }
    let speed: Vec<_> = system.unwrap_or_default().iter().map(|one| one.throughput).collect();
    print!("{}", Board { rows, speed });
    Ok(())
}

fn row(project: &Project, tree: &Tree, name: &str, subject: &str) -> Result<Row, Error> {
    println!("{name}");
    let figures = replay(project, tree, subject)?;
    if let Err(reason) = &figures {
        println!("  {}", reason.lines().next().unwrap_or_default());
    }
    Ok(Row { name: name.to_owned(), figures })
}

/// Replays all traces on a heap, with the modules that are in the copy of the project. Prints the
/// figures of each trace as it ends.
fn replay(
    project: &Project,
    tree: &Tree,
    subject: &str,
) -> Result<Result<Vec<Figure>, String>, Error> {
    let scoreboard = Program {
        title: "the scoreboard".to_owned(),
        part_of: None,
        folder: ".".into(),
        output: "scoreboard".into(),
        arguments: ["build", "--release", "--package", "scoreboard"].map(Into::into).into(),
        environment: BTreeMap::new(),
    };
    let executable = match program::executable(project, tree, &scoreboard, &mut tell)? {
        Ok(executable) => executable,
        Err(output) => return Ok(Err(format!("it does not compile:\n{output}"))),
    };
    let start = |error| Error::Start("the scoreboard".to_owned(), error);
    let mut child = Command::new(executable)
        .arg(subject)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(start)?;
    let stdout = BufReader::new(child.stdout.take().expect("it is piped"));
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|it| sender.send(it)));
    let end = Instant::now() + TIME;
    let mut figures = Vec::new();
    loop {
        match lines.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let Some(figure) = figure(&line) else { return Ok(Err("no figures".to_owned())) };
                match subject {
                    // The C library tells nothing of its memory.
                    "system" => println!("  {:12}{:>17.0} Kops/s", figure.trace, figure.kops()),
                    _ => println!("  {figure}"),
                }
                figures.push(figure);
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().and_then(|()| child.wait()).map_err(start)?;
                return Ok(Err(format!("it did not end in {} s", TIME.as_secs())));
            }
        }
    }
    let status = child.wait().map_err(start)?;
    Ok(if status.success() { Ok(figures) } else { Err(format!("it failed: {status}")) })
}

/// Tells of a build that takes its time, on one line.
fn tell(told: Told<'_>) {
    match told {
        Told::Begun(program) => print!("  building {} … ", program.title),
        Told::Ended(time) => println!("{} s", time.as_secs()),
        Told::Tested(..) => unreachable!("the scoreboard runs no tests"),
    }
    // A reader who has closed the pipe has seen enough.
    let _ = io::stdout().flush();
}

/// Reads a line: trace, utilisation, operations a second.
fn figure(line: &str) -> Option<Figure> {
    let mut words = line.split_whitespace();
    let trace = words.next()?.to_owned();
    let mut number = || words.next()?.parse().ok();
    Some(Figure { trace, utilisation: number()?, throughput: number()? })
}

/// The scoreboard, for printing.
struct Board {
    rows: Vec<Row>,
    /// The C library's operations a second, for each trace.
    speed: Vec<f64>,
}

impl Board {
    /// Score of a heap: the mean of utilisation times throughput, which counts up to the C
    /// library's.
    fn score(&self, figures: &[Figure]) -> f64 {
        let score = |(figure, speed): (&Figure, &f64)| {
            figure.utilisation * (figure.throughput / speed).min(1.0)
        };
        let sum: f64 = figures.iter().zip(&self.speed).map(score).sum();
        100.0 * sum / figures.len().max(1) as f64
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known = self.rows.iter().find_map(|row| row.figures.as_ref().ok());
        write!(f, "\n{:36}", "")?;
        for figure in known.into_iter().flatten() {
            write!(f, "{:>20}", figure.trace)?;
        }
        writeln!(f, "\n{:36}{}   score", "", " utilisation  Kops/s".repeat(self.speed.len()))?;
        for (at, Row { name, figures }) in self.rows.iter().enumerate() {
            write!(f, "{name:36}")?;
            match figures {
                Err(reason) => writeln!(f, "   {reason}")?,
                Ok(figures) => {
                    for figure in figures {
                        let share = if at == 0 {
                            "–".to_owned()
                        } else {
                            format!("{:.1} %", 100.0 * figure.utilisation)
                        };
                        write!(f, "{share:>12}{:>8.0}", figure.kops())?;
                    }
                    if at == 0 {
                        writeln!(f, "{:>8}", "–")?;
                    } else {
                        writeln!(f, "{:>8.0}", self.score(figures))?;
                    }
                }
            }
        }
        writeln!(
            f,
            "\nscore: 100 × utilisation × throughput, which counts up to the C library's; the mean"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_figures_is_read() {
        let read = figure("compiler 0.5 1000000").unwrap();
        assert_eq!((read.utilisation, read.throughput), (0.5, 1_000_000.0));
        assert_eq!(read.to_string(), "compiler      50.0 %     1000 Kops/s");
        assert_eq!(figure("compiler 0.5"), None);
    }

    #[test]
    fn throughput_counts_up_to_the_c_librarys() {
        let board = Board { rows: Vec::new(), speed: vec![100.0, 100.0] };
        let of = |throughput| Figure { trace: String::new(), utilisation: 0.5, throughput };
        assert_eq!(board.score(&[of(50.0), of(1000.0)]), 37.5);
    }
}
