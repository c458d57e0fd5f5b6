//! The program; see the crate's README.

mod cli;

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anstream::AutoStream;
use clap::{ColorChoice, Parser};

use cli::{Cli, Format};
use kerntest::report::{JUnit, JsonLines, Report, Style, Terminal};
use kerntest::{Accel, Suite, machine};

/// libtest's exit status if a test failed, or the tests could not be run.
const FAILED: u8 = 101;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let failed = error.use_stderr();
            // Without a reader there is nobody to tell.
            let _ = error.print();
            return if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS };
        }
    };
    match run(&cli) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FAILED),
        Err(error) => {
            eprintln!("kerntest: error: {error}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(cli: &Cli) -> io::Result<bool> {
    let suite = cli.suite();
    if !cli.image.exists() {
        let reason = format!("there is no image {}", cli.image.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, reason));
    }
    if cli.accel == Accel::Kvm {
        let folder = tempfile::tempdir()?;
        machine::kvm::probe(&suite.machine.qemu, &folder.path().join("probe.bin"))
            .map_err(|reason| io::Error::other(format!("KVM does not work here: {reason}")))?;
    }
    if cli.list { list(&suite) } else { test(cli, &suite) }
}

/// Prints names as libtest does.
fn list(suite: &Suite) -> io::Result<bool> {
    match suite.list() {
        Ok(names) => {
            let mut out = io::stdout().lock();
            names.iter().try_for_each(|name| writeln!(out, "{name}: test"))?;
            writeln!(out, "\n{} tests, 0 benchmarks", names.len())?;
            Ok(true)
        }
        Err(failure) => {
            eprintln!("{failure}");
            Ok(false)
        }
    }
}

fn test(cli: &Cli, suite: &Suite) -> io::Result<bool> {
    let begun = Instant::now();
    let mut reports = reports(cli)?;
    let mut written = Ok(());
    let tally = suite.run(|happened| {
        for report in &mut reports {
            // The first error is the reader's; the verdict still counts.
            if written.is_ok() {
                written = report.happened(&happened);
            }
        }
    });
    for report in &mut reports {
        report.end(&tally, begun.elapsed())?;
    }
    written.map(|()| tally.is_clean())
}

fn reports(cli: &Cli) -> io::Result<Vec<Box<dyn Report>>> {
    let mut reports: Vec<Box<dyn Report>> = vec![match cli.format {
        Format::Json => Box::new(JsonLines::new(io::stdout())),
        Format::Pretty => {
            let is_terminal = io::stdout().is_terminal() && io::stderr().is_terminal();
            let bar = is_terminal && cli.color != ColorChoice::Never && !cli.nocapture;
            let out = AutoStream::new(io::stdout(), color(cli.color));
            Box::new(Terminal::new(out, Style { bar, all_output: cli.nocapture }))
        }
    }];
    let create = |path: &Path| {
        File::create(path).map(BufWriter::new).map_err(|error| {
            io::Error::new(error.kind(), format!("cannot write {}: {error}", path.display()))
        })
    };
    if let Some(path) = &cli.json {
        reports.push(Box::new(JsonLines::new(create(path)?)));
    }
    if let Some(path) = &cli.junit {
        let name = cli.image.file_stem().unwrap_or_default().to_string_lossy();
        reports.push(Box::new(JUnit::new(create(path)?, &name)));
    }
    Ok(reports)
}

fn color(choice: ColorChoice) -> anstream::ColorChoice {
    match choice {
        ColorChoice::Auto => anstream::ColorChoice::Auto,
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
    }
}
