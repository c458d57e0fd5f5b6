//! The command line; see the library for how a picture is made.

use std::error::Error;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use heapmap::parse::{self, Which};
use heapmap::svg;

/// Draws a heap as an SVG picture, from the lines that a walk over its cells prints, wherever in a
/// log they stand.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    /// The log; standard input, unless it is given.
    log: Option<PathBuf>,
    /// The picture to write; standard output, unless it is given.
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Which walk, if the log has several: 1, 2, … or `last`.
    #[arg(long, short, value_name = "WALK")]
    walk: Option<Which>,
    /// What stands above the picture.
    #[arg(long, short, default_value = "Heap map")]
    title: String,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("heapmap: error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Box<dyn Error>> {
    let log = read(cli.log.as_deref())?;
    let walk = parse::walk(&String::from_utf8_lossy(&log), cli.walk.unwrap_or(Which::Only))?;
    let picture = svg::draw(&walk, &cli.title);
    match &cli.out {
        Some(path) => fs::write(path, picture)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?,
        None => io::stdout().write_all(picture.as_bytes())?,
    }
    Ok(())
}

/// What the log contains. A serial line may garble bytes, so it need not be text throughout.
fn read(path: Option<&Path>) -> Result<Vec<u8>, String> {
    let Some(path) = path else {
        let mut log = Vec::new();
        io::stdin()
            .read_to_end(&mut log)
            .map_err(|error| format!("cannot read standard input: {error}"))?;
        return Ok(log);
    };
    fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
