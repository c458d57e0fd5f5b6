//! The harness's command line; see the library for how it works.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::{self, ExitCode};

use clap::Parser;

use harness::cli::{Cli, Command, MachineOptions, TestOptions, TourOptions};
use harness::cost::Costs;
use harness::examples::Row;
use harness::gdb::Session;
use harness::image::Image;
use harness::killed::What;
use harness::live;
use harness::preloaded::{self, Preloaded};
use harness::project::Project;
use harness::rules::Rules;
use harness::size::Sizes;
use harness::steps::{self, Context, Tier};
use harness::tour::{self, Stop, Tour};
use harness::unsafe_sites::Inventory;
use harness::{Error, demo_suite, examples, killed, programs, readme, report, story, values};
use kerntest::tally::{Failure, Kind, Tally};

/// The exit status of what Ctrl-C ended: 128 and the number of `SIGINT`, as in a shell.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| {
        let variable = |name: &str| env::var(name).ok();
        let Some(wrong) = values::wrong_variable(&error, variable) else { error.exit() };
        eprintln!("harness: error: {wrong}");
        process::exit(2)
    });
    let verdict = match cli.command {
        Command::Check(options) => test(Tier::Check, options),
        Command::Test(options) => test(Tier::Test, options),
        Command::TestAll(options) => test(Tier::All, options),
        Command::Suite { filter, list, machine } => suite(filter.get(), list, &machine),
        Command::Tour { readme, options, machine } => tour(readme, &options, &machine),
        Command::Story { trace: Some(trace), .. } => story_of_trace(&trace),
        Command::Story { program, claim, machine, .. } => story(program, claim, &machine),
        Command::Cost { machine } => cost(&machine),
        Command::KillBuilds { kills, seed, machine } => kill_builds(kills, seed, &machine),
        Command::BuildKilled { host } => build_killed(host),
        Command::Gdb { program, machine } => gdb(&program, &machine),
        Command::Rules => rules(),
        Command::Shell { machine } => shell(&machine),
        Command::Live { program, machine } => show_live(&program, &machine),
        Command::Size => size(),
        Command::Unsafe { list, bless } => unsafe_sites(list, bless),
        Command::Examples { filter } => run_examples(filter.get().as_deref()),
    };
    match verdict {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(error) => {
            eprintln!("harness: error: {error}");
            ExitCode::from(2)
        }
    }
}

/// `harness check`, `harness test`, `harness test-all`
fn test(tier: Tier, options: TestOptions) -> Result<bool, Error> {
    let TestOptions { filter, machine, step, verbose } = options;
    let project = Project::find()?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let filter = filter.get();
    let tally = steps::run_all(&Context { project, setup, tier, machine, filter, step, verbose });
    report::sum(&tally);
    Ok(tally.is_clean())
}

/// `harness suite`
fn suite(filter: Option<String>, list: bool, machine: &MachineOptions) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let image = Image::suite(&project).build(&project, &setup, report::builds())?;
    let suite =
        demo_suite::new(&project, image, machine.for_tests(&setup), filter.as_deref(), None);
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
    let mut tally = suite.run(|happened| report::happened(&happened));
    if let (0, Some(filter)) = (tally.ran(), &filter) {
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
    match Costs::measure(&project, &setup, machine, report::builds())? {
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

/// `harness story`
fn story(
    program: Option<String>,
    claim: Option<String>,
    machine: &MachineOptions,
) -> Result<bool, Error> {
    let options = TourOptions { program, claim, ..TourOptions::default() };
    let keys = options.keys(false)?;
    let project = Project::find()?;
    options.program.iter().try_for_each(|program| programs::check(&project, program))?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let machine = machine.for_story(&setup);
    let show = |bytes: &[u8]| {
        let mut out = io::stdout();
        // A reader who has closed the pipe has seen enough; the verdict still counts.
        let _ = out.write_all(bytes).and_then(|()| out.flush());
    };
    let host = match options.shows("C28") {
        true => Preloaded::build(&project, report::builds())?,
        false => None,
    };
    let run = ("story", &keys[..]);
    let line = report::builds();
    let recording = story::record(&project, &setup, &machine, run, host.as_ref(), line, show)?;
    if let Some(failure) = &recording.failure {
        eprintln!("\n{failure}");
    }
    let page = project.target("story.html");
    let further = if host.is_some() { story::preloaded(&project)? } else { Vec::new() };
    let further: Vec<&str> = further.iter().map(String::as_str).collect();
    let show = |line: &str| println!("{line}");
    let line = report::builds();
    let made = story::page(&project, &[recording.record], &page, &further, line, show)?;
    Ok(made && recording.failure.is_none())
}

/// `harness story` of a Linux program
fn story_of_trace(trace: &Path) -> Result<bool, Error> {
    let project = Project::find()?;
    let name = trace.file_stem().unwrap_or_default().to_string_lossy();
    let trace = trace.display().to_string();
    let further = ["--trace", &trace, "--name", &name];
    let page = project.target("story.html");
    story::page(&project, &[], &page, &further, report::builds(), |line| println!("{line}"))
}

/// `harness gdb`
fn gdb(program: &str, machine: &MachineOptions) -> Result<bool, Error> {
    let project = Project::find()?;
    programs::check(&project, program)?;
    let setup = project.setup()?;
    let machine = machine.for_tour(&setup);
    let session = Session::build(&project, &setup, &machine, program, report::builds())?;
    session.run()
}

/// `harness shell`
fn shell(machine: &MachineOptions) -> Result<bool, Error> {
    if !io::stdin().is_terminal() {
        return Err(Error::Usage("a shell reads a terminal, and standard input is none".into()));
    }
    let project = Project::find()?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let image = Image::tour(&project).build(&project, &setup, report::builds())?;
    println!("Ctrl-C ends a program, `exit` the shell, Ctrl-] x the machine.");
    let machine = machine.for_shell(&setup);
    let keys = [("program", "shell"), ("keys", "1")];
    let mut output = Vec::new();
    let tour = Tour { image: &image, machine: &machine, keys: &keys };
    let failure = tour.run_at_terminal(|bytes| {
        output.extend_from_slice(bytes);
        write_on(bytes);
    });
    let Some(failure) = failure else { return Ok(true) };
    match tour::stop(&String::from_utf8_lossy(&output)) {
        Some(Stop::Machine) => {
            println!("stopped");
            Ok(true)
        }
        Some(Stop::Program) => Err(Error::Interrupted),
        None => {
            eprintln!("\n{failure}");
            Ok(false)
        }
    }
}

/// `harness live`
fn show_live(program: &str, machine: &MachineOptions) -> Result<bool, Error> {
    let project = Project::find()?;
    programs::check(&project, program)?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let image = Image::tour(&project);
    let image = image.build_for(Some(program), &project, &setup, report::builds())?;
    let failure = live::run(&project, &image, machine.for_tour(&setup), program)?;
    failure.iter().for_each(|failure| eprintln!("\n{failure}"));
    Ok(failure.is_none())
}

/// Hands on what a kernel writes.
fn write_on(bytes: &[u8]) {
    let mut out = io::stdout();
    // A reader who has closed the pipe has seen enough; the verdict still counts.
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}

/// `harness size`
fn size() -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let sizes = Sizes::measure(&project, &setup, report::builds())?;
    print!("{sizes}");
    Ok(sizes.is_ok())
}

/// `harness rules`
fn rules() -> Result<bool, Error> {
    let rules = Rules::leave_out(&Project::find()?, report::builds())?;
    println!("{rules}");
    let tally = rules.judge();
    report::sum(&tally);
    Ok(tally.is_clean())
}

/// `harness unsafe`
fn unsafe_sites(list: bool, bless: bool) -> Result<bool, Error> {
    let inventory = Inventory::read(&Project::find()?)?;
    if list {
        print!("{}", inventory.list());
        return Ok(true);
    }
    if bless {
        inventory.bless()?;
    }
    println!("{inventory}");
    let tally = inventory.judge()?;
    report::sum(&tally);
    Ok(tally.is_clean())
}

/// `harness examples`
fn run_examples(filter: Option<&str>) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let mut rows = Vec::new();
    let mut tally = Tally::default();
    for example in examples::all() {
        if filter.is_some_and(|filter| !filter.split(',').any(|part| example.name.contains(part))) {
            continue;
        }
        println!("example {}", example.name);
        let row = example.run(&project, &setup, report::builds())?;
        println!("{row}");
        tally.add(row.tally.clone().unwrap_or_default());
        rows.push(row);
    }
    println!("\n{}", Row::heading());
    rows.iter().for_each(|row| println!("{row}"));
    report::sum(&tally);
    Ok(tally.is_clean() && !rows.is_empty())
}

/// `harness kill-builds`
fn kill_builds(kills: u32, seed: u64, machine: &MachineOptions) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let machine = machine.for_tests(&setup);
    let show = |line: &str| println!("killed {line}");
    let tally = killed::run(&project, &setup, &machine, (kills, seed), show)?;
    report::sum(&tally);
    Ok(tally.is_clean())
}

/// `harness build-killed`
fn build_killed(host: bool) -> Result<bool, Error> {
    let project = Project::find()?;
    let setup = project.setup()?;
    let what = if host { What::Host } else { What::Image };
    what.build(&project, &setup).map(|()| true)
}

/// `harness tour`
fn tour(into_readme: bool, options: &TourOptions, machine: &MachineOptions) -> Result<bool, Error> {
    let is_terminal = io::stdin().is_terminal();
    let mut keys = options.keys(is_terminal)?;
    if options.step && !is_terminal {
        eprintln!("STEP: standard input is no terminal, so the tour does not wait for keys");
    }
    let project = Project::find()?;
    options.program.iter().try_for_each(|program| programs::check(&project, program))?;
    let setup = project.setup()?;
    machine.check(&project, &setup)?;
    let program = options.program.as_deref();
    let image = Image::tour(&project).build_for(program, &project, &setup, report::builds())?;
    let machine = machine.for_tour(&setup);
    let reads_keys = keys.iter().any(|&(key, _)| key == "step" || key == "keys");
    let host = if reads_keys || !options.shows("C28") {
        None
    } else {
        Preloaded::build(&project, report::builds())?
    };
    if host.is_some() {
        keys.push(preloaded::OPTION);
    }
    let mut output = Vec::new();
    let show = |bytes: &[u8]| {
        output.extend_from_slice(bytes);
        write_on(bytes);
    };
    let tour = Tour { image: &image, machine: &machine, keys: &keys };
    let failure = match &host {
        Some(host) => tour.run_with_host(host, show),
        None if reads_keys => tour.run_at_terminal(show),
        None => tour.run(show),
    };
    match failure {
        None if into_readme => {
            readme::update(&project, &String::from_utf8_lossy(&output)).map(|()| true)
        }
        None => Ok(true),
        Some(failure) => {
            // The kernel has said it all itself, unless it did not get to its end.
            if failure.kind != Kind::Assertion {
                eprintln!("\n{failure}");
            }
            Ok(false)
        }
    }
}
