//! The harness's command line; see the library for how it works.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

use harness::cli::{Cli, Command, MachineOptions};
use harness::cost::Costs;
use harness::image::Image;
use harness::project::Project;
use harness::size::Sizes;
use harness::steps::{self, Context};
use harness::suite::{self, Suite};
use harness::tally::{Failure, Kind, Tally};
use harness::{Error, no_trace, readme, report, tour};

fn main() -> ExitCode {
    let verdict = match Cli::parse().command {
        Command::Test { filter, machine, step, verbose } => {
            test(filter.get(), step, machine, verbose)
        }
        Command::Suite { filter, checked, list, machine } => {
            suite(filter.get(), checked, list, &machine)
        }
        Command::Tour { readme, machine } => tour(readme, &machine),
        Command::Cost { machine } => cost(&machine),
        Command::NoTrace => no_trace(),
        Command::Size => size(),
    };
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("harness: error: {error}");
            ExitCode::from(2)
        }
    }
}

/// `harness test`
fn test(
    filter: Option<String>,
    step: Option<String>,
    machine: MachineOptions,
    verbose: bool,
) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let tally = steps::run_all(&Context { project, setup, machine, filter, step, verbose });
    report::sum(&tally);
    Ok(tally.is_clean())
}

/// `harness suite`
fn suite(
    filter: Option<String>,
    checked: bool,
    list: bool,
    machine: &MachineOptions,
) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let image = if checked { Image::suite_checked(&project) } else { Image::suite(&project) };
    let image = image.build(&project, &setup, report::build_line)?;
    let suite = Suite {
        qemu: setup.qemu,
        image,
        machine: machine.for_tests(),
        limits: suite::LIMITS,
        filter,
    };
    if list {
        return Ok(match suite.list() {
            Ok(names) => {
                let mut out = io::stdout();
                // A reader who has closed the pipe has seen enough.
                let _ = names.iter().try_for_each(|name| writeln!(out, "{name}"));
                true
            }
            Err(failure) => {
                eprintln!("{failure}");
                false
            }
        });
    }
    let mut tally = suite.run(report::event);
    if let (0, Some(filter)) = (tally.ran(), &suite.filter) {
        let reason = vec![format!("no case's name contains {filter:?}")];
        tally.add(Tally::one_failed(Failure::new("qemu suite", Kind::Empty, reason)));
    }
    report::sum(&tally);
    Ok(tally.is_clean())
}

/// `harness cost`
fn cost(machine: &MachineOptions) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    match Costs::measure(&project, &setup, machine, report::build_line)? {
        Ok(costs) => {
            print!("{costs}");
            Ok(costs.judge().is_clean())
        }
        Err(failure) => {
            eprintln!("{failure}");
            Ok(false)
        }
    }
}

/// `harness size`
fn size() -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let sizes = Sizes::measure(&project, &setup, report::build_line)?;
    print!("{sizes}");
    Ok(sizes.is_ok())
}

/// `harness no-trace`
fn no_trace() -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let differences = no_trace::differences(&project, &setup, report::build_line)?;
    if differences.is_empty() {
        println!("checked, off: the same programs as without a line of it, byte for byte");
    }
    differences.iter().for_each(|line| println!("{line}"));
    Ok(differences.is_empty())
}

/// `harness tour`
fn tour(into_readme: bool, machine: &MachineOptions) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let image = Image::tour(&project).build(&project, &setup, report::build_line)?;
    let mut output = Vec::new();
    let failure = tour::run(&setup.qemu, &image, &machine.for_tour(), &[], |bytes| {
        output.extend_from_slice(bytes);
        let mut out = io::stdout();
        // A reader who has closed the pipe has seen enough; the verdict still counts.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    });
    match failure {
        None if into_readme => {
            readme::update(&project, &String::from_utf8_lossy(&output)).map(|()| true)
        }
        None => Ok(true),
        Some(failure) => {
            // The tour has said it all itself, unless it did not get to its end.
            if failure.kind != Kind::Assertion {
                eprintln!("\n{failure}");
            }
            Ok(false)
        }
    }
}
