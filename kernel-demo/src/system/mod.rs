//! Processes: programs in ring 3, each with an address space of its own, their threads, and the
//! system calls that they make.
//!
//! ```text
//!   spawn ─► load: image, start ─► table ─► run: a turn ─► Machine::run ─────► ring 3
//!                                   ▲          │   ▲              │
//!                                   │          │   └── goes on ◄──┤ Stop: system call │ page fault │ timer │ exception
//!                             calls │          └── its turn is over
//!                                   │
//!   calls      one table: number, signature, function      terminal   keys become lines
//!   memory     page faults, copies to and from processes   objects       shared memory
//!   threads    how threads end, and what they wait for
//!   usage · crash    what a process used, what it did that ended it      views     its memory, as text
//! ```
//!
//! Rules of this room:
//!
//! 1. There is no `unsafe` here, and no address is used: what the kernel wants to know of a
//!    process's memory it asks [`Pages`](crate::memory::Pages).
//! 2. The kernel is never interrupted and has one stack. Entering ring 3 is a function call; a
//!    system call that cannot be answered yet leaves its thread waiting, and is made again when
//!    what it waits for has happened. Threads of one process have turns like those of others; while
//!    a call of one has done a slice of its work, the others have none, unless it is `write`.
//! 3. What may fail for want of memory returns an error: `ENOMEM` to a process that asks, its end
//!    to one that touches. Nobody else notices.
//! 4. A system that is dropped takes its processes with it. Every frame is back.
//! 5. The work between two moments at which interrupts are let in is bounded. A call that has more
//!    to do returns `ERESTART`, and is made again when it is the process's turn: what it has done
//!    is in the address space, in the page tables, or in [`Pending`](process::Pending).
//! 6. What a call needs of the kernel's heap it has in hand before it changes anything. The
//!    kernel's reserve is whole then, so that no process can drain it.

#![deny(unsafe_code)]

mod calls;
pub mod console;
pub mod crash;
mod end;
mod exec;
pub mod image;
mod load;
pub mod machine;
mod memory;
pub mod process;
mod ps;
pub(crate) mod run;
pub mod start;
pub mod table;
pub mod terminal;
mod threads;
mod told;
pub mod usage;
pub mod views;

use alloc::vec::Vec;
use core::fmt::{self, Write};

use self::console::{Console, Input, Output};
use self::crash::Reason;
use self::machine::Machine;
use self::process::{Slot, Started};
use self::table::{Pid, Table, Wait};
pub use crate::memory::Policy as Accounting;
use crate::memory::objects::Objects;

pub use self::process::{Options, Tracing};
use crate::words::{Errno, Status};

/// How a system works.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// When memory is refused that there may be no frames for: when it is asked for, or when it is
    /// touched; who touches a page that no frame is left for is killed.
    pub accounting: Accounting,
    /// Where output goes.
    pub output: Output,
    /// Where input comes from.
    pub input: Input,
}

impl Default for Settings {
    fn default() -> Self {
        let accounting = Accounting::Strict;
        Self { accounting, output: Output::Console, input: Input::Text(&[]) }
    }
}

/// What all processes have in common.
pub(crate) struct Commons<M: Machine> {
    objects: Objects<M::Mmu>,
    console: Console,
    /// It comes last: when it goes, all that was noted on the kernel's heap is gone.
    machine: M,
}

/// Writes to the console, which takes everything.
impl<M: Machine> Write for Commons<M> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.console.write(&mut self.machine, text.as_bytes());
        Ok(())
    }
}

/// Processes, and all that they need.
pub struct System<M: Machine> {
    started: Vec<Started>,
    table: Table<Slot<M::Mmu>>,
    /// The process whose events the story tells.
    told: Pid,
    commons: Commons<M>,
}

/// What becomes of a process instead of getting a result.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Interruption {
    /// It gets an error.
    Fails(Errno),
    /// It waits.
    Waits(Wait),
    /// It has done a slice of its work, and goes on when it is made again.
    Restarts,
    /// It gets a zero, and its turn is over.
    Yields,
    /// It ends; its process goes on if there are other threads.
    Leaves(Status),
    /// Its process ends.
    Ends(Status),
    /// It is ended.
    Crashes(Reason),
}

impl From<Errno> for Interruption {
    fn from(errno: Errno) -> Self {
        if errno == Errno::ERESTART { Self::Restarts } else { Self::Fails(errno) }
    }
}

impl<M: Machine> System<M> {
    /// A system without processes.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's heap has no room for it.
    pub fn new(machine: M, settings: Settings) -> Result<Self, Errno> {
        let table = Table::new().map_err(|_| Errno::ENOMEM)?;
        let console = Console::new(settings.output, settings.input).map_err(|_| Errno::ENOMEM)?;
        machine.with_memory(|memory| memory.open_processes(settings.accounting));
        let commons = Commons { machine, objects: Objects::EMPTY, console };
        Ok(Self { table, told: Pid::KERNEL, commons, started: Vec::new() })
    }

    /// The programs that the kernel has started, in order, and what became of them.
    pub fn started(&self) -> &[Started] {
        &self.started
    }

    /// What became of a program that the kernel has started.
    pub fn outcome(&self, pid: Pid) -> Option<&Started> {
        self.started.iter().find(|started| started.pid == pid)
    }

    /// What processes wrote, and the trace, if they are kept in memory.
    pub fn output(&self) -> &str {
        self.commons.console.text()
    }

    /// Bytes of it that did not fit.
    pub const fn output_lost(&self) -> usize {
        self.commons.console.lost()
    }

    /// Frames promised to processes.
    pub fn promised(&self) -> u64 {
        self.commons.machine.with_memory(|memory| memory.processes().charged())
    }

    /// The machine.
    pub const fn machine(&mut self) -> &mut M {
        &mut self.commons.machine
    }
}

impl<M: Machine> Drop for System<M> {
    /// Takes all processes apart.
    fn drop(&mut self) {
        while let Some(entry) = self.table.take_any() {
            entry.payload.process.into_iter().for_each(|process| self.commons.dismantle(process));
        }
        self.commons.machine.with_memory(|memory| memory.close_processes());
    }
}

#[cfg(test)]
pub(crate) mod tests;
