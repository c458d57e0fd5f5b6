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
//! Nothing is allocated. What an argument points at is read through a [`Peek`]; if it cannot be
//! read, the address is shown.

pub mod signature;
mod values;

use core::fmt::{self, Write};

use crate::words::{Errno, Status, Text};
use signature::{Argument, Signature};
use values::{address, choice, flags, path, status, text, usage};

pub use values::{MAXRSS, MINFLT, Peek, Pointer};

/// Columns of a call, if it is short enough.
const CALL_COLUMNS: usize = 39;

/// What a call came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A result.
    Value(u64),
    /// An error.
    Error(Errno),
    /// The caller does not come back.
    Never,
}

/// A call and its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Traced {
    /// Who calls.
    pub pid: u32,
    /// The call; `None` for a number that is no call's.
    pub signature: Option<&'static Signature>,
    /// What was in `rax`.
    pub number: u64,
    /// What was in the registers for arguments.
    pub arguments: [u64; 6],
    /// The program that the process is now.
    pub program: &'static str,
}

impl Traced {
    /// The line of a call, which is done: one that has waited comes when it returns.
    ///
    /// # Errors
    ///
    /// The writer's.
    pub fn done(&self, out: &mut dyn Write, peek: &mut Peek<'_>, outcome: Outcome) -> fmt::Result {
        let mut line = Text::new();
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
        line.write_char(')')?;
        write!(out, "[pid {:>5}] {:CALL_COLUMNS$} = ", self.pid, line.as_str())?;
        match (outcome, self.signature.map(|signature| signature.result)) {
            (Outcome::Never, _) => writeln!(out, "?"),
            (Outcome::Error(errno), _) => writeln!(out, "-1 {errno} ({})", errno.text()),
            (Outcome::Value(value), Some(Argument::Address)) => writeln!(out, "{value:#x}"),
            (Outcome::Value(value), _) => writeln!(out, "{value}"),
        }
    }

    fn argument(
        &self,
        line: &mut Text,
        peek: &mut Peek<'_>,
        at: usize,
        kind: Argument,
        outcome: Outcome,
    ) -> fmt::Result {
        let value = self.arguments[at];
        let done = if let Outcome::Value(value) = outcome { Some(value) } else { None };
        match kind {
            Argument::Int => write!(line, "{}", value as i32),
            Argument::Size => write!(line, "{value}"),
            Argument::TextIn => text(line, peek, value, self.arguments[at + 1]),
            Argument::TextOut if done.is_some() => text(line, peek, value, done.unwrap_or(0)),
            // What the path was read from is gone.
            Argument::Path if done.is_some() => write!(line, "{:?}", self.program),
            Argument::Path => path(line, peek, value),
            Argument::StatusOut if value != 0 && done.is_some_and(|child| child > 0) => {
                status(line, peek, value)
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

/// The line about the end of a process.
///
/// # Errors
///
/// The writer's.
pub fn ended(out: &mut dyn Write, pid: u32, status: Status) -> fmt::Result {
    write!(out, "[pid {pid:>5}] ")?;
    match status {
        Status::Exited(code) => writeln!(out, "+++ exited with {code} +++"),
        Status::Killed(signal) => writeln!(out, "+++ killed by {signal} +++"),
    }
}

/// Any other line about a process, as strace shows signals.
///
/// # Errors
///
/// The writer's.
pub fn event(out: &mut dyn Write, pid: u32, what: fmt::Arguments<'_>) -> fmt::Result {
    writeln!(out, "[pid {pid:>5}] --- {what} ---")
}

#[cfg(test)]
mod tests;
