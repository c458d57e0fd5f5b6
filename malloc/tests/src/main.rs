//! Time and peak memory of real programs, beside other libraries, in one run.
//!
//! `brkmalloc-tests [--rounds N] [--scale N] [--only NAME,…] [--json FILE]`

use std::collections::BTreeMap;
use std::process::ExitCode;

use brkmalloc_tests::library::{self, Library};
use brkmalloc_tests::program::Program;

/// What a program took with one library: the least of all rounds.
#[derive(Clone, Copy, Debug)]
struct Took {
    elapsed: f64,
    processor: f64,
    peak: f64,
}

struct Options {
    rounds: usize,
    scale: usize,
    only: Option<Vec<String>>,
    json: Option<String>,
}

impl Options {
    fn parse() -> Result<Self, String> {
        let mut options = Self { rounds: 3, scale: 2, only: None, json: None };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            let value = arguments.next().ok_or(format!("{argument} needs a value"))?;
            let number = || value.parse().map_err(|_| format!("{value} is no number"));
            match argument.as_str() {
                "--rounds" => options.rounds = number()?,
                "--scale" => options.scale = number()?,
                "--only" => options.only = Some(value.split(',').map(str::to_owned).collect()),
                "--json" => options.json = Some(value),
                _ => return Err(format!("there is no option {argument}")),
            }
        }
        Ok(options)
    }
}

/// One of the things that were measured.
type Figure = fn(&Took) -> f64;

fn main() -> ExitCode {
    let options = match Options::parse() {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(2);
        }
    };
    let mut libraries = vec![library::glibc(), library::brkmalloc()];
    libraries.extend(library::others());
    let programs = Program::all();
    let chosen = |program: &&Program| {
        options.only.as_ref().map_or(program.is_measured, |only| only.contains(&program.name))
    };
    let mut table = BTreeMap::new();
    for program in programs.iter().filter(chosen) {
        if program.missing().is_empty() {
            println!("{}: {}", program.name, program.version());
            table.insert(program.name.clone(), measure(program, &libraries, &options));
        } else {
            println!(
                "{}: left out: this machine has no {}",
                program.name,
                program.missing().join(", no ")
            );
        }
    }
    print_table("time, seconds", &libraries, &table, |took| took.elapsed);
    print_table("processor time, seconds", &libraries, &table, |took| took.processor);
    print_table("peak memory of one process, MiB", &libraries, &table, |took| took.peak);
    let verdict = print_targets(&libraries, &table);
    if let Some(file) = &options.json
        && let Err(reason) = std::fs::write(file, json(&libraries, &table).to_string())
    {
        eprintln!("cannot write {file}: {reason}");
        return ExitCode::from(2);
    }
    if verdict { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The least of all rounds, of which each begins with another library. `None`: it failed.
fn measure(program: &Program, libraries: &[Library], options: &Options) -> Vec<Option<Took>> {
    let mut least: Vec<Option<Took>> = vec![None; libraries.len()];
    for round in 0..options.rounds {
        for step in 0..libraries.len() {
            let index = (round + step) % libraries.len();
            match program.run(&libraries[index], options.scale, &[]) {
                Ok(run) if run.status.success() => {
                    let took = Took {
                        elapsed: run.elapsed.as_secs_f64(),
                        processor: run.processor.as_secs_f64(),
                        peak: run.peak as f64 / f64::from(1 << 20),
                    };
                    least[index] = Some(least[index].map_or(took, |before| before.least(took)));
                }
                Ok(run) => eprintln!(
                    "{} with {}: {}\n{}",
                    program.name, libraries[index].name, run.status, run.errors
                ),
                Err(reason) => {
                    eprintln!("{} with {}: {reason}", program.name, libraries[index].name)
                }
            }
        }
    }
    least
}

impl Took {
    const fn least(self, other: Self) -> Self {
        Self {
            elapsed: self.elapsed.min(other.elapsed),
            processor: self.processor.min(other.processor),
            peak: self.peak.min(other.peak),
        }
    }
}

type Table = BTreeMap<String, Vec<Option<Took>>>;

/// Sums over the programs that ran with every library.
fn sums(libraries: &[Library], table: &Table, figure: Figure) -> Vec<f64> {
    let whole = table.values().filter(|row| row.iter().all(Option::is_some));
    whole.fold(vec![0.0; libraries.len()], |sums, row| {
        sums.iter().zip(row).map(|(sum, took)| sum + took.as_ref().map_or(0.0, figure)).collect()
    })
}

fn print_table(title: &str, libraries: &[Library], table: &Table, figure: Figure) {
    println!("\n{title}");
    print!("{:16}", "");
    libraries.iter().for_each(|library| print!("{:>11}", library.name));
    println!();
    for (name, row) in table {
        print!("{name:16}");
        for took in row {
            match took {
                Some(took) => print!("{:11.2}", figure(took)),
                None => print!("{:>11}", "failed"),
            }
        }
        println!();
    }
    print!("{:16}", "sum");
    sums(libraries, table, figure).iter().for_each(|sum| print!("{sum:11.2}"));
    println!();
}

/// Prints each target beside what was measured. Whether all are met. The time is that of all
/// processors: from beginning to end, a program also waits for whoever else uses the machine.
fn print_targets(libraries: &[Library], table: &Table) -> bool {
    let sum_of = |name: &str, figure: Figure| {
        let index = libraries.iter().position(|library| library.name == name)?;
        Some(sums(libraries, table, figure)[index])
    };
    println!();
    let targets: [(&str, &str, Figure); 2] = [
        ("processor time", "mimalloc", |took| took.processor),
        ("peak memory", "glibc", |took| took.peak),
    ];
    let mut are_met = true;
    for (what, other, figure) in targets {
        let (Some(ours), Some(theirs)) = (sum_of("brkmalloc", figure), sum_of(other, figure))
        else {
            println!("{what}: no {other} to compare with");
            continue;
        };
        let is_met = ours <= theirs;
        are_met &= is_met;
        println!(
            "{what}: {:.3} of {other}'s, target 1 or less: {}",
            ours / theirs,
            if is_met { "met" } else { "not met" }
        );
    }
    are_met
}

fn json(libraries: &[Library], table: &Table) -> serde_json::Value {
    let of_took = |took: &Option<Took>| match took {
        Some(took) => {
            serde_json::json!({ "seconds": took.elapsed, "processor": took.processor, "peak_mib": took.peak })
        }
        None => serde_json::Value::Null,
    };
    let of_row = |row: &Vec<Option<Took>>| {
        let entries = libraries
            .iter()
            .zip(row)
            .map(|(library, took)| (library.name.to_owned(), of_took(took)));
        serde_json::Value::Object(entries.collect())
    };
    serde_json::Value::Object(table.iter().map(|(name, row)| (name.clone(), of_row(row))).collect())
}
