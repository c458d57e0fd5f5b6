//! `story RECORD… --out PAGE`: makes a page of records.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use story::linux::{self, Figures};
use story::page::Data;
use story::symbols::Symbols;
use story::telling::Told;
use story::{Error, claims, page, questions};

/// Makes a page of what a run did to memory.
#[derive(Debug, Parser)]
struct Cli {
    /// Files of records: the kernel's, from its second serial port.
    records: Vec<PathBuf>,
    /// The record of calls of a Linux program, as `BRKALLOC_TRACE` makes it.
    #[arg(long)]
    trace: Option<PathBuf>,
    /// Name of that program.
    #[arg(long, default_value = "a program")]
    name: String,
    /// Tell that program as the evidence of the claim about preloading.
    #[arg(long)]
    as_claim: bool,
    /// The folder of the programs with symbols.
    #[arg(long)]
    programs: Option<PathBuf>,
    /// The project's root.
    #[arg(long, default_value = ".")]
    project: PathBuf,
    /// The page to write.
    #[arg(long)]
    out: PathBuf,
    /// A module of JavaScript that the page runs behind the viewer.
    #[arg(long)]
    module: Vec<PathBuf>,
}

fn main() -> ExitCode {
    match make(&Cli::parse()) {
        Ok(summary) => {
            println!("{summary}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("story: error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Adds a Linux program, with its evidence.
fn add_program(told: &mut Told, trace: &Path, cli: &Cli) -> Result<(), Error> {
    let Cli { name, as_claim, .. } = cli;
    if *as_claim {
        told.end_line(
            "[C28] Built as a shared library and preloaded, it serves unmodified programs",
        );
        told.end_line(&format!("  The program {name} runs on Linux, with the library preloaded."));
    } else if cli.records.is_empty() {
        name.clone_into(&mut told.what);
    }
    let Figures { calls, blocks } = linux::read(told, trace, name)?;
    if *as_claim {
        told.end_line(&format!("    ok      of its first ten calls, served: {}", calls.min(10)));
        told.end_line(&format!("    ok      calls of its heap that are recorded: {calls}"));
        told.end_line(&format!("    ok      blocks that it got: {blocks}"));
    }
    Ok(())
}

fn make(cli: &Cli) -> Result<String, Error> {
    let read =
        |path: &Path| fs::read_to_string(path).map_err(|error| Error::Read(path.to_owned(), error));
    let project =
        fs::canonicalize(&cli.project).map_err(|error| Error::Read(cli.project.clone(), error))?;
    let mut symbols = Symbols::new(&project, cli.programs.as_deref());
    let mut told = Told::default();
    for record in &cli.records {
        told.read(record, &mut symbols)?;
    }
    if let Some(trace) = &cli.trace {
        add_program(&mut told, trace, cli)?;
    }
    told.read_sources(&project);
    let claims = claims::read(&read(&project.join("docs/CLAIMS.md"))?);
    let written = questions::read(include_str!("../questions.toml"))?;
    let shown = questions::shown(&told.lines, told.events.len());
    let questions = questions::place(&written, &told.lines, &shown)?;
    let modules = cli
        .module
        .iter()
        .map(|path| Ok((path.file_name().unwrap_or_default().to_string_lossy(), read(path)?)))
        .collect::<Result<Vec<_>, Error>>()?;
    let further: Vec<_> = modules.iter().map(|(name, text)| (&**name, text.as_str())).collect();
    let data = Data { told: &told, claims: &claims, shown: &shown, questions: &questions };
    let html = page::make(&data, &further)?;
    fs::write(&cli.out, &html).map_err(|error| Error::Write(cli.out.clone(), error))?;
    Ok(format!(
        "{}: {} events, {} questions, {} KiB",
        cli.out.display(),
        told.events.len(),
        questions.len(),
        html.len() >> 10
    ))
}
