//! The scheduler: turns, one thread after the other on each CPU, until all have ended.
//!
//! ```text
//!   next: whose turn? ─► a call that waited? ─ made again ─┐
//!       ▲                     │ none                       │
//!       │                     ▼                            │
//!       │                 ring 3 ─► stop: answer ──────────┘ goes on
//!       │                           │
//!       └──── end_turn: the timer · it yields · it waits · it ends
//! ```
//!
//! While a thread is in ring 3 it belongs to its CPU, and its process is in the table, where
//! threads on other CPUs find it: `next` and `stopped` are all that needs the system.

use alloc::boxed::Box;
use core::ops::ControlFlow;

use x86_64::structures::paging::PhysFrame;

use super::crash::Reason;
use super::machine::Machine;
use super::process::{Pending, Thread, Turn};
use super::{Interruption, System};
use crate::memory::Stop;
use crate::story;

/// The process of a thread that runs has not ended, and no CPU is inside of it between two calls
/// of the scheduler.
const THERE: &str = "the process of a thread that runs is in the table";

/// A thread in ring 3.
pub struct Running {
    /// Itself, with its registers.
    pub(crate) thread: Box<Thread>,
    /// The level-4 page table that it runs on.
    #[cfg_attr(test, expect(dead_code, reason = "the machine of the tests is no CPU"))]
    pub(crate) root: PhysFrame,
}

/// What a CPU does next.
pub enum Next {
    /// Lets the thread go on in ring 3, and answers what it stops for.
    Run(Running),
    /// Asks again.
    Again,
    /// Waits: for a key, or until a thread on another CPU has done something.
    Wait,
    /// Nothing: all have ended.
    Nothing,
}

impl<M: Machine> System<M> {
    /// Runs all processes until the last has ended, on this CPU alone.
    ///
    /// Who waits for a child, waits for one that is ready, or waits itself. At the end of such a
    /// chain somebody is ready, or waits for a key, which may be pressed at any time, or for a word
    /// that nobody is left to wake it at: that is a deadlock, and ends the process. Where there is
    /// no terminal, the end of all is also that nobody is left but processes that wait for a
    /// signal.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Gives one turn to the thread whose turn it is, on this CPU alone. `false` when all have
    /// ended.
    pub fn step(&mut self) -> bool {
        match self.next() {
            Next::Run(mut running) => loop {
                let process = self.table.at(running.thread.slots[1]).payload.process.as_mut();
                let pages = &mut process.expect(THERE).pages;
                let stop = self.commons.machine.run(pages, &mut running.thread.registers);
                match self.stopped(running, stop) {
                    Some(goes_on) => running = goes_on,
                    None => break,
                }
            },
            Next::Again | Next::Wait => self.commons.machine.let_interrupts_in(),
            Next::Nothing => return false,
        }
        true
    }

    /// What a CPU does next. A thread that is to run is not ready for another CPU until its turn is
    /// over.
    pub(crate) fn next(&mut self) -> Next {
        let is_watched = self.commons.console.terminal().is_some() && !self.table.is_empty();
        if is_watched {
            self.attend_to_keys();
        }
        if self.table.has_readers() && self.commons.console.next().is_some() {
            self.table.wake_readers();
        }
        match self.table.next_turn() {
            Some(slot) => self.begin(slot, None),
            // A key may wake a process, or end it.
            None if is_watched || self.table.any_has_turn() => Next::Wait,
            None => match self.table.any_waiter() {
                Some(slot) => {
                    self.table.wake_slot(slot);
                    self.begin(slot, Some(Reason::Deadlock))
                }
                None => Next::Nothing,
            },
        }
    }

    /// Whether a thread is ready, and no CPU runs it.
    #[cfg(not(test))]
    pub(crate) fn is_ready(&self) -> bool {
        self.table.is_ready()
    }

    /// Begins a turn of the thread in a slot: it runs, unless something ends its process first.
    fn begin(&mut self, slot: usize, ends: Option<Reason>) -> Next {
        let entry = self.table.at(slot);
        let (home, thread) = (entry.home, entry.payload.thread.take());
        let entry = self.table.at(home);
        let (killed, process) = (entry.killed, entry.payload.process.take());
        let (mut process, mut thread) = (process.expect(THERE), thread.expect(THERE));
        thread.slots = [slot, home];
        self.table.begin_turn(slot);
        let may_end = process.busy.is_none_or(|busy| busy == thread.tid) && !thread.is_in_call();
        if let Some(status) = killed.filter(|_| may_end) {
            process.ending.get_or_insert((status, None));
        }
        self.tell_turn(process.pid);
        let yields = ControlFlow::Break(Interruption::Yields);
        let goes_on = match (process.ending, ends) {
            (None, Some(reason)) => ControlFlow::Break(Interruption::Crashes(reason)),
            _ if process.is_closed_to(thread.tid) => yields,
            _ if thread.pending.is_some() => self.system_call(&mut process, &mut thread),
            _ => ControlFlow::Continue(()),
        };
        // A process that is to end makes no further call when the one that it was in is done.
        let goes_on = if killed.is_some() && goes_on.is_continue() { yields } else { goes_on };
        self.go_on((process, thread), goes_on).map_or(Next::Again, Next::Run)
    }

    /// Answers what a thread has stopped for. Returns it if it goes on; otherwise its turn is over.
    pub(crate) fn stopped(&mut self, running: Running, stop: Stop) -> Option<Running> {
        let mut thread = running.thread;
        let mut process = self.table.at(thread.slots[1]).payload.process.take().expect(THERE);
        if story::is_on() {
            self.tell_stop(&mut process, &thread);
        }
        let goes_on = match stop {
            // It is answered when it is made, or happens, again.
            _ if process.is_closed_to(thread.tid) => {
                if stop == Stop::SystemCall {
                    thread.pending = Some(Pending { waits: true, ..Pending::default() });
                }
                ControlFlow::Break(Interruption::Yields)
            }
            Stop::SystemCall => self.system_call(&mut process, &mut thread),
            Stop::Timer => {
                process.switches.involuntary_switches += 1;
                ControlFlow::Break(Interruption::Yields)
            }
            Stop::PageFault(fault) => match self.commons.serve(&mut process, &fault) {
                Ok(()) => ControlFlow::Continue(()),
                Err(reason) => ControlFlow::Break(Interruption::Crashes(reason)),
            },
            Stop::Exception { vector, error } => {
                ControlFlow::Break(Interruption::Crashes(Reason::Exception { vector, error }))
            }
        };
        self.go_on((process, thread), goes_on)
    }

    /// Puts the process back into the table, where other threads find it, and returns the thread if
    /// it goes on in ring 3. Otherwise ends its turn.
    #[inline]
    fn go_on(
        &mut self,
        (process, thread): Turn<M::Mmu>,
        goes_on: ControlFlow<Interruption>,
    ) -> Option<Running> {
        match goes_on {
            ControlFlow::Continue(()) => {
                let root = process.pages.root();
                self.table.at(thread.slots[1]).payload.process = Some(process);
                Some(Running { thread, root })
            }
            ControlFlow::Break(why) => {
                self.end_turn((process, thread), why);
                None
            }
        }
    }

    /// Ends a turn of a thread.
    #[inline(never)]
    fn end_turn(&mut self, (mut process, thread): Turn<M::Mmu>, why: Interruption) {
        let Thread { tid, slots: [slot, home], .. } = *thread;
        self.table.end_turn(slot);
        let (mut wait, mut left) = (None, None);
        match why {
            Interruption::Waits(what) => wait = Some(what),
            Interruption::Leaves(status) => {
                left = self.leave(&mut process, &thread, status).then_some(status);
            }
            Interruption::Ends(status) => process.ending = Some((status, None)),
            Interruption::Crashes(reason) => self.crash(&mut process, &thread, reason),
            // Others are to have a turn.
            _ => {}
        }
        if let Some((status, _)) = process.ending {
            if story::is_on() {
                self.commons.tell_snapshot(&mut process);
            }
            if process.threads > 1 {
                self.table.wake_threads(process.pid);
                left = Some(status);
            } else if self.commons.give_up(&mut process) {
                if tid != process.pid {
                    self.remove(&process, tid, status);
                }
                return self.end(process);
            } else {
                self.commons.machine.let_interrupts_in();
            }
        }
        if let Some(status) = left {
            self.forget(&mut process, tid, status);
        } else {
            self.table.at(slot).payload.thread = Some(thread);
            wait.into_iter().for_each(|wait| self.table.block(tid, wait));
        }
        self.table.at(home).payload.process = Some(process);
    }
}
