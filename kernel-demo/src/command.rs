//! Runs one ring-3 program by name, as a shell does.

use alloc::vec::Vec;

use crate::arch::qemu::Exit;
use crate::kernel::KernelSystem;
use crate::system::console::Input;
use crate::system::{self, Accounting, Settings, Tracing};
use crate::words::{Signal, Status};
use crate::{print, println, programs};

/// How the program is run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Whether its system calls and page faults are printed.
    pub trace: bool,
    /// Whether it reads what is typed on the console. Otherwise its input is empty.
    pub keys: bool,
    /// Decides where its memory lies; without one, chance does.
    pub seed: Option<u64>,
}

/// Runs the program that the first word names, with the other words as its arguments, and all
/// processes that it makes. Memory is promised as in Linux: more than there is.
///
/// The machine ends well if the program does. Otherwise a line says how it ended: the
/// harness knows `NAME: interrupted`.
pub fn run(words: &str, options: Options) -> Exit {
    let words: Vec<&str> = words.split_whitespace().collect();
    let Some((name, arguments)) = words.split_first() else { return refuse("") };
    let Some(name) = programs::names().find(|known| known == name) else { return refuse(name) };
    let settings = Settings {
        accounting: Accounting::Overcommit,
        input: if options.keys { Input::Console } else { Input::Text(&[]) },
        ..Settings::default()
    };
    let options = system::Options {
        seed: options.seed,
        trace: if options.trace { Tracing::CallsAndFaults } else { Tracing::Off },
        ..system::Options::default()
    };
    let mut system = match KernelSystem::start(settings) {
        Ok(system) => system,
        Err(errno) => return fail(name, format_args!("cannot be started: {errno}")),
    };
    let pid = match system.start_program(name, arguments, options) {
        Ok(pid) => pid,
        Err(error) => {
            return fail(name, format_args!("cannot be started: {error} ({})", error.text()));
        }
    };
    system.run_on_all_cpus();
    match system.outcome(pid).and_then(|started| started.status) {
        Some(Status::Exited(0)) => Exit::Passed,
        Some(Status::Exited(code)) => fail(name, format_args!("exit status {code}")),
        // Ctrl-C, before the program has taken the terminal: nothing is wrong.
        Some(Status::Killed(Signal::SIGINT)) => {
            println!("{name}: interrupted");
            Exit::Failed
        }
        Some(Status::Killed(signal)) => fail(name, format_args!("killed by {signal}")),
        None => fail(name, format_args!("did not end")),
    }
}

/// Says which programs there are.
fn refuse(name: &str) -> Exit {
    println!("FAILED: there is no program {name:?}; the kernel has these:");
    programs::names().for_each(|name| print!(" {name}"));
    println!();
    Exit::Failed
}

fn fail(name: &str, what: core::fmt::Arguments<'_>) -> Exit {
    println!("FAILED: {name}: {what}");
    Exit::Failed
}
