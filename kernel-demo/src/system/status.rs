//! How a process ended, and how `wait4` says so in one word.
//!
//! ```text
//!   exited     code << 8            WIFEXITED, WEXITSTATUS
//!   killed     number of the signal WIFSIGNALED, WTERMSIG
//! ```

use core::fmt;

/// Why the kernel ended a process. The numbers are Linux's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Signal {
    /// Ctrl-C on the terminal.
    Int = 2,
    /// An instruction that does not exist.
    Ill = 4,
    /// A breakpoint or a single step, with nobody to debug.
    Trap = 5,
    /// A misaligned access, where the processor minds.
    Bus = 7,
    /// Arithmetic that has no result.
    Fpe = 8,
    /// There is no frame for memory that was granted.
    Kill = 9,
    /// An access to memory that is not the process's, or an instruction that is not for it.
    Segv = 11,
    /// Another process asked for the end.
    Term = 15,
}

impl Signal {
    /// All of them, with their names in C, and what a shell says of a process that they have ended.
    const ALL: [(Self, &'static str, &'static str); 8] = [
        (Self::Int, "SIGINT", "Interrupted"),
        (Self::Ill, "SIGILL", "Illegal instruction"),
        (Self::Trap, "SIGTRAP", "Trace/breakpoint trap"),
        (Self::Bus, "SIGBUS", "Bus error"),
        (Self::Fpe, "SIGFPE", "Floating point exception"),
        (Self::Kill, "SIGKILL", "Killed"),
        (Self::Segv, "SIGSEGV", "Segmentation fault"),
        (Self::Term, "SIGTERM", "Terminated"),
    ];

    fn texts(self) -> (&'static str, &'static str) {
        let row = Self::ALL.iter().find(|(signal, ..)| *signal == self);
        row.map_or(("", ""), |(_, name, description)| (*name, *description))
    }

    /// Its name in C.
    pub fn name(self) -> &'static str {
        self.texts().0
    }

    /// What a shell says of a process that it has ended.
    pub fn description(self) -> &'static str {
        self.texts().1
    }

    /// The signal of this number; `None` if this kernel sends none such.
    pub fn from_number(number: u64) -> Option<Self> {
        Self::ALL.iter().map(|(signal, ..)| *signal).find(|signal| *signal as u64 == number)
    }

    /// The signal that Linux sends for a processor exception.
    pub const fn for_exception(vector: u8) -> Self {
        match vector {
            0 | 16 | 19 => Self::Fpe,
            1 | 3 => Self::Trap,
            6 | 7 => Self::Ill,
            11 | 12 | 17 => Self::Bus,
            _ => Self::Segv,
        }
    }
}

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It said so, with this code.
    Exited(u8),
    /// The kernel ended it.
    Killed(Signal),
}

impl Status {
    /// The word that `wait4` stores.
    pub const fn word(self) -> u32 {
        match self {
            Self::Exited(code) => (code as u32) << 8,
            Self::Killed(signal) => signal as u32,
        }
    }

    /// What the word says; `None` if it is none of ours.
    pub fn from_word(word: u32) -> Option<Self> {
        let killed_by = Signal::from_number(word.into()).map(Self::Killed);
        killed_by.or_else(|| (word & !0xff00 == 0).then_some(Self::Exited((word >> 8) as u8)))
    }

    /// What a shell has in `$?`.
    pub const fn shell_code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal as u8,
        }
    }
}

/// As strace shows the word of `wait4`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "{{WIFEXITED(s) && WEXITSTATUS(s) == {code}}}"),
            Self::Killed(signal) => {
                write!(f, "{{WIFSIGNALED(s) && WTERMSIG(s) == {}}}", signal.name())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_linuxs() {
        assert_eq!(Status::Exited(0).word(), 0);
        assert_eq!(Status::Exited(7).word(), 0x700);
        assert_eq!(Status::Killed(Signal::Segv).word(), 11);
        assert_eq!(
            (Status::Exited(7).shell_code(), Status::Killed(Signal::Segv).shell_code()),
            (7, 139)
        );
        assert_eq!(Status::Killed(Signal::Kill).shell_code(), 137);
        let killed = Signal::ALL.map(|(signal, ..)| Status::Killed(signal));
        for status in [0, 1, 255].map(Status::Exited).into_iter().chain(killed) {
            assert_eq!(Status::from_word(status.word()), Some(status));
        }
        assert_eq!((Status::from_word(1), Status::from_word(0x1_0000)), (None, None));
    }

    #[test]
    fn it_reads_as_in_strace() {
        assert_eq!(Status::Exited(3).to_string(), "{WIFEXITED(s) && WEXITSTATUS(s) == 3}");
        assert_eq!(
            Status::Killed(Signal::Segv).to_string(),
            "{WIFSIGNALED(s) && WTERMSIG(s) == SIGSEGV}"
        );
    }

    #[test]
    fn exceptions_become_linuxs_signals() {
        let names: Vec<&str> =
            [0, 1, 3, 6, 7, 13, 17].map(|vector| Signal::for_exception(vector).name()).into();
        assert_eq!(
            names,
            ["SIGFPE", "SIGTRAP", "SIGTRAP", "SIGILL", "SIGILL", "SIGSEGV", "SIGBUS"]
        );
    }
}
