//! How QEMU ended.

use std::fmt;
use std::time::Duration;

use crate::tally::Kind;

/// QEMU's exit status for each end of a kernel. `isa-debug-exit` turns a written value into `value
/// << 1 | 1`; semihosting's `SYS_EXIT_EXTENDED` and the `sifive_test` device take the status
/// itself.
pub mod exit {
    /// Written 0x10: all passed.
    pub const PASSED: i32 = 33;
    /// Written 0x11: finished, with failures.
    pub const FAILED: i32 = 35;
    /// Written 0x12: the kernel panicked.
    pub const PANIC: i32 = 37;
    /// Written 0x13: an unexpected CPU fault.
    pub const FAULT: i32 = 39;
    /// Nothing was written: the machine reset or was switched off, which `-no-reboot` turns into an
    /// end.
    pub const RESET: i32 = 0;
}

/// What QEMU writes when a Cortex-M raises an exception while it enters the one for faults; it then
/// aborts itself.
const LOCKUP: &str = "Lockup";

/// How QEMU ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With a status.
    Exited {
        /// The process's exit status; see [`exit`].
        status: i32,
        /// What QEMU itself wrote to its standard error.
        stderr: String,
    },
    /// It was stopped: no progress for this long, and silence for the second half of it.
    Hung(Duration),
    /// It was stopped: no progress for this long, though the kernel still wrote.
    TimedOut(Duration),
    /// It was never started, or ended without a status, by a signal.
    Broken(String),
}

impl Ending {
    /// What this ending tells about the boot by itself; `None` if the kernel got to its end.
    pub fn cause(&self) -> Option<(Kind, Vec<String>)> {
        let (kind, detail) = match self {
            Self::Exited { status, stderr } => match *status {
                exit::PASSED | exit::FAILED => return None,
                exit::PANIC => (Kind::Panic, "the exit status says so; no message arrived".into()),
                exit::FAULT => (Kind::Fault, "the exit status says so; no report arrived".into()),
                exit::RESET => (Kind::TripleFault, "the machine reset without a word".into()),
                _ if stderr.is_empty() => (Kind::Emulator, self.to_string()),
                _ => (Kind::Emulator, format!("{self}: {}", stderr.trim_end())),
            },
            Self::Hung(limit) => {
                (Kind::Hang, format!("no progress and no output for {} s", limit.as_secs_f32()))
            }
            Self::TimedOut(limit) => {
                (Kind::TimeOut, format!("output, but no progress for {} s", limit.as_secs_f32()))
            }
            Self::Broken(reason) if reason.contains(LOCKUP) => (Kind::TripleFault, reason.clone()),
            Self::Broken(reason) => (Kind::Emulator, reason.clone()),
        };
        Some((kind, vec![detail]))
    }

    /// Does the exit status say that every case passed?
    pub fn says_all_passed(&self) -> bool {
        matches!(self, Self::Exited { status: exit::PASSED, .. })
    }
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { status, .. } => write!(f, "QEMU ended with status {status}"),
            Self::Hung(limit) | Self::TimedOut(limit) => {
                write!(f, "stopped after {} s", limit.as_secs_f32())
            }
            Self::Broken(reason) => f.write_str(reason),
        }
    }
}
