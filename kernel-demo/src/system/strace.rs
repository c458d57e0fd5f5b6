//! System calls as strace prints them.
//!
//! ```text
//! [pid     1] brk(NULL)                               = 0x555555561000
//! [pid     1] mmap(NULL, 4096, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x7ffff7dc0000
//! [pid     2] exit(3)                                 = ?
//! [pid     2] +++ exited with 3 +++
//! [pid     1] wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 2
//! ```
//!
//! A line goes to its writer piece by piece; nothing is allocated. What an argument points at is
//! read through a [`Peek`]; if it cannot be read, the address is shown.

mod values;

use core::fmt::{self, Write};

use super::signature::{Argument, Signature};
use super::status::Status;
use values::{WaitWord, address, choice, flags, path, text, usage, word};

pub use values::Pointer;

/// Column of the equals sign, if the call is short enough.
const RESULT_COLUMN: usize = 40;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result.
    Value(u64),
    /// An error: its name, and what it means.
    Error(&'static str, &'static str),
    /// The caller does not come back.
    Never,
}

/// Reads the memory of the process that is traced: fills the buffer from the address on. `false`
/// when that cannot be read.
pub type Peek<'a> = dyn FnMut(u64, &mut [u8]) -> bool + 'a;

/// A call and its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'a> {
    /// Who calls.
    pub pid: u32,
    /// The call; `None` for a number that is no call's.
    pub signature: Option<&'a Signature>,
    /// What was in `rax`.
    pub number: u64,
    /// What was in the registers for arguments.
    pub arguments: [u64; 6],
    /// The program that the process is now.
    pub program: &'a str,
}

impl Traced<'_> {
    /// The line of a call, which is done: one that has waited comes when it returns.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn done(&self, out: &mut dyn Write, peek: &mut Peek<'_>, outcome: Outcome) -> fmt::Result {
        let mut line = Line::new(out, self.pid)?;
        match self.signature {
            Some(signature) => line.write_str(signature.name)?,
            None => write!(line, "syscall_{:#x}", self.number)?,
        }
        line.write_char('(')?;
        let kinds =
            self.signature.map_or(&[Argument::Address; 6][..], |signature| signature.arguments);
        for (at, kind) in kinds.iter().enumerate() {
            line.write_str(if at > 0 { ", " } else { "" })?;
            self.argument(&mut line, peek, at, *kind, outcome)?;
        }
        result(line, self.signature, outcome)
    }

    fn argument(
        &self,
        line: &mut Line<'_>,
        peek: &mut Peek<'_>,
        at: usize,
        kind: Argument,
        outcome: Outcome,
    ) -> fmt::Result {
        let value = self.arguments[at];
        let done = if let Outcome::Value(done) = outcome { Some(done) } else { None };
        match kind {
            Argument::Int => write!(line, "{}", value as i32),
            Argument::Size => write!(line, "{value}"),
            Argument::TextIn => text(line, peek, value, self.arguments[at + 1]),
            Argument::TextOut if done.is_some() => text(line, peek, value, done.unwrap_or(0)),
            // What the path was read from is gone.
            Argument::Path if done.is_some() => write!(line, "{:?}", self.program),
            Argument::Path => path(line, peek, value),
            Argument::StatusOut if value != 0 && done.is_some_and(|child| child > 0) => {
                match word::<4>(peek, value) {
                    Some(bytes) => write!(line, "[{}]", WaitWord(u32::from_le_bytes(bytes))),
                    None => address(line, value),
                }
            }
            // `wait4` without a child that has ended stores nothing.
            Argument::UsageOut if value != 0 && done.is_some_and(|done| at == 1 || done > 0) => {
                usage(line, peek, value)
            }
            Argument::Address | Argument::TextOut | Argument::StatusOut | Argument::UsageOut => {
                address(line, value)
            }
            Argument::Flags(names, none) => flags(line, value, names, none),
            Argument::Choice(names) => choice(line, u64::from(value as u32), names),
        }
    }
}

/// A line, which knows its column.
struct Line<'a> {
    out: &'a mut dyn Write,
    column: usize,
}

impl<'a> Line<'a> {
    fn new(out: &'a mut dyn Write, pid: u32) -> Result<Self, fmt::Error> {
        write!(out, "[pid {pid:>5}] ")?;
        Ok(Self { out, column: 0 })
    }
}

impl Write for Line<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.column += text.chars().count();
        self.out.write_str(text)
    }
}

/// The end of a line: `) = …`.
fn result(mut line: Line<'_>, signature: Option<&Signature>, outcome: Outcome) -> fmt::Result {
    line.write_char(')')?;
    let padding = RESULT_COLUMN.saturating_sub(line.column).max(1);
    write!(line, "{:padding$}= ", "")?;
    match (outcome, signature.map(|signature| signature.result)) {
        (Outcome::Never, _) => line.write_char('?')?,
        (Outcome::Error(name, meaning), _) => write!(line, "-1 {name} ({meaning})")?,
        (Outcome::Value(value), Some(Argument::Address)) => write!(line, "{value:#x}")?,
        (Outcome::Value(value), _) => write!(line, "{value}")?,
    }
    line.write_char('\n')
}

/// The line about the end of a process.
///
/// # Errors
///
/// The writer's.
pub fn ended(out: &mut dyn Write, pid: u32, status: Status) -> fmt::Result {
    let mut line = Line::new(out, pid)?;
    match status {
        Status::Exited(code) => writeln!(line, "+++ exited with {code} +++"),
        Status::Killed(signal) => writeln!(line, "+++ killed by {} +++", signal.name()),
    }
}

/// Any other line about a process, as strace shows signals.
///
/// # Errors
///
/// The writer's.
pub fn event(out: &mut dyn Write, pid: u32, what: fmt::Arguments<'_>) -> fmt::Result {
    let mut line = Line::new(out, pid)?;
    writeln!(line, "--- {what} ---")
}

#[cfg(test)]
mod tests;
