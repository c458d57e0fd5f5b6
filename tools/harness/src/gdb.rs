//! A debugger on the demo kernel: stopped before its first instruction, with the symbols of the
//! kernel and of one ring-3 program.
//!
//! ```text
//!   gdb, with tools/gdb/brkalloc.py ── pipe ──► QEMU, -S -gdb stdio ── serial port ──► target/gdb/serial.log
//! ```

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Error;
use crate::image::Image;
use crate::process;
use crate::programs;
use crate::project::{Project, Setup};
use kerntest::machine::Machine;
use kerntest::names;

/// The debugger.
const GDB: &str = "gdb";

/// The process's addresses, so that each session has the same.
const SEED: (&str, &str) = ("seed", "1");

/// Maximum time of a session that types by itself, in seconds.
const LIMIT: &str = "300";

/// The program that is run unless the reader names one.
pub const PROGRAM: &str = "maps-story";

/// The debugger's version, if it is there and can run our commands, which are in Python.
pub fn version() -> Option<String> {
    let mut command = Command::new(GDB);
    command.args(["--batch", "-ex", "show version", "-ex", "python print('has Python')"]);
    let mut lines = Vec::new();
    let status = process::run(command, |line| lines.push(line.to_owned())).ok()?;
    let is_complete = status.success() && lines.iter().any(|line| line == "has Python");
    is_complete.then(|| lines.swap_remove(0))
}

/// A kernel and a program to debug, built.
#[derive(Debug)]
pub struct Session {
    kernel: PathBuf,
    program: PathBuf,
    commands: PathBuf,
    log: PathBuf,
    emulator: OsString,
}

impl Session {
    /// Builds the kernel, which will run the program with these words. `on_line` gets what the
    /// build has to say.
    pub fn build(
        project: &Project,
        setup: &Setup,
        machine: &Machine,
        words: &str,
        on_line: impl FnMut(&str),
    ) -> Result<Self, Error> {
        let image = Image::debug(project).build_for(Some(words), project, setup, on_line)?;
        let name = words.split_whitespace().next().unwrap_or_default();
        let log = project.target("gdb/serial.log");
        let keys = [("program", words), ("trace", "1"), SEED];
        let emulator = machine
            .debug_command(&image, &keys, &log)
            .map_err(|error| Error::Run(machine.qemu.display().to_string(), error))?;
        Ok(Self {
            kernel: names::of_image(&image),
            program: programs::with_symbols(project, name),
            commands: project.root().join("tools/gdb/brkalloc.py"),
            log,
            emulator: shell_line(&emulator),
        })
    }

    /// Where the kernel writes to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Leaves the terminal to the debugger, until the reader quits.
    pub fn run(&self) -> Result<bool, Error> {
        let mut command = self.command(Command::new(GDB));
        let status = command.status().map_err(|error| Error::Run(GDB.into(), error))?;
        Ok(status.success())
    }

    /// Runs these commands of the debugger, and returns what it writes.
    pub fn script(&self, commands: &[&str]) -> Result<Vec<String>, Error> {
        let mut timed = Command::new("timeout");
        timed.args(["--signal=KILL", LIMIT, GDB, "--batch"]);
        let mut command = self.command(timed);
        command.stdin(Stdio::null());
        for line in commands {
            command.args(["-ex", line]);
        }
        let mut lines = Vec::new();
        process::run(command, |line| lines.push(line.to_owned()))?;
        Ok(lines)
    }

    fn command(&self, mut command: Command) -> Command {
        command.arg("-quiet").arg(&self.kernel).arg("-ix").arg(&self.commands);
        let mut target = OsString::from("target remote | exec ");
        target.push(&self.emulator);
        command.arg("-ex").arg(target);
        command.envs([("BRKALLOC_PROGRAM", &self.program), ("BRKALLOC_CONSOLE", &self.log)]);
        command.args(["-ex", "brkalloc-start"]);
        command
    }
}

/// A command as a line for a shell.
fn shell_line(command: &Command) -> OsString {
    let mut line = OsString::new();
    for word in [command.get_program()].into_iter().chain(command.get_args()) {
        line.push(if line.is_empty() { "" } else { " " });
        line.push(quoted(word));
    }
    line
}

/// A word that a shell takes as it is. (No path of the project has a quote: the set-up sees to it.)
fn quoted(word: &OsStr) -> OsString {
    let mut quoted = OsString::from("'");
    quoted.push(word);
    quoted.push("'");
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_command_as_it_is() {
        let mut command = Command::new("printf");
        command.args(["%s|", "a b", "name=x,string=lazy 5", "*"]);
        let output = Command::new("sh").arg("-c").arg(shell_line(&command)).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "a b|name=x,string=lazy 5|*|");
    }
}
