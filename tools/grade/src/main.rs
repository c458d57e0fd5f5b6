//! `make lab`, `make grade`, `make scoreboard` and the labs' own test.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::ExitCode;

use grade::error::Error;
use grade::grade::{grade, tests};
use grade::matrix::{self, Part};
use grade::program::{Told, Verdict};
use grade::project::Project;
use grade::student::{self, Handed};
use grade::table::{HUNT, Lab, Tables};
use grade::tree::{self, Tree};

/// The commands.
const USAGE: &str = "\
usage: grade lab NUMBER [--seed SEED]     puts a lab's stub into the student's folder; SEED draws the
                                         bugs of lab 10
       grade grade NUMBER                grades a lab
       grade scoreboard                  replays traces of real programs on the heaps of labs 1 to 4
                                         and 9
       grade matrix [--short] [PART …]   tests the labs: the project's modules, the stubs and seeded
                                         bugs are graded; --short: only labs of the allocator's
                                         suites, with one bug each; PART: only checks whose names
                                         contain one of these";

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Lab { number: String, seed: u64 },
    Grade { number: String },
    Scoreboard,
    Matrix { short: bool, filter: Vec<String> },
}

impl Command {
    /// Reads the arguments. `None` if they make no command.
    fn read(arguments: &[String]) -> Option<Self> {
        let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
        match words[..] {
            ["lab", number] => Some(Self::Lab { number: number.to_owned(), seed: 1 }),
            ["lab", number, "--seed", seed] => {
                Some(Self::Lab { number: number.to_owned(), seed: seed.parse().ok()? })
            }
            ["grade", number] => Some(Self::Grade { number: number.to_owned() }),
            ["scoreboard"] => Some(Self::Scoreboard),
            ["matrix", "--short", ..] => {
                Some(Self::Matrix { short: true, filter: arguments[2..].to_vec() })
            }
            ["matrix", ..] => Some(Self::Matrix { short: false, filter: arguments[1..].to_vec() }),
            _ => None,
        }
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(command) = Command::read(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match run(command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run(command: Command) -> Result<bool, Error> {
    let project = Project::find()?;
    let tables = Tables::read(&project)?;
    match command {
        Command::Lab { number, seed } => hand_out(&project, &tables, lab(&tables, &number)?, seed),
        Command::Grade { number } => grade_one(&project, &tables, lab(&tables, &number)?),
        Command::Scoreboard => grade::score::run(&project, &tables).map(|()| true),
        Command::Matrix { short, filter } => {
            matrix::run(&project, &tables, &Part { short, filter })
        }
    }
}

/// The lab of a number, as a student writes it.
fn lab<'a>(tables: &'a Tables, number: &str) -> Result<&'a Lab, Error> {
    tables.lab(number.parse().map_err(|_| Error::NoLab(number.to_owned()))?)
}

fn hand_out(project: &Project, tables: &Tables, lab: &Lab, seed: u64) -> Result<bool, Error> {
    let number = lab.number;
    let handed = student::hand_out(project, tables, lab, seed)?;
    println!("lab {number}: {}", lab.title);
    println!("  read    labs/{number}/README.md");
    if number == HUNT {
        println!("  mend    labs/student/{number}/src, a copy of src with five bugs (seed {seed})");
    }
    for cut in &lab.cuts {
        let file = cut.file.display();
        println!("  write   {} in labs/student/{number}/{file}", cut.function);
    }
    println!("  grade   make grade LAB={number}");
    println!("  undo    rm -r labs/student/{number}   (no other file was changed)");
    match handed {
        Handed::New => {}
        Handed::Unchanged => println!("The stub was in place already."),
        Handed::Kept(folder) => {
            println!("Your earlier work was moved to {}.", folder.display());
        }
    }
    Ok(true)
}

fn grade_one(project: &Project, tables: &Tables, lab: &Lab) -> Result<bool, Error> {
    let number = lab.number;
    let students = tree::students(project, lab)?;
    let seed = if number == HUNT { student::seed(project)? } else { None };
    println!("lab {number}: {}", lab.title);
    if students.is_empty() {
        println!("  graded: the project's own modules, for there is no labs/student/{number};");
        println!("  `make lab LAB={number}` puts the stub there");
    } else {
        println!("  graded: labs/student/{number}");
    }
    let tree = Tree::take(project)?;
    tree.set(project, &students)?;
    let tests = tests(tables, lab, seed.unwrap_or(1));
    let mut grade = grade(project, tables, &tree, &tests, &mut tell)?;
    grade.name_students(tables, &students, Path::new(&format!("labs/student/{number}")));
    println!("{grade}");
    Ok(true)
}

/// Tells of a build that takes its time, on one line, and of each test as it ends.
fn tell(told: Told<'_>) {
    match told {
        Told::Begun(program) => print!("  building {} … ", program.title),
        Told::Ended(time) => println!("{} s", time.as_secs()),
        Told::Tested(test, Verdict::Passed) => println!("  passed  {}", test.name),
        Told::Tested(test, Verdict::Failed(seen)) => {
            // Reasons come with the grade; this tells what takes so long.
            let end = seen.found.as_deref().filter(|found| found.starts_with("no end"));
            println!(
                "  failed  {}{}",
                test.name,
                end.map_or(String::new(), |it| format!(": {it}"))
            );
        }
    }
    // A reader who has closed the pipe has seen enough.
    let _ = io::stdout().flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_make_a_command_or_none() {
        let read = |line: &str| {
            let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
            Command::read(&words)
        };
        assert_eq!(read("lab 1"), Some(Command::Lab { number: "1".into(), seed: 1 }));
        assert_eq!(read("lab 10 --seed 7"), Some(Command::Lab { number: "10".into(), seed: 7 }));
        assert_eq!(read("grade 3"), Some(Command::Grade { number: "3".into() }));
        let filter = vec!["lab 1".to_owned()];
        let arguments = ["matrix", "--short", "lab 1"].map(str::to_owned);
        assert_eq!(Command::read(&arguments), Some(Command::Matrix { short: true, filter }));
        for wrong in ["", "lab", "lab 1 --seed x", "grade", "scoreboard 1", "--help"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
