//! System calls: from a number to what is done.
//!
//! ```text
//!   registers ─► find in CALLS ─► function ─┬─► Ok: the result
//!                     │                     └─► Interruption: an error, a wait, an end
//!                     └ not there ─► ENOSYS
//! ```
//!
//! An error is returned as in Linux: its number, negated. A call that waits leaves its registers as
//! they are, and is made again; so does one that has done a slice of its work.

mod console;
mod heaps;
mod jobs;
mod memory;
mod process;
mod threads;
mod told;
mod views;

use core::ops::ControlFlow;

pub(super) use self::threads::word_at;
use super::crash::Reason;
use super::machine::Machine;
use super::process::{Pending, Process, Thread, Trace};
use super::signature::{self, Signature};
use super::status::Signal;
use super::strace::{Outcome, Traced};
use super::{Interruption, System};
use crate::address_space::{Cause, Errno};
use crate::memory::{Mmu, Pages, Registers};
use crate::story;

/// A result, or what becomes of the caller instead.
type Answer = Result<u64, Interruption>;

/// A system call in progress.
struct Call<'a, M: Machine> {
    system: &'a mut System<M>,
    process: &'a mut Process<M::Mmu>,
    thread: &'a mut Thread,
}

impl<M: Machine> Call<'_, M> {
    /// What the caller has in the registers for arguments.
    const fn arguments(&self) -> [u64; 6] {
        arguments(&self.thread.registers)
    }
}

/// What is in the registers for arguments.
const fn arguments(registers: &Registers) -> [u64; 6] {
    let Registers { rdi, rsi, rdx, r10, r8, r9, .. } = *registers;
    [rdi, rsi, rdx, r10, r8, r9]
}

/// Numbers of calls are below this.
const NUMBERS: usize = 1024;

/// Does what a system call asks for.
type Handler<M> = fn(&mut Call<'_, M>) -> Answer;

/// The answer to a number that is no call's.
fn no_call<M: Machine>(_: &mut Call<'_, M>) -> Answer {
    Err(Errno::ENOSYS.into())
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
        (signature::IOCTL, jobs::ioctl),
        (signature::SCHED_YIELD, process::sched_yield),
        (signature::PAUSE, jobs::pause),
        (signature::GETPID, process::getpid),
        (signature::CLONE, threads::clone),
        (signature::FORK, process::fork),
        (signature::EXECVE, process::execve),
        (signature::EXIT, threads::exit),
        (signature::WAIT4, process::wait4),
        (signature::KILL, jobs::kill),
        (signature::GETRUSAGE, process::getrusage),
        (signature::SETPGID, jobs::setpgid),
        (signature::ARCH_PRCTL, threads::arch_prctl),
        (signature::GETTID, threads::gettid),
        (signature::FUTEX, threads::futex),
        (signature::SET_TID_ADDRESS, threads::set_tid_address),
        (signature::EXIT_GROUP, process::exit_group),
        (signature::PROC_VIEW, views::proc_view),
        (signature::FRAMES_FREE, views::frames_free),
        (signature::PROC_TRACE, views::proc_trace),
        (signature::PROCESS_VM_READV, heaps::process_vm_readv),
        (signature::HEAP_REGISTER, heaps::heap_register),
        (signature::HEAP_LAYOUT, heaps::heap_layout),
        (signature::SCREEN, console::screen),
    ];

    /// The call of each number: finding one takes as long for each.
    const HANDLERS: &'static [Handler<M>; NUMBERS] = &{
        let mut handlers: [Handler<M>; NUMBERS] = [no_call; NUMBERS];
        let mut place = 0;
        while place < Self::CALLS.len() {
            let (signature, handler) = Self::CALLS[place];
            handlers[signature.number as usize] = handler;
            place += 1;
        }
        handlers
    };

    /// Makes the system call that a process stopped for, or one that is pending, again.
    pub(super) fn system_call(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
    ) -> ControlFlow<Interruption> {
        if story::is_on() {
            self.told_call(process, thread)
        } else {
            self.make_call(process, thread)
        }
    }

    fn make_call(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
    ) -> ControlFlow<Interruption> {
        let number = thread.registers.rax;
        let answer = match thread.pending.as_mut().and_then(|pending| pending.result.take()) {
            Some(result) => result.map_err(Interruption::Fails),
            None => self.answer(process, thread, number),
        };
        match answer {
            Ok(value)
                if thread.pending.is_none()
                    && process.options.trace == Trace::Off
                    && !self.commons.objects.has_unused() =>
            {
                thread.registers.rax = value;
                ControlFlow::Continue(())
            }
            answer => self.settle(process, thread, number, answer),
        }
    }

    /// Does what a call leads to that does not simply return a value.
    #[inline(never)]
    fn settle(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
        number: u64,
        answer: Answer,
    ) -> ControlFlow<Interruption> {
        // What is shared and mapped no more goes before the caller sees the result.
        let result = match answer {
            Ok(value) => Some(Ok(value)),
            Err(Interruption::Fails(errno)) => Some(Err(errno)),
            Err(_) => None,
        };
        if result.is_some() && !self.commons.collect() {
            thread.pending.get_or_insert_default().result = result;
            return self.restart(process, thread);
        }
        if matches!(answer, Err(Interruption::Restarts)) {
            thread.pending.get_or_insert_default().waits = false;
            return self.restart(process, thread);
        }
        if process.options.trace != Trace::Off {
            self.trace_call(process, thread, number, &answer);
        }
        process.busy = None;
        let pending = thread.pending.take();
        match answer {
            Ok(value) => thread.registers.rax = value,
            Err(Interruption::Fails(errno)) => thread.registers.rax = errno.to_result(),
            Err(Interruption::Yields | Interruption::Restarts) => {
                thread.registers.rax = 0;
                process.switches.voluntary_switches += 1;
                return ControlFlow::Break(Interruption::Yields);
            }
            Err(Interruption::Waits(wait)) => {
                thread.pending = Some(Pending { waits: true, ..Pending::default() });
                process.switches.voluntary_switches += 1;
                return ControlFlow::Break(Interruption::Waits(wait));
            }
            Err(Interruption::Begins) => {
                thread.registers =
                    pending.and_then(|pending| pending.begins).unwrap_or(thread.registers);
            }
            Err(end) => return ControlFlow::Break(end),
        }
        ControlFlow::Continue(())
    }

    /// Does what a call asks for.
    fn answer(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
        number: u64,
    ) -> Answer {
        let call = &mut Call { system: self, process, thread };
        match Self::HANDLERS.get(number as usize) {
            Some(handler) => handler(call),
            None => no_call(call),
        }
    }

    /// Ends the turn of a thread whose call has done a slice of its work.
    fn restart(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &Thread,
    ) -> ControlFlow<Interruption> {
        process.busy = Some(thread.tid);
        self.commons.machine.let_interrupts_in();
        ControlFlow::Break(Interruption::Yields)
    }

    fn signature(number: u64) -> Option<&'static Signature> {
        Self::CALLS
            .iter()
            .map(|(signature, _)| signature)
            .find(|signature| signature.number == number)
    }

    /// Writes down a call; its arguments are still where the caller put them.
    #[cold]
    fn trace_call(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &Thread,
        number: u64,
        answer: &Answer,
    ) {
        let signature = Self::signature(number);
        let traced = Traced {
            pid: thread.tid.0,
            signature,
            number,
            arguments: arguments(&thread.registers),
            program: process.name,
        };
        let outcome = match answer {
            Ok(value) => Outcome::Value(*value),
            Err(Interruption::Fails(errno)) => Outcome::Error(errno.name(), errno.text()),
            Err(Interruption::Yields | Interruption::Begins) => Outcome::Value(0),
            Err(Interruption::Waits(_)) => return,
            Err(_) => Outcome::Never,
        };
        let mut out = self.commons.console.writer(&mut self.commons.machine);
        // The console takes everything.
        let _ = traced.done(&mut out, &mut peek(&mut process.pages), outcome);
    }
}

/// Reads memory of a process as it is: nothing is mapped to show it.
fn peek(pages: &mut Pages<impl Mmu>) -> impl FnMut(u64, &mut [u8]) -> bool {
    |address, buffer| pages.read(address, buffer) == buffer.len()
}

/// The signal that a crash ends the process with.
pub(super) const fn signal(reason: &Reason) -> Signal {
    match reason {
        Reason::Access(_, Cause::OutOfFrames(_)) | Reason::Deadlock => Signal::Kill,
        Reason::Access(..) => Signal::Segv,
        Reason::Exception { vector, .. } => Signal::for_exception(*vector),
    }
}
