//! The end of a process: what it did that ends it, and who gets to know.

use alloc::boxed::Box;
use core::fmt::Write;

use super::crash::{Crash, Reason};
use super::machine::Machine;
use super::process::{Process, Thread, Tracing};
use super::table::Entry;
use super::{Commons, System};
use crate::story;
use crate::strace::{self, Pointer};
use crate::words::{Signal, Status};

impl<M: Machine> System<M> {
    /// Writes down what a thread did that ends its process.
    pub(super) fn crash(&mut self, process: &mut Process<M::Mmu>, thread: &Thread, reason: Reason) {
        let mut crash = Crash {
            pid: process.pid,
            name: process.name,
            signal: reason.signal(),
            reason,
            nearest: None,
            registers: thread.registers,
        };
        crash.nearest = crash.address().and_then(|address| process.space.nearest(address).copied());
        if process.options.trace != Tracing::Off {
            let (signal, address) = (crash.signal, crash.address().unwrap_or(crash.registers.rip));
            let code = match (crash.signal, reason) {
                (Signal::SIGSEGV, Reason::Access(..)) if process.space.find(address).is_some() => {
                    "SEGV_ACCERR"
                }
                (Signal::SIGSEGV, Reason::Access(..)) => "SEGV_MAPERR",
                _ => "SI_KERNEL",
            };
            let what = format_args!(
                "{signal} {{si_signo={signal}, si_code={code}, si_addr={}}}",
                Pointer(address)
            );
            let _ = strace::event(&mut self.commons, thread.tid.0, what);
        }
        if !process.options.quiet {
            let _ = writeln!(self.commons, "{crash}");
        }
        process.ending = Some((Status::Killed(crash.signal), Some(crash)));
    }

    /// Ends a process, whose memory is back: its parent and the kernel get to know.
    pub(super) fn end(&mut self, process: Box<Process<M::Mmu>>) {
        let Process { pid, ending: Some((status, crash)), .. } = *process else { return };
        if process.options.trace != Tracing::Off {
            let _ = strace::ended(&mut self.commons, pid.0, status);
        }
        if story::is_on() {
            Commons::<M>::tell_ended(pid, status);
        }
        let mut used = process.usage();
        used += process.children;
        self.commons.dismantle(process);
        if let Some(entry) = self.table.get_mut(pid) {
            entry.payload.used = used;
        }
        if let Some(started) = self.started.iter_mut().find(|started| started.pid == pid) {
            (started.status, started.usage, started.crash) = (Some(status), used, crash);
        }
        self.table.end(pid, status, &mut |forgotten: Entry<_>, _| drop(forgotten));
    }
}
