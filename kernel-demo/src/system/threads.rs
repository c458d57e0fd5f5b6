//! The end of threads, and the words that they wait for.

use super::machine::Machine;
use super::process::{Process, Thread, Tracing};
use super::table::{Pid, Wait, Word};
use super::{Interruption, System};
use crate::address_space::Sharing;
use crate::memory::Mmu;
use crate::memory::layout::PAGE_SIZE;
use crate::strace;
use crate::words::Status;

impl<M: Machine> System<M> {
    /// Wakes at most so many threads that wait for a word; their calls return 0. Returns how many.
    pub(super) fn wake(&mut self, word: Word, most: u64) -> u64 {
        self.table.wake_waiters(word, most, &mut |slot| {
            if let Some(thread) = &mut slot.thread {
                thread.pending.get_or_insert_default().result = Some(Ok(0));
            }
        })
    }

    /// Ends a thread that said so. `false` if it is the last one: then its process ends.
    pub(super) fn leave(
        &mut self,
        process: &mut Process<M::Mmu>,
        thread: &Thread,
        status: Status,
    ) -> bool {
        if thread.tid == process.pid {
            process.leader = Some(status);
        }
        if process.threads == 1 {
            process.ending = Some((process.leader.unwrap_or(status), None));
            return false;
        }
        let address = thread.clear_at_end;
        if address != 0 {
            match self.commons.copy_out(process, address, &[0; 4]) {
                Ok(()) => drop(self.wake(word_at(process, address), 1)),
                Err(Interruption::Crashes(reason)) => self.crash(process, thread, reason),
                // As in Linux, where it cannot be written nobody waits.
                Err(_) => {}
            }
        }
        true
    }

    /// Takes note that a thread has ended, whose process has others.
    pub(super) fn forget(&mut self, process: &mut Process<M::Mmu>, tid: Pid, status: Status) {
        process.threads -= 1;
        if tid == process.pid {
            self.table.block(tid, Wait::Threads);
        } else {
            self.remove(process, tid, status);
        }
    }

    /// Takes a thread out of the table that has ended, and does not lead its process.
    pub(super) fn remove(&mut self, process: &Process<M::Mmu>, tid: Pid, status: Status) {
        if process.options.trace != Tracing::Off {
            let _ = strace::ended(&mut self.commons, tid.0, status);
        }
        self.table.remove(tid);
    }
}

/// What an address means to all who may wait there.
pub(super) fn word_at<M: Mmu>(process: &Process<M>, address: u64) -> Word {
    match process.space.find(address).map(|vma| (vma.sharing, vma.start)) {
        Some((Sharing::Shared(object, page), start)) => {
            Word::Shared(object, page * PAGE_SIZE + (address - start))
        }
        _ => Word::Private(process.pid, address),
    }
}
