//! System calls: from a number to what is done.
//!
//! ```text
//!   registers ─► find in the list ─► function ─┬─► Ok: the result
//!                     │                     └─► Interruption: an error, a wait, an end
//!                     └ not there ─► ENOSYS
//! ```
//!
//! An error is returned as in Linux: its number, negated. A call that waits leaves its registers as
//! they are, and is made again; so does one that has done a slice of its work.

mod console;
mod heaps;
mod jobs;
mod list;
mod memory;
mod process;
mod threads;
mod told;
mod views;

use core::ops::ControlFlow;

use super::machine::Machine;
use super::process::{Pending, Process, Thread, Tracing};
use super::table::Pid;
use super::{Interruption, System};
use crate::memory::{Mmu, Pages, Registers};
use crate::story;
use crate::strace::{Outcome, Traced};
use crate::words::Errno;

/// A result, or what becomes of the caller instead.
type Answer = Result<u64, Interruption>;

/// A system call in progress.
struct Call<'a, M: Machine> {
    system: &'a mut System<M>,
    process: &'a mut Process<M::Mmu>,
    thread: &'a mut Thread,
}

impl<M: Machine> System<M> {
    /// Makes the system call that a thread stopped for, or one that is pending, again.
    pub(super) fn system_call(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &mut Thread,
    ) -> ControlFlow<Interruption> {
        let mut call = Call { system: self, process, thread };
        if story::is_on() { call.make_and_tell() } else { call.make() }
    }
}

impl<M: Machine> Call<'_, M> {
    /// What the caller has in the registers for arguments.
    const fn arguments(&self) -> [u64; 6] {
        let Registers { rdi, rsi, rdx, r10, r8, r9, .. } = self.thread.registers;
        [rdi, rsi, rdx, r10, r8, r9]
    }

    fn make(&mut self) -> ControlFlow<Interruption> {
        let number = self.thread.registers.rax;
        let answer = match self.thread.pending.as_mut().and_then(|pending| pending.result.take()) {
            Some(result) => result.map_err(Interruption::Fails),
            None => match System::<M>::find_call(number) {
                Some((_, handler)) => handler(self),
                None => Err(Errno::ENOSYS.into()),
            },
        };
        match answer {
            Ok(value)
                if self.thread.pending.is_none()
                    && self.process.options.trace == Tracing::Off
                    && !self.system.commons.objects.has_unused() =>
            {
                self.thread.registers.rax = value;
                ControlFlow::Continue(())
            }
            answer => self.settle(number, answer),
        }
    }

    /// Does what a call leads to that does not simply return a value.
    #[inline(never)]
    fn settle(&mut self, number: u64, answer: Answer) -> ControlFlow<Interruption> {
        let result = match answer {
            Ok(value) => Some(Ok(value)),
            Err(Interruption::Fails(errno)) => Some(Err(errno)),
            Err(_) => None,
        };
        // What is shared and mapped no more goes before the caller sees the result.
        if result.is_some() && !self.system.commons.collect() {
            self.thread.pending.get_or_insert_default().result = result;
            return self.restart();
        }
        if matches!(answer, Err(Interruption::Restarts)) {
            self.thread.pending.get_or_insert_default().waits = false;
            return self.restart();
        }
        if self.process.options.trace != Tracing::Off {
            self.trace(number, &answer);
        }
        self.process.busy = None;
        let Thread { registers, pending, .. } = &mut *self.thread;
        if let (Ok(_), Some(Pending { begins: Some(begins), .. })) = (&answer, &*pending) {
            *registers = *begins;
        }
        *pending = None;
        match answer {
            Ok(value) => registers.rax = value,
            Err(Interruption::Fails(errno)) => registers.rax = errno.to_result(),
            Err(Interruption::Yields | Interruption::Restarts) => {
                registers.rax = 0;
                self.process.switches.voluntary_switches += 1;
                return ControlFlow::Break(Interruption::Yields);
            }
            Err(Interruption::Waits(wait)) => {
                *pending = Some(Pending { waits: true, ..Pending::default() });
                self.process.switches.voluntary_switches += 1;
                return ControlFlow::Break(Interruption::Waits(wait));
            }
            Err(end) => return ControlFlow::Break(end),
        }
        ControlFlow::Continue(())
    }

    /// Ends the turn of a thread whose call has done a slice of its work.
    fn restart(&mut self) -> ControlFlow<Interruption> {
        self.process.busy = self.thread.is_in_call().then_some(self.thread.tid);
        self.system.commons.machine.let_interrupts_in();
        ControlFlow::Break(Interruption::Yields)
    }

    /// The call as strace shows it; its arguments are still where the caller put them.
    fn traced(&self, pid: Pid, number: u64) -> Traced {
        let signature = System::<M>::find_call(number).map(|(signature, _)| signature);
        let (pid, arguments, program) = (pid.0, self.arguments(), self.process.name);
        Traced { pid, signature, number, arguments, program }
    }

    /// Writes the call down.
    #[cold]
    fn trace(&mut self, number: u64, answer: &Answer) {
        let outcome = match answer {
            Ok(value) => Outcome::Value(*value),
            Err(Interruption::Fails(errno)) => Outcome::Error(*errno),
            Err(Interruption::Yields) => Outcome::Value(0),
            Err(Interruption::Waits(_)) => return,
            Err(_) => Outcome::Never,
        };
        let traced = self.traced(self.thread.tid, number);
        let _ = traced.done(&mut self.system.commons, &mut peek(&mut self.process.pages), outcome);
    }
}

/// Reads the memory of a process as it is: nothing is mapped to show it.
fn peek<M: Mmu>(pages: &mut Pages<M>) -> impl FnMut(u64, &mut [u8]) -> bool {
    |address, buffer| pages.read(address, buffer) == buffer.len()
}
