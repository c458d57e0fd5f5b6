//! What a story tells of processes: their calls, their page faults, their areas, their turns.

use super::machine::Machine;
use super::process::{Process, Thread};
use super::table::Pid;
use super::{Commons, System};
use crate::address_space::USER_END;
use crate::memory::{Mmu, PageFault, Pages, tell_areas};
use crate::story::{self, Kind, Numbers, Text};
use crate::strace;
use crate::words::Status;

/// Return addresses that are told of a call.
const DEPTH: usize = 16;

impl<M: Mmu + Clone> Process<M> {
    /// The number by which a story names its memory.
    pub(super) fn space_number(&self) -> u64 {
        self.pages.root().start_address().as_u64()
    }

    /// Tells its areas, if they have changed.
    pub(super) fn tell_areas(&mut self) {
        self.told = tell_areas(&self.space, self.space_number(), self.told);
    }

    /// Tells that it was made.
    pub(super) fn tell_made(&self, parent: Pid) {
        if story::is_on() {
            let numbers = [self.pid.0.into(), parent.0.into(), self.space_number()];
            story::record(Kind::Process, &numbers, self.name);
        }
    }

    /// Tells that it has touched a page, which is about to be served.
    #[cold]
    pub(super) fn tell_fault(&mut self, PageFault { address, access, .. }: &PageFault) {
        let numbers = self.with_callers(&[self.pid.0.into(), *address, *access as u64]);
        story::record(Kind::Trapped, numbers.as_slice(), "");
    }

    /// Numbers that begin with these, and the addresses to which it returns: those of the functions
    /// that the thread is in whose turn it is, by frame pointers.
    pub(super) fn with_callers(&mut self, first: &[u64]) -> Numbers {
        let mut numbers = Numbers::new(first);
        let [rip, mut frame] = self.site;
        numbers.push(&[rip]);
        for _ in 0..DEPTH {
            let Some([next, address]) = words(&mut self.pages, frame) else { break };
            if address == 0 || next <= frame {
                break;
            }
            numbers.push(&[address]);
            frame = next;
        }
        numbers
    }
}

/// Words of a process's memory, if they are mapped.
pub(super) fn words<const N: usize>(pages: &mut Pages<impl Mmu>, address: u64) -> Option<[u64; N]> {
    let mut bytes = [[0; 8]; N];
    let flat = bytes.as_flattened_mut();
    (pages.read(address, flat) == flat.len()).then(|| bytes.map(u64::from_le_bytes))
}

impl<M: Machine> System<M> {
    /// Notes where a thread has stopped, and tells whose the events are that follow, if another CPU
    /// has told of another process.
    #[cold]
    pub(super) fn tell_stop(&mut self, process: &mut Process<M::Mmu>, thread: &Thread) {
        process.site = [thread.registers.rip, thread.registers.rbp];
        if self.told != process.pid {
            self.tell_turn(process.pid);
        }
    }

    /// Tells that a process has its turn.
    #[inline(always)]
    pub(super) fn tell_turn(&mut self, pid: Pid) {
        if story::is_on() {
            self.told = pid;
            story::record(Kind::Turn, &[pid.0.into()], "");
        }
    }
}

impl<M: Machine> Commons<M> {
    /// Tells what of a process has changed by what it did; now and then, all there is of it.
    #[cold]
    pub(super) fn tell_process(&mut self, process: &mut Process<M::Mmu>) {
        process.tell_areas();
        if story::snapshot_is_due() {
            self.tell_snapshot(process);
        }
    }

    /// Tells all there is of a process's memory.
    #[cold]
    pub(super) fn tell_snapshot(&mut self, process: &mut Process<M::Mmu>) {
        let pages = &mut process.pages;
        self.machine.with_memory(|memory| pages.tell(&mut memory.payer().0, 0, USER_END));
    }

    /// Tells how a process ended.
    #[cold]
    pub(super) fn tell_ended(pid: Pid, status: Status) {
        let (code, signal) = match status {
            Status::Exited(code) => (code.into(), 0),
            Status::Killed(signal) => (0, signal as u64),
        };
        let mut text = Text::new();
        // The text takes all that there is room for.
        let _ = strace::ended(&mut text, pid.0, status);
        story::record(Kind::Ended, &[pid.0.into(), code, signal], text.as_str());
    }
}
