//! System calls: from a number to what is done.
//!
//! ```text
//!   registers ─► find in CALLS ─► function ─┬─► Ok: the result
//!                     │                     └─► Instead: an error, a wait, an end
//!                     └ not there ─► ENOSYS
//! ```
//!
//! An error is returned as in Linux: its number, negated. A call that waits leaves its registers as they are, and is made again.

mod console;
mod memory;
mod process;
mod views;

use core::ops::ControlFlow;

use super::crash::Reason;
use super::machine::Machine;
use super::process::{Pending, Process, Trace};
use super::signature::{self, Signature};
use super::status::{Signal, Status};
use super::strace::{Outcome, Peek, Traced};
use super::table::Wait;
use super::{Instead, System};
use crate::address_space::Errno;
use crate::memory::{Pages, Reach};

/// A result, or what becomes of the caller instead.
type Answer = Result<u64, Instead>;

/// A system call in progress.
struct Call<'a, M: Machine> {
    system: &'a mut System<M>,
    process: &'a mut Process<M::Reach>,
    arguments: [u64; 6],
}

/// Does what a system call asks for.
type Handler<M> = fn(&mut Call<'_, M>) -> Answer;

/// Why the turn of a process is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Over {
    /// Others are to have one.
    Turn,
    /// It waits.
    Waits(Wait),
    /// It has ended.
    Ends(Status),
    /// It is ended.
    Crashes(Reason),
}

impl<M: Machine> System<M> {
    /// All system calls.
    const CALLS: &'static [(Signature, Handler<M>)] = &[
        (signature::READ, console::read),
        (signature::WRITE, console::write),
        (signature::MMAP, memory::mmap),
        (signature::MPROTECT, memory::mprotect),
        (signature::MUNMAP, memory::munmap),
        (signature::BRK, memory::brk),
        (signature::SCHED_YIELD, process::sched_yield),
        (signature::MREMAP, memory::mremap),
        (signature::GETPID, process::getpid),
        (signature::FORK, process::fork),
        (signature::EXIT, process::exit),
        (signature::WAIT4, process::wait4),
        (signature::GETRUSAGE, process::getrusage),
        (signature::PROC_VIEW, views::proc_view),
        (signature::FRAMES_FREE, views::frames_free),
    ];

    /// Makes the system call that a process stopped for, or one that waited, again.
    pub(super) fn system_call(&mut self, process: &mut Process<M::Reach>) -> ControlFlow<Over> {
        let registers = &process.registers;
        let number = registers.rax;
        let arguments = [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9];
        let found = Self::CALLS.iter().find(|(signature, _)| signature.number == number);
        let answer = match found {
            Some((_, handler)) => handler(&mut Call { system: self, process, arguments }),
            None => Err(Instead::Fails(Errno::ENOSYS)),
        };
        if process.options.trace != Trace::Off {
            let signature = found.map(|(signature, _)| signature);
            self.trace_call(process, &Traced { pid: process.pid.0, signature, number, arguments }, &answer);
        }
        let waited = process.pending.take().is_some();
        match answer {
            Ok(value) => process.registers.rax = value,
            Err(Instead::Fails(errno)) => process.registers.rax = errno.to_result(),
            Err(Instead::Yields) => {
                process.registers.rax = 0;
                process.switches.voluntary_switches += 1;
                return ControlFlow::Break(Over::Turn);
            }
            Err(Instead::Waits(wait)) => {
                process.pending = Some(Pending);
                process.switches.voluntary_switches += u64::from(!waited);
                return ControlFlow::Break(Over::Waits(wait));
            }
            Err(Instead::Ends(status)) => return ControlFlow::Break(Over::Ends(status)),
            Err(Instead::Crashes(reason)) => return ControlFlow::Break(Over::Crashes(reason)),
        }
        ControlFlow::Continue(())
    }

    fn trace_call(&mut self, process: &mut Process<M::Reach>, traced: &Traced<'_>, answer: &Answer) {
        let outcome = match answer {
            Ok(value) => Outcome::Value(*value),
            Err(Instead::Fails(errno)) => Outcome::Error(errno.name(), errno.text()),
            Err(Instead::Yields) => Outcome::Value(0),
            Err(Instead::Waits(_) | Instead::Ends(_) | Instead::Crashes(_)) => Outcome::Never,
        };
        let resumed = process.pending.is_some();
        let mut out = self.commons.console.writer(&mut self.commons.machine);
        let memory = &mut Memory(&mut process.pages);
        // The console takes everything.
        let _ = match answer {
            Err(Instead::Waits(_)) if resumed => Ok(()),
            Err(Instead::Waits(_)) => traced.unfinished(&mut out, memory),
            _ if resumed => traced.resumed(&mut out, memory, outcome),
            _ => traced.done(&mut out, memory, outcome),
        };
    }
}

/// Memory of a process as it is: nothing is mapped to show it.
struct Memory<'a, R: Reach>(&'a mut Pages<R>);

impl<R: Reach> Peek for Memory<'_, R> {
    fn peek(&mut self, address: u64, buffer: &mut [u8]) -> bool {
        self.0.read(address, buffer) == buffer.len()
    }
}

/// The signal that a crash ends the process with.
pub(super) const fn signal(reason: &Reason) -> Signal {
    match reason {
        Reason::Access(..) => Signal::Segv,
        Reason::OutOfFrames(..) => Signal::Kill,
        Reason::Exception { vector, .. } => Signal::for_exception(*vector),
    }
}
