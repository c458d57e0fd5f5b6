//! The process table as text.
//!
//! ```text
//!   PID  PPID  PGRP STATE    RSS kB  FAULTS   BREAK kB  PROGRAM
//!     1     0     1 child        52      19         64  shell
//!     4     1     4 ready        36      12          0  spin
//! ```

use core::fmt::{self, Write};

use super::process::{Process, Slot};
use super::table::{Entry, State, Table, Wait};
use crate::memory::Mmu;

/// Lines that are written in one go.
const PART: usize = 8;

/// Writes a part of the table: the lines from number `next` on, which it counts up. `false` if
/// there are more. `running` is the process whose turn it is, which the table does not hold.
///
/// # Errors
///
/// The writer's.
pub(super) fn write_part<M: Mmu + Clone>(
    table: &Table<Slot<M>>,
    running: Option<&Process<M>>,
    next: &mut u64,
    out: &mut impl Write,
) -> Result<bool, fmt::Error> {
    if *next == 0 {
        writeln!(out, "  PID  PPID  PGRP STATE    RSS kB  FAULTS   BREAK kB  PROGRAM")?;
    }
    let mut rest = table.processes().skip(*next as usize);
    rest.by_ref().take(PART).try_for_each(|entry| write_line(entry, running, out))?;
    *next += PART as u64;
    Ok(rest.next().is_none())
}

fn write_line<M: Mmu + Clone>(
    entry: &Entry<Slot<M>>,
    running: Option<&Process<M>>,
    out: &mut impl Write,
) -> fmt::Result {
    let Entry { pid, parent, group, state, payload: Slot { name, process, used, .. }, .. } = entry;
    let state = match (state, process) {
        (State::Zombie(_), _) => "zombie",
        // Its process is out of the table for its turn.
        (State::Ready, None) => "running",
        (State::Ready, _) => "ready",
        (State::Waiting(Wait::Child(_)), _) => "child",
        (State::Waiting(Wait::Input), _) => "input",
        (State::Waiting(Wait::Signal), _) => "signal",
        (State::Waiting(Wait::Birth), _) => "birth",
        (State::Waiting(Wait::Word(_)), _) => "word",
        (State::Waiting(Wait::Threads), _) => "threads",
    };
    let process = process.as_deref().or_else(|| running.filter(|running| running.pid == *pid));
    write!(out, "{:>5} {:>5} {:>5} {state:<7}", pid.0, parent.0, group.0)?;
    match process {
        Some(process) => {
            let (resident, faults) = (process.pages.resident(), process.usage().minor_faults);
            let grown = process.space.current_brk() - process.space.layout().start_brk;
            write!(out, " {:>8} {faults:>7} {:>10}", 4 * resident, grown / 1024)?;
        }
        None => write!(out, " {:>8} {:>7} {:>10}", "-", used.minor_faults, "-")?,
    }
    writeln!(out, "  {name}")
}
