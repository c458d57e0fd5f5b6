//! `make lab`, `make grade`, `make scoreboard` and the labs' own test.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use grade::error::Error;
use grade::grade::{grade, tests};
use grade::matrix::{self, Part};
use grade::project::Project;
use grade::student::{self, Handed};
use grade::table::{HUNT, Lab, Tables};
use grade::tree::{self, Tree};

/// Hands out and grades the labs.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Puts a lab's stub into the student's folder.
    Lab {
        /// Number of the lab.
        number: String,
        /// Number from which the bugs of lab 10 are drawn.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Grades a lab.
    Grade {
        /// Number of the lab.
        number: String,
    },
    /// Replays traces of real programs on the heaps of labs 1 to 4 and 9.
    Scoreboard,
    /// Tests the labs: the project's modules, the stubs and seeded bugs are graded.
    Matrix {
        /// Only labs of the allocator's suites, and one bug each.
        #[arg(long)]
        short: bool,
        /// Only checks whose names contain one of these.
        filter: Vec<String>,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
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
    if !project.target().is_dir() {
        println!("  building the tests: the first time takes about a minute");
    }
    let tree = Tree::take(project)?;
    tree.set(project, &students)?;
    let grade = grade(project, tables, &tree, &tests(tables, lab, seed.unwrap_or(1)))?;
    // Messages name files of the copy, from the folder where cargo runs: a student's are elsewhere.
    let mut text = grade.to_string();
    for file in students.keys() {
        let folders = tables.programs.values().map(|program| &program.folder);
        let short = folders.filter_map(|folder| file.strip_prefix(folder).ok()).next();
        let short = format!("{}:", short.unwrap_or(file).display());
        text = text.replace(&short, &format!("labs/student/{number}/{}:", file.display()));
    }
    println!("{text}");
    Ok(true)
}
