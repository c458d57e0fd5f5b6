//! The scheduler: turns, one thread after the other, until all have ended.
//!
//! ```text
//!   whose turn? ─► a call that waited? ─ made again ─┐
//!       ▲               │ none                       │
//!       │               ▼                            │
//!       │           ring 3 ─► stop: answer it ───────┘ goes on
//!       │                     │
//!       └──── the timer · it yields · it waits · it ends
//! ```

use alloc::boxed::Box;
use core::fmt;
use core::ops::ControlFlow;

use super::calls::signal;
use super::crash::{Crash, Reason};
use super::machine::Machine;
use super::process::{Process, Thread, Trace, Turn};
use super::status::{Signal, Status};
use super::strace::Pointer;
use super::table::{Entry, Pid};
use super::{Commons, Interruption, System, strace};
use crate::memory::Stop;
use crate::story::{self, Kind};

impl<M: Machine> System<M> {
    /// Runs all processes until the last has ended.
    ///
    /// Who waits for a child, waits for one that is ready, or waits itself. At the end of such a
    /// chain somebody is ready, or waits for a key, which may be pressed at any time, or for a word
    /// that nobody is left to wake it at: that is a deadlock, and ends the process. Where there is
    /// no terminal, the end of all is also that nobody is left but processes that wait for a signal.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Gives one turn to the thread whose turn it is. `false` when all have ended.
    pub fn step(&mut self) -> bool {
        let is_watched = self.commons.console.terminal().is_some() && !self.table.is_empty();
        if is_watched {
            self.attend_to_keys();
        }
        if self.table.has_readers() && self.commons.console.next().is_some() {
            self.table.wake_readers();
        }
        match self.table.next_turn() {
            Some(tid) => self.turn(tid, None),
            // A key may wake a process, or end it.
            None if is_watched => self.commons.machine.let_interrupts_in(),
            None => match self.table.any_waiter() {
                Some(tid) => self.turn(tid, Some(Reason::Deadlock)),
                None => return false,
            },
        }
        true
    }

    /// One turn of a thread: it runs, unless something ends its process first.
    fn turn(&mut self, tid: Pid, ends: Option<Reason>) {
        let Some((mut process, mut thread)) = self.take(tid) else { return };
        let held = process.busy.is_some_and(|busy| busy != tid);
        if !held && !thread.is_in_call() && process.ending.is_none() {
            let killed = self.table.get(process.pid).and_then(|entry| entry.killed);
            process.ending = killed.map(|status| (status, None));
        }
        story::tell(Kind::Turn, [process.pid.0.into()]);
        let over = match (process.ending, ends) {
            (Some(_), _) => ControlFlow::Continue(()),
            (None, Some(reason)) => ControlFlow::Break(Interruption::Crashes(reason)),
            (None, None) if held => ControlFlow::Continue(()),
            (None, None) => self.go_on(&mut process, &mut thread),
        };
        let (mut wait, mut left) = (None, None);
        match over {
            ControlFlow::Break(Interruption::Waits(what)) => wait = Some(what),
            ControlFlow::Break(Interruption::Leaves(status)) => {
                left = self.leave(&mut process, &thread, status).then_some(status);
            }
            ControlFlow::Break(Interruption::Ends(status)) => process.ending = Some((status, None)),
            ControlFlow::Break(Interruption::Crashes(reason)) => {
                self.crash(&mut process, &thread, reason);
            }
            // Others are to have a turn.
            ControlFlow::Continue(()) | ControlFlow::Break(_) => {}
        }
        if let Some((status, crash)) = process.ending {
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
                return self.end(process, status, crash);
            } else {
                self.commons.machine.let_interrupts_in();
            }
        }
        match (left, wait) {
            (Some(status), _) => {
                self.forget(&mut process, tid, status);
                self.put_back(process, None);
            }
            (None, wait) => {
                self.put_back(process, Some(thread));
                wait.into_iter().for_each(|wait| self.table.block(tid, wait));
            }
        }
    }

    /// Takes a thread and its process out of the table for a turn.
    fn take(&mut self, tid: Pid) -> Option<Turn<M::Mmu>> {
        let leader = self.table.get(tid)?.leader;
        let process = self.table.get_mut(leader)?.payload.process.take()?;
        let thread = self.table.get_mut(tid)?.payload.thread.take()?;
        Some((process, thread))
    }

    /// Puts them back when the turn is over; no thread if it has ended.
    fn put_back(&mut self, process: Box<Process<M::Mmu>>, thread: Option<Box<Thread>>) {
        if let Some(thread) = thread
            && let Some(entry) = self.table.get_mut(thread.tid)
        {
            entry.payload.thread = Some(thread);
        }
        if let Some(entry) = self.table.get_mut(process.pid) {
            entry.payload.process = Some(process);
        }
    }

    /// Lets a thread run and answers what it stops for.
    fn go_on(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
    ) -> ControlFlow<Interruption> {
        if thread.pending.is_some() {
            self.system_call(process, thread)?;
        }
        loop {
            let stop = self.commons.machine.run(&mut process.pages, &mut thread.registers);
            process.site = [thread.registers.rip, thread.registers.rbp];
            match stop {
                Stop::SystemCall => self.system_call(process, thread)?,
                Stop::PageFault(fault) => match self.commons.serve(process, &fault) {
                    Ok(()) => {}
                    Err(reason) => return ControlFlow::Break(Interruption::Crashes(reason)),
                },
                Stop::Exception { vector, error } => {
                    return ControlFlow::Break(Interruption::Crashes(Reason::Exception {
                        vector,
                        error,
                    }));
                }
                Stop::Timer => {
                    process.switches.involuntary_switches += 1;
                    return ControlFlow::Continue(());
                }
            }
        }
    }

    /// Writes down what a thread did that ends its process.
    pub(super) fn crash(&mut self, process: &mut Process<M::Mmu>, thread: &Thread, reason: Reason) {
        let mut crash = Crash {
            pid: process.pid,
            name: process.name,
            signal: signal(&reason),
            reason,
            nearest: None,
            registers: thread.registers,
        };
        crash.nearest = crash.address().and_then(|address| process.space.nearest(address).copied());
        let mut out = self.commons.console.writer(&mut self.commons.machine);
        // The console takes everything.
        if process.options.trace != Trace::Off {
            let (signal, address) =
                (crash.signal.name(), crash.address().unwrap_or(crash.registers.rip));
            let code = match (crash.signal, reason) {
                (Signal::Segv, Reason::Access(..)) if process.space.find(address).is_some() => {
                    "SEGV_ACCERR"
                }
                (Signal::Segv, Reason::Access(..)) => "SEGV_MAPERR",
                _ => "SI_KERNEL",
            };
            let what = format_args!(
                "{signal} {{si_signo={signal}, si_code={code}, si_addr={}}}",
                Pointer(address)
            );
            let _ = strace::event(&mut out, thread.tid.0, what);
        }
        if !process.options.quiet {
            let _ = fmt::Write::write_fmt(&mut out, format_args!("{crash}\n"));
        }
        process.ending = Some((Status::Killed(crash.signal), Some(crash)));
    }

    /// Ends a process, whose memory is back: its parent and the kernel get to know.
    fn end(&mut self, process: Box<Process<M::Mmu>>, status: Status, crash: Option<Crash>) {
        let pid = process.pid;
        if process.options.trace != Trace::Off {
            let mut out = self.commons.console.writer(&mut self.commons.machine);
            // The console takes everything.
            let _ = strace::ended(&mut out, pid.0, status);
        }
        if story::is_on() {
            Commons::<M>::tell_ended(pid, status);
        }
        let mut used = process.usage();
        used += process.children;
        self.commons.dismantle(process);
        self.commons.machine.trim_heap();
        if let Some(entry) = self.table.get_mut(pid) {
            entry.payload.used = used;
        }
        if let Some(started) = self.started.iter_mut().find(|started| started.pid == pid) {
            (started.status, started.usage, started.crash) = (Some(status), used, crash);
        }
        self.table.end(pid, status, &mut |forgotten: Entry<_>, _| drop(forgotten));
    }
}
