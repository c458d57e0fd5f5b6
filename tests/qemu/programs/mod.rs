//! Programs in ring 3, each with the end that it must come to.
//!
//! ```text
//!   ends        each alone, and beside others: how it ends, and the report if that is a fault
//!   settings    accounting, limits, layout, trace, input
//!   refused     each frame of whole runs is refused once
//!   pressure    much of one thing is asked for, and nobody else notices
//!   fuzz        calls of chance
//! ```

pub mod ends;
pub mod fuzz;
pub mod pressure;
pub mod refused;
pub mod settings;

use alloc::string::String;
use alloc::vec::Vec;

use kernel_demo::kernel::KernelSystem;
use kernel_demo::system::console::Output;
use kernel_demo::system::process::Started;
use kernel_demo::system::{Options, Settings};
use kernel_demo::testing::{Failed, OrFail};
use kernel_demo::words::{Signal, Status};
use kernel_demo::{ensure, ensure_eq};

const SEGV: Status = Status::Killed(Signal::SIGSEGV);
const WELL: Status = Status::Exited(0);

/// Settings of a test: what is written stays in memory.
fn settings() -> Settings {
    Settings { output: Output::Memory(64 << 10), ..Settings::default() }
}

/// Options of a test: the same layout each time.
fn options() -> Options {
    Options { seed: Some(1), ..Options::default() }
}

/// A program and its arguments.
type Command<'a> = (&'static str, &'a [&'a str]);

/// What became of some programs.
struct Ran {
    started: Vec<Started>,
    output: String,
}

impl Ran {
    /// How they ended, in order.
    fn statuses(&self) -> Vec<Status> {
        self.started.iter().filter_map(|started| started.status).collect()
    }

    /// The lines that begin so, without that.
    fn lines<'a>(&'a self, start: &'a str) -> impl Iterator<Item = &'a str> {
        self.output.lines().filter_map(move |line| line.strip_prefix(start))
    }
}

/// Runs programs together in a system of their own, until all have ended. The framework sees to it
/// that every frame is back.
fn run(settings: Settings, options: Options, commands: &[Command<'_>]) -> Result<Ran, Failed> {
    let mut system = KernelSystem::start(settings).or_fail("a system")?;
    for (name, arguments) in commands {
        system.start_program(name, arguments, options).or_fail("a process")?;
    }
    system.run_on_all_cpus();
    ensure_eq!(system.promised(), 0);
    Ok(Ran { started: system.started().to_vec(), output: String::from(system.output()) })
}

/// Runs a program that checks what it shows, and must find all of it true.
fn shows(name: &'static str, arguments: &[&str]) -> Result<Ran, Failed> {
    let ran = run(settings(), options(), &[(name, arguments)])?;
    ensure!(ran.statuses() == [WELL], "{:?}: {}", ran.statuses(), tail(&ran.output));
    Ok(ran)
}

/// The end of a text, for the report of a failure.
fn tail(text: &str) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(900))..]
}
