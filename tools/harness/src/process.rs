//! Runs a program and reads what it writes, line by line, as it comes; and counts what programs
//! take of the processors.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use kerntest::machine::wait;

use crate::Error;

thread_local! {
    static COMPILED: Cell<usize> = const { Cell::new(0) };
}

/// What cargo writes, right-aligned in twelve columns, when it has to run a compiler.
const COMPILES: [&str; 3] = ["   Compiling", "    Checking", " Documenting"];

/// Whether a line of cargo's says that it runs a compiler.
pub fn compiles(line: &str) -> bool {
    COMPILES.iter().any(|verb| line.starts_with(verb))
}

/// How many crates cargo has compiled, checked or documented in the programs of this thread.
pub fn compiled() -> usize {
    COMPILED.get()
}

/// Runs `command` to its end. `on_line` gets each line of its output and error output, in the order
/// in which they were written; bytes that are not UTF-8 are replaced.
pub fn run(mut command: Command, on_line: impl FnMut(&str)) -> Result<ExitStatus, Error> {
    command.stdin(Stdio::null());
    run_on(command, on_line)
}

/// The same, with `file` open in the program and in all that it starts, as descriptor 9: a lock of
/// the file lasts until the last of them has ended.
pub(crate) fn run_holding(
    command: Command,
    file: &File,
    on_line: impl FnMut(&str),
) -> Result<ExitStatus, Error> {
    // What Rust opens is closed in a child, but for the three that every program has. A shell hands
    // it on.
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 9<&0 0</dev/null", "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
    let stdin = file.try_clone().map_err(|error| Error::Run("sh".into(), error))?;
    shell.stdin(stdin);
    run_on(shell, on_line)
}

fn run_on(mut command: Command, mut on_line: impl FnMut(&str)) -> Result<ExitStatus, Error> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: io::Error| Error::Run(program.clone(), error);

    let (reader, writer) = io::pipe().map_err(failed)?;
    command.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let mut child = command.spawn().map_err(failed)?;
    // The command keeps its ends of the pipe open, and the pipe ends only when all of them are
    // closed.
    drop(command);

    let mut lines = BufReader::new(reader);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).map_err(failed)? > 0 {
        let text = String::from_utf8_lossy(&line);
        if compiles(&text) {
            COMPILED.set(COMPILED.get() + 1);
        }
        on_line(text.trim_end());
        line.clear();
    }
    wait(&mut child).map_err(failed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use kerntest::machine::spent;

    use super::*;

    #[test]
    fn both_outputs_arrive_in_order_with_the_status() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; printf three; exit 7"]);
        let mut lines = Vec::new();
        let status = run(command, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!(lines, ["one", "two", "three"]);
        assert_eq!(status.code(), Some(7));
    }

    #[test]
    fn what_a_program_and_its_children_take_is_counted_for_who_waits() {
        let mut command = Command::new("sh");
        command.args(["-c", "sh -c 'i=0; while [ $i -lt 30000 ]; do i=$((i + 1)); done'; :"]);
        let before = spent();
        run(command, |_| {}).unwrap();
        let took = spent() - before;
        assert!(took > Duration::ZERO);
        let elsewhere = std::thread::spawn(spent).join().unwrap();
        assert_eq!(elsewhere, Duration::ZERO);
    }

    #[test]
    fn a_crate_that_is_compiled_is_counted() {
        let mut command = Command::new("printf");
        command.arg("   Compiling a v1\n    Finished x\n Documenting b\nCompiling\n");
        let before = compiled();
        run(command, |_| {}).unwrap();
        assert_eq!(compiled() - before, 2);
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let error = run(Command::new("no-such-program"), |_| {}).unwrap_err();
        assert!(error.to_string().contains("no-such-program"), "{error}");
    }
}
