//! Counts the instructions of the allocator's common paths and compares them with budgets.
//!
//! ```text
//!   paths: Heap, ArenaHeap ── step: every instruction traps ──► counts ── compare ──► verdicts
//!                                                  benches/budgets.txt ──────┘
//! ```
//!
//! The counts are exact: a program has the same counts on every machine. Another compiler makes
//! another program; an excess of more than 3 % is a loss all the same.
//!
//! `budgets check` prints as a test program does, so that each budget counts as a test.
//! `budgets write` writes the present counts into the file.

mod copy;
mod file;
mod paths;
mod step;
#[allow(dead_code, unused_imports, reason = "the benchmarks read and write traces of any form")]
#[path = "../../src/trace/mod.rs"]
mod trace;

use std::path::PathBuf;
use std::process::ExitCode;

use file::{Budgets, Verdict};

/// Path of the file of budgets, from the project's root.
const FILE: &str = "benches/budgets.txt";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, file) = match arguments.as_slice() {
        [command] => (command.as_str(), FILE),
        [command, file] => (command.as_str(), file.as_str()),
        _ => ("", FILE),
    };
    let file = PathBuf::from(file);
    let result = match command {
        "check" => check(&file),
        "write" => write(&file).map(|()| true),
        _ => Err("usage: budgets check|write [FILE]".into()),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("budgets: error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Counts and writes the file.
fn write(path: &PathBuf) -> Result<(), String> {
    let counts = paths::count()?;
    let text = Budgets::text(&counts);
    std::fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))?;
    counts.iter().for_each(|(name, count)| println!("{count:>9}  {name}"));
    println!("written: {}", path.display());
    Ok(())
}

/// Counts, compares, and prints as a test program does.
fn check(path: &PathBuf) -> Result<bool, String> {
    let text =
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let budgets = Budgets::parse(&text)?;
    let verdicts = budgets.judge(&paths::count()?);
    println!("running {} tests", verdicts.len());
    for (name, verdict) in &verdicts {
        println!("test {name} ... {}", if verdict.is_ok() { "ok" } else { "FAILED" });
    }
    let failed: Vec<&(String, Verdict)> =
        verdicts.iter().filter(|(_, verdict)| !verdict.is_ok()).collect();
    if !failed.is_empty() {
        println!("\nfailures:\n");
        for (name, verdict) in &failed {
            println!("---- {name} stdout ----\n{verdict}\n");
        }
        println!("\nfailures:");
        failed.iter().for_each(|(name, _)| println!("    {name}"));
        println!();
    }
    let word = if failed.is_empty() { "ok" } else { "FAILED" };
    let passed = verdicts.len() - failed.len();
    println!(
        "test result: {word}. {passed} passed; {} failed; 0 ignored; 0 measured; 0 filtered out",
        failed.len()
    );
    Ok(failed.is_empty())
}
