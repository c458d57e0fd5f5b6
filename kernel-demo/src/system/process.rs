//! A process: its address space, its pages, its registers, and what was counted of it.

use alloc::boxed::Box;
use alloc::string::String;
use core::mem::MaybeUninit;

use super::crash::Crash;
use super::machine::Machine;
use super::status::Status;
use super::table::Pid;
use super::usage::Usage;
use super::views::Progress;
use crate::address_space::{AddressSpace, Errno};
use crate::memory::{Mmu, Pages, Registers};

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

/// A system call that is made again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pending {
    /// Nothing was done yet, and nothing will be before what it waits for has happened.
    pub waits: bool,
    /// What it returns, when the rest of its work is done.
    pub result: Option<Result<u64, Errno>>,
    /// Bytes it has written.
    pub written: u64,
    /// The child it has begun to make.
    pub child: Option<Pid>,
    /// How far the view is written that it stores.
    pub view: Progress,
    /// The registers with which it begins as another program.
    pub begins: Option<Registers>,
}

/// Memory for a process, which is there before anything else of it is made.
pub struct Room<M>(Box<MaybeUninit<Process<M>>>);

impl<M: Mmu + Clone> Room<M> {
    /// Takes it from the kernel's heap.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's reserve is not whole, or the heap has no room.
    pub fn take(machine: &mut impl Machine<Mmu = M>) -> Result<Self, Errno> {
        if !machine.reserve_heap(size_of::<Process<M>>()) {
            return Err(Errno::ENOMEM);
        }
        Ok(Self(Box::new_uninit()))
    }

    /// Puts the process into it.
    pub fn fill(self, process: Process<M>) -> Box<Process<M>> {
        Box::write(self.0, process)
    }
}

/// A process that has not ended.
pub struct Process<M> {
    /// Its number.
    pub pid: Pid,
    /// The program it runs.
    pub name: &'static str,
    /// What should be in its memory.
    pub space: AddressSpace,
    /// What is in its memory.
    pub pages: Pages<M>,
    /// Where it goes on.
    pub registers: Registers,
    /// The system call that it waits in, or that is not done yet.
    pub pending: Option<Pending>,
    /// The text of that view.
    pub text: String,
    /// What it was before `execve` made another program of it, until its memory is given back.
    pub old: Option<Box<Self>>,
    /// How it ends, when nothing is left to do but to give its memory back.
    pub ending: Option<(Status, Option<Crash>)>,
    /// How it was started.
    pub options: Options,
    /// The digest of the areas that a story was told last.
    pub told: u64,
    /// What it has used, page faults and memory aside, which are counted where they happen.
    pub switches: Usage,
    /// What its children have used that it has waited for.
    pub children: Usage,
}

impl<M: Mmu + Clone> Process<M> {
    /// A process that has not run yet.
    pub fn new(
        (pid, name): (Pid, &'static str),
        (space, pages): (AddressSpace, Pages<M>),
        options: Options,
    ) -> Self {
        let (switches, children) = (Usage::default(), Usage::default());
        let (pending, text, old, ending) = (None, String::new(), None, None);
        let registers = Registers::default();
        Self {
            pid,
            name,
            space,
            pages,
            registers,
            pending,
            text,
            old,
            ending,
            options,
            told: 0,
            switches,
            children,
        }
    }

    /// Whether it is in the middle of a call, which has to be made again before the process can
    /// end.
    pub fn is_in_call(&self) -> bool {
        self.pending.is_some_and(|pending| !pending.waits)
    }

    /// What it has used so far.
    pub fn usage(&self) -> Usage {
        Usage {
            max_resident: self.pages.peak(),
            minor_faults: self.space.faults(),
            ..self.switches
        }
    }
}

/// A place in the process table: a process, or what is left of one.
pub struct Slot<M> {
    /// The program that it runs.
    pub name: &'static str,
    /// The process, unless it has its turn or has ended.
    pub process: Option<Box<Process<M>>>,
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
