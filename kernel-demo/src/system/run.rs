//! The scheduler: turns, one process after the other, until all have ended.
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
use super::process::{Process, Trace};
use super::status::{Signal, Status};
use super::strace::Pointer;
use super::table::{Entry, Pid};
use super::{Commons, Interruption, System, strace};
use crate::memory::Stop;
use crate::story::{self, Kind};

impl<M: Machine> System<M> {
    /// Runs all processes until the last has ended.
    ///
    /// There is no deadlock: who waits for a child, waits for one that is ready, or waits itself,
    /// and at the end of such a chain somebody is ready or waits for a key, which may be
    /// pressed at any time. Where there is no terminal, the end of all is also that nobody is left
    /// but processes that wait for a signal.
    pub fn run(&mut self) {
        while self.step() {}
    }

    /// Gives one turn to the process whose turn it is. `false` when all have ended.
    pub fn step(&mut self) -> bool {
        let is_watched = self.commons.console.terminal().is_some() && !self.table.is_empty();
        if is_watched {
            self.attend_to_keys();
        }
        if self.table.has_readers() && self.commons.console.next().is_some() {
            self.table.wake_readers();
        }
        match self.table.next_turn() {
            Some(pid) => self.turn(pid),
            // A key may wake a process, or end it.
            None if is_watched => self.commons.machine.let_interrupts_in(),
            None => return false,
        }
        true
    }

    /// One turn of a process, which is ready.
    fn turn(&mut self, pid: Pid) {
        let Some(mut process) =
            self.table.get_mut(pid).and_then(|entry| entry.payload.process.take())
        else {
            return;
        };
        if !process.is_in_call() && process.ending.is_none() {
            let killed = self.table.get(pid).and_then(|entry| entry.killed);
            process.ending = killed.map(|status| (status, None));
        }
        story::tell(Kind::Turn, [pid.0.into()]);
        let over = match process.ending {
            None => self.go_on(&mut process),
            Some(_) => ControlFlow::Continue(()),
        };
        let mut wait = None;
        match over {
            ControlFlow::Break(Interruption::Waits(what)) => wait = Some(what),
            ControlFlow::Break(Interruption::Ends(status)) => process.ending = Some((status, None)),
            ControlFlow::Break(Interruption::Crashes(reason)) => {
                let crash = self.crash(&process, reason);
                process.ending = Some((Status::Killed(crash.signal), Some(crash)));
            }
            // Others are to have a turn.
            ControlFlow::Continue(()) | ControlFlow::Break(_) => {}
        }
        if let Some((status, crash)) = process.ending {
            if story::is_on() {
                self.commons.tell_snapshot(&mut process);
            }
            if self.commons.give_up(&mut process) {
                return self.end(process, status, crash);
            }
            self.commons.machine.let_interrupts_in();
        }
        if let Some(entry) = self.table.get_mut(pid) {
            entry.payload.process = Some(process);
        }
        if let Some(wait) = wait {
            self.table.block(pid, wait);
        }
    }

    /// Lets a process run and answers what it stops for.
    fn go_on(&mut self, process: &mut Process<M::Mmu>) -> ControlFlow<Interruption> {
        if process.pending.is_some() {
            self.system_call(process)?;
        }
        loop {
            match self.commons.machine.run(&mut process.pages, &mut process.registers) {
                Stop::SystemCall => self.system_call(process)?,
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

    /// Writes down what a process did that ends it.
    fn crash(&mut self, process: &Process<M::Mmu>, reason: Reason) -> Crash {
        let mut crash = Crash {
            pid: process.pid,
            name: process.name,
            signal: signal(&reason),
            reason,
            nearest: None,
            registers: process.registers,
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
            let _ = strace::event(&mut out, process.pid.0, what);
        }
        if !process.options.quiet {
            let _ = fmt::Write::write_fmt(&mut out, format_args!("{crash}\n"));
        }
        crash
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
