//! A process: its address space, its pages, and what was counted of it. And its threads: registers,
//! and the call that each waits in.

use alloc::boxed::Box;
use alloc::string::String;
use core::mem::MaybeUninit;

use super::crash::Crash;
use super::machine::Machine;
use super::table::Pid;
use super::usage::Usage;
use crate::address_space::{AddressSpace, Errno, Resident};
use crate::memory::{Mmu, Pages, Registers};
use crate::words::Status;

/// What is written down about a process while it runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tracing {
    /// Nothing.
    #[default]
    Off,
    /// Its system calls, as strace shows them.
    Calls,
    /// These, and every page fault.
    CallsAndFaults,
}

/// Words of a [`HeapLayout`].
pub const HEAP_WORDS: usize = 13;

/// Layout of a program's heap, as the program says: `user/runtime/src/heap_layout.rs` has the
/// meaning of each word.
pub type HeapLayout = [u64; HEAP_WORDS];

/// How a program is started. What it forks inherits all of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Decides where its memory lies; without one, chance does.
    pub seed: Option<u64>,
    /// What is written down.
    pub trace: Tracing,
    /// Most bytes of private writable memory (`RLIMIT_DATA`); without one, no limit.
    pub data_limit: Option<u64>,
    /// Most bytes of its stack (`RLIMIT_STACK`); without one, 8 MiB.
    pub stack_limit: Option<u64>,
    /// No report is printed when it crashes.
    pub quiet: bool,
}

/// How far a view is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// All areas below this address are, or all lines below this number.
    pub(super) next: u64,
    /// The pages of the next area are counted up to here.
    pub(super) counted: u64,
    /// What was found of them.
    pub(super) there: Resident,
    /// Pages of all areas before: private, shared.
    pub(super) sums: [u64; 2],
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

/// A thread and its process, outside of the table.
pub type Turn<M> = (Box<Process<M>>, Box<Thread>);

/// Memory for a process or a thread, in hand before anything of it is made.
pub struct Room<T>(Box<MaybeUninit<T>>);

impl<T> Room<T> {
    /// Takes it from the kernel's heap.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's reserve is not whole, or the heap has no room.
    pub fn take(machine: &mut impl Machine) -> Result<Self, Errno> {
        machine.reserve_heap(size_of::<T>())?;
        Ok(Self(Box::new_uninit()))
    }

    /// Puts it there.
    pub fn fill(self, value: T) -> Box<T> {
        Box::write(self.0, value)
    }
}

/// A thread that has not ended.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Its number.
    pub tid: Pid,
    /// Slots in the table while it has its turn: its own, and its process's.
    pub slots: [usize; 2],
    /// Where it goes on, and its thread-local storage.
    pub registers: Registers,
    /// The system call that it waits in, or that is not done yet.
    pub pending: Option<Pending>,
    /// The text of that view.
    pub text: String,
    /// Address of a word that is set to zero, and woken at, when the thread ends; 0 for none.
    pub clear_at_end: u64,
}

impl Thread {
    /// A thread that has not run yet.
    pub const fn new(tid: Pid, registers: Registers) -> Self {
        let (slots, pending, clear_at_end) = ([0; 2], None, 0);
        Self { tid, slots, registers, pending, text: String::new(), clear_at_end }
    }

    /// Whether it is in the middle of a call that has to be made again before the process can end,
    /// or another thread can have a turn. `write` has not: it changes no memory, and may be long.
    pub fn is_in_call(&self) -> bool {
        self.pending.is_some_and(|pending| !pending.waits && pending.written == 0)
    }
}

/// A process that has not ended.
pub struct Process<M> {
    /// Its number, which is that of the thread that leads it.
    pub pid: Pid,
    /// The program it runs.
    pub name: &'static str,
    /// What should be in its memory.
    pub space: AddressSpace,
    /// What is in its memory.
    pub pages: Pages<M>,
    /// The layout of its heap, if it has registered one.
    pub heap: Option<HeapLayout>,
    /// What it was before `execve` made another program of it, until its memory is given back.
    pub old: Option<Box<Self>>,
    /// Threads that have not ended.
    pub threads: u32,
    /// The thread that is [in a call](Thread::is_in_call): the others have no turn until it is
    /// done. So none sees a change of the address space that is half done.
    pub busy: Option<Pid>,
    /// `rip` and `rbp` of the thread whose turn it is, when it stopped for the kernel.
    pub site: [u64; 2],
    /// How the thread that leads it ended, if it has.
    pub leader: Option<Status>,
    /// How it ends: each thread ends at its next turn, and the last one gives the memory back.
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
    /// A process with one thread.
    pub fn new(
        (pid, name): (Pid, &'static str),
        (space, pages): (AddressSpace, Pages<M>),
        options: Options,
    ) -> Self {
        let (switches, children) = (Usage::default(), Usage::default());
        let (busy, leader, old, ending) = (None, None, None, None);
        Self {
            pid,
            name,
            space,
            pages,
            threads: 1,
            busy,
            site: [0; 2],
            leader,
            heap: None,
            old,
            ending,
            options,
            told: 0,
            switches,
            children,
        }
    }

    /// Whether a thread is to have no turn: the process ends, or another thread's call is not done.
    pub fn is_closed_to(&self, tid: Pid) -> bool {
        self.ending.is_some() || self.busy.is_some_and(|busy| busy != tid)
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

/// A place in the process table: a thread, and the process if it leads one, or what is left of
/// either.
pub struct Slot<M> {
    /// The program that it runs.
    pub name: &'static str,
    /// The process that it leads, unless a thread of it has its turn or it has ended.
    pub process: Option<Box<Process<M>>>,
    /// The thread, unless it has its turn or has ended.
    pub thread: Option<Box<Thread>>,
    /// What the process and the children that it waited for have used, when it has ended.
    pub used: Usage,
}

impl<M> Slot<M> {
    /// The place of a new process.
    pub fn new(name: &'static str, (process, thread): Turn<M>) -> Self {
        Self { process: Some(process), ..Self::of_thread(name, thread) }
    }

    /// The place of another thread of a process.
    pub fn of_thread(name: &'static str, thread: Box<Thread>) -> Self {
        Self { name, process: None, thread: Some(thread), used: Usage::default() }
    }
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
