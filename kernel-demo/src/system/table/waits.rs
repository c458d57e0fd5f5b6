//! What threads wait for, and who wakes them.

use super::{Bits, Entry, Pid, State, Table};
use crate::address_space::ObjectId;
use crate::words::Status;

/// Which of its children a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Whichever ends first.
    Any,
    /// This one.
    Child(Pid),
    /// Whichever of this group of processes ends first.
    Group(Pid),
}

impl Which {
    /// Whether it includes a process of that number, in that group.
    pub(super) fn includes(self, pid: Pid, group: Pid) -> bool {
        match self {
            Self::Any => true,
            Self::Child(child) => child == pid,
            Self::Group(of) => of == group,
        }
    }
}

/// A word of memory that threads wait for: a futex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// At this address in the process of this number.
    Private(Pid, u64),
    /// At this offset in shared memory.
    Shared(ObjectId, u64),
}

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The end of a child.
    Child(Which),
    /// Something to read from the console.
    Input,
    /// The rest of its memory, which its parent is copying.
    Birth,
    /// The signal that ends it.
    Signal,
    /// A wake-up at a word.
    Word(Word),
    /// The end of the other threads: it has ended, and leads the process.
    Threads,
}

impl Wait {
    /// Whether a signal that ends the process leaves the thread waiting: it has ended, or has not
    /// begun.
    const fn outlasts_signals(self) -> bool {
        matches!(self, Self::Threads | Self::Birth)
    }
}

impl<P> Table<P> {
    /// Lets a thread wait. One whose process is to end stays ready: the signal came while the
    /// thread ran, and nothing else would wake it.
    pub fn block(&mut self, pid: Pid, wait: Wait) {
        let Some(slot) = self.slot(pid) else { return };
        let leader = self.slots[slot].as_ref().map(|entry| entry.leader);
        if leader.is_some_and(|leader| self.is_killed(leader)) && !wait.outlasts_signals() {
            return;
        }
        self.blocked += 1;
        if let Some(entry) = &mut self.slots[slot] {
            (entry.state, entry.since) = (State::Waiting(wait), self.blocked);
            self.ready.clear(slot);
            match wait {
                Wait::Input => self.readers.set(slot),
                Wait::Word(_) => self.waiters.set(slot),
                _ => {}
            }
        }
    }

    /// Lets a thread run that waits.
    pub fn wake(&mut self, pid: Pid) {
        if let Some(slot) = self.slot(pid) {
            self.wake_slot(slot);
        }
    }

    /// Lets the thread in a slot run.
    pub fn wake_slot(&mut self, slot: usize) {
        if let Some(entry) = &mut self.slots[slot] {
            entry.state = State::Ready;
            self.ready.set(slot);
            self.readers.clear(slot);
            self.waiters.clear(slot);
        }
    }

    /// Whether any thread waits for input. Constant time.
    pub fn has_readers(&self) -> bool {
        self.readers != Bits(0)
    }

    /// Lets all threads run that wait for input.
    pub fn wake_readers(&mut self) {
        for slot in self.readers {
            self.wake_slot(slot);
        }
    }

    /// Lets at most so many threads run that wait for the word, those first that began first.
    /// `woken` gets what is known of each. Returns their number.
    pub fn wake_waiters(&mut self, word: Word, most: u64, woken: &mut impl FnMut(&mut P)) -> u64 {
        let mut count = 0;
        while count < most
            && let Some((_, slot)) = self.waiters_of(word).min()
        {
            self.wake_slot(slot);
            self.slots[slot].iter_mut().for_each(|entry| woken(&mut entry.payload));
            count += 1;
        }
        count
    }

    /// When threads began to wait for the word, and their slots.
    fn waiters_of(&self, word: Word) -> impl Iterator<Item = (u64, usize)> {
        self.waiters.into_iter().filter_map(move |slot| {
            let entry = self.slots[slot].as_ref()?;
            (entry.state == State::Waiting(Wait::Word(word))).then_some((entry.since, slot))
        })
    }

    /// Slot of a thread that waits for a word. If none is ready, nor waits for input, none will
    /// wake it.
    pub fn any_waiter(&self) -> Option<usize> {
        self.waiters.into_iter().next()
    }

    /// Lets all threads of a process run that have not ended, whatever they wait for; but none that
    /// has not begun, whose memory is being copied.
    pub fn wake_threads(&mut self, leader: Pid) {
        for slot in self.taken {
            let waits = |entry: &Entry<P>| {
                entry.leader == leader
                    && matches!(entry.state, State::Waiting(wait) if !wait.outlasts_signals())
            };
            if self.slots[slot].as_ref().is_some_and(waits) {
                self.wake_slot(slot);
            }
        }
    }

    /// Whether a process is to end, as another one said.
    pub fn is_killed(&self, pid: Pid) -> bool {
        self.get(pid).is_some_and(|entry| entry.killed.is_some())
    }

    /// Has a process end: each of its threads at its next turn, which comes though it waits.
    pub fn kill(&mut self, pid: Pid, status: Status) {
        let Some(entry) = self.get_mut(pid) else { return };
        entry.killed.get_or_insert(status);
        self.wake_threads(pid);
    }
}
