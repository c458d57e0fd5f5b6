//! A process: its address space, its pages, its registers, and what was counted of it.

use alloc::boxed::Box;

use super::crash::Crash;
use super::status::Status;
use super::table::Pid;
use super::usage::Usage;
use crate::address_space::AddressSpace;
use crate::memory::{Pages, Reach, Registers};

/// What is written down about a process while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Trace {
    /// Nothing.
    #[default]
    Off,
    /// Its system calls, as strace shows them.
    Calls,
    /// These, and every page fault.
    CallsAndFaults,
}

/// How a program is started. What it forks inherits all of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Decides where its memory lies; without one, chance does.
    pub seed: Option<u64>,
    /// What is written down.
    pub trace: Trace,
    /// Most bytes of private writable memory (`RLIMIT_DATA`); without one, no limit.
    pub data_limit: Option<u64>,
    /// Most bytes of its stack (`RLIMIT_STACK`); without one, 8 MiB.
    pub stack_limit: Option<u64>,
    /// No report is printed when it crashes.
    pub quiet: bool,
}

/// A system call waits and is made again. Its first half is in the trace.
#[derive(Clone, Copy, Debug)]
pub struct Pending;

/// A process that has not ended.
pub struct Process<R: Reach> {
    /// Its number.
    pub pid: Pid,
    /// The program it runs.
    pub name: &'static str,
    /// What should be in its memory.
    pub space: AddressSpace,
    /// What is in its memory.
    pub pages: Pages<R>,
    /// Where it goes on.
    pub registers: Registers,
    /// The system call that it waits in.
    pub pending: Option<Pending>,
    /// How it was started.
    pub options: Options,
    /// What it has used, page faults and memory aside, which are counted where they happen.
    pub switches: Usage,
    /// What its children have used that it has waited for.
    pub children: Usage,
}

impl<R: Reach> Process<R> {
    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage {
            max_resident: self.pages.peak(),
            minor_faults: self.space.counters().minor(),
            ..self.switches
        }
    }
}

/// A place in the process table: a process, or what is left of one.
pub struct Slot<R: Reach> {
    /// The process, unless it has its turn or has ended.
    pub process: Option<Box<Process<R>>>,
    /// What it and the children that it waited for have used, when it has ended.
    pub used: Usage,
}

/// A program that the kernel has started, and what became of it.
#[derive(Clone, Copy, Debug)]
pub struct Started {
    /// Its number.
    pub pid: Pid,
    /// Its name.
    pub name: &'static str,
    /// How it ended, when it has.
    pub status: Option<Status>,
    /// What it has used, and the children that it waited for, when it has ended.
    pub usage: Usage,
    /// What it did, if that ended it.
    pub crash: Option<Crash>,
}
