//! The process table: who is there, whose child it is, and what it waits for.
//!
//! ```text
//!                         ┌──── wake ────┐
//!   spawn, fork, clone ─► Ready ─ block ─► Waiting          Ready takes its turn: round robin over the slots
//!                         │              │
//!                         └───── end ────┴──► Zombie ─ the parent waits ─► gone
//! ```
//!
//! Each thread has an entry. The first thread of a process leads it: its number is the process's,
//! and its entry stays until the process has ended and the parent knows. The entry of another
//! thread goes when the thread ends.
//!
//! Children of a process that ended become the kernel's (process 0), who takes note of each that
//! ends.
//!
//! Pure bookkeeping over a payload, tested on the host. Operations are linear in the processes that
//! there are, and none of them allocates.

mod bits;
mod turns;
mod waits;

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use self::bits::Bits;
pub use self::waits::{Wait, Which, Word};
use crate::words::Status;

/// Maximum number of threads at once; a zombie counts as one.
pub const MAX_PROCESSES: usize = Bits::SLOTS;

/// Number of a thread, and of the process that it leads. They count from 1; a number is not used
/// again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pid(pub u32);

impl Pid {
    /// The kernel, as the parent of what nobody else started.
    pub const KERNEL: Self = Self(0);
}

impl core::fmt::Display for Pid {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a thread is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs when it is its turn.
    Ready,
    /// It runs when this has happened.
    Waiting(Wait),
    /// It has ended, and its parent has not asked yet.
    Zombie(Status),
}

/// A thread.
#[derive(Debug)]
pub struct Entry<P> {
    /// Its number.
    pub pid: Pid,
    /// The process that it is a thread of: the number of the thread that leads it.
    pub leader: Pid,
    /// Slot of that thread.
    pub home: usize,
    /// Who gets to know how the process ends that it leads.
    pub parent: Pid,
    /// The processes that are ended together: the number of the one that began the group.
    pub group: Pid,
    /// How it ends at its next turn, if another process said so.
    pub killed: Option<Status>,
    /// When it began to wait, in calls of [`block`](Table::block).
    since: u64,
    /// What it is up to.
    pub state: State,
    /// What the rest of the system knows of it.
    pub payload: P,
}

/// What there is of the children that a process asks about.
#[derive(Debug)]
pub enum Children<P> {
    /// None.
    None,
    /// Some, and none has ended.
    Running,
    /// This one, which has ended.
    Ended(Entry<P>, Status),
}

/// The process table.
///
/// # Invariants
///
/// At most [`MAX_PROCESSES`] entries, of different numbers below `next`. The parent of each is the
/// kernel or a leader that is no zombie; only leaders become zombies. There is no zombie whose
/// parent is the kernel. `taken` has a bit for each slot with an entry, `ready` one for each that
/// is ready, `readers` one for each that waits for input, `waiters` one for each that waits for a
/// word, `turns` one for each that has its turn.
#[derive(Debug)]
pub struct Table<P> {
    slots: Vec<Option<Entry<P>>>,
    taken: Bits,
    ready: Bits,
    readers: Bits,
    waiters: Bits,
    turns: Bits,
    next: u32,
    last: usize,
    blocked: u64,
}

impl<P> Table<P> {
    /// A table with nobody in it.
    ///
    /// # Errors
    ///
    /// The kernel's heap has no room for it.
    pub fn new() -> Result<Self, TryReserveError> {
        let mut slots = Vec::new();
        slots.try_reserve_exact(MAX_PROCESSES)?;
        slots.resize_with(MAX_PROCESSES, || None);
        let [taken, ready, readers, waiters, turns] = [Bits(0); 5];
        let (next, last, blocked) = (1, MAX_PROCESSES - 1, 0);
        Ok(Self { slots, taken, ready, readers, waiters, turns, next, last, blocked })
    }

    /// The number that the next thread gets; `None` when there is no room for one.
    pub fn vacancy(&self) -> Option<Pid> {
        (self.taken != Bits::ALL).then_some(Pid(self.next))
    }

    /// Enters a process that is ready to run, in its parent's group, and returns its number. A
    /// child of the kernel begins a group.
    ///
    /// # Panics
    ///
    /// When there is no [vacancy](Self::vacancy).
    pub fn insert(&mut self, parent: Pid, payload: P) -> Pid {
        self.enter(Pid(self.next), parent, payload)
    }

    /// Enters another thread of a process, ready to run, and returns its number.
    ///
    /// # Panics
    ///
    /// When there is no [vacancy](Self::vacancy).
    pub fn insert_thread(&mut self, leader: Pid, payload: P) -> Pid {
        self.enter(leader, Pid::KERNEL, payload)
    }

    fn enter(&mut self, leader: Pid, parent: Pid, payload: P) -> Pid {
        let slot = self.taken.first_clear().expect("there is a vacancy");
        let pid = Pid(self.next);
        self.next += 1;
        let group = self.get(parent).map_or(leader, |parent| parent.group);
        let home = self.slot(leader).unwrap_or(slot);
        let (state, killed, since) = (State::Ready, None, 0);
        let entry = Entry { pid, leader, home, parent, group, killed, since, state, payload };
        self.slots[slot] = Some(entry);
        self.taken.set(slot);
        self.ready.set(slot);
        pid
    }

    /// Whether there is nobody. Constant time.
    pub fn is_empty(&self) -> bool {
        self.taken == Bits(0)
    }

    /// All threads, by slot.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<P>> {
        self.taken.filter_map(|slot| self.slots[slot].as_ref())
    }

    /// All processes, each by the thread that leads it.
    pub fn processes(&self) -> impl Iterator<Item = &Entry<P>> {
        self.entries().filter(|entry| entry.leader == entry.pid)
    }

    /// The thread of that number.
    pub fn get(&self, pid: Pid) -> Option<&Entry<P>> {
        self.slot(pid).and_then(|slot| self.slots[slot].as_ref())
    }

    /// The same, to be changed.
    #[inline]
    pub fn get_mut(&mut self, pid: Pid) -> Option<&mut Entry<P>> {
        self.slot(pid).and_then(|slot| self.slots[slot].as_mut())
    }

    /// The thread in a slot. Constant time.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[inline]
    pub fn at(&mut self, slot: usize) -> &mut Entry<P> {
        self.slots[slot].as_mut().expect("a thread with a turn, and its process, have slots")
    }

    /// Slot of the thread of that number. Constant time for the one whose turn it is.
    #[inline]
    fn slot(&self, pid: Pid) -> Option<usize> {
        let has = |slot: &usize| self.slots[*slot].as_ref().is_some_and(|entry| entry.pid == pid);
        if has(&self.last) { Some(self.last) } else { self.taken.into_iter().find(has) }
    }

    /// Takes a thread out that has ended, and leads no process.
    pub fn remove(&mut self, pid: Pid) {
        let Some(slot) = self.slot(pid) else { return };
        self.ready.clear(slot);
        drop(self.take(slot));
    }

    /// Takes out any process.
    pub fn take_any(&mut self) -> Option<Entry<P>> {
        let slot = self.taken.into_iter().next()?;
        self.wake_slot(slot);
        self.ready.clear(slot);
        self.take(slot)
    }

    /// Ends a process. Its children become the kernel's; those of them that ended before are taken
    /// out and handed to `forgotten`, as is the process itself if it is the kernel's child. A
    /// parent that waits for it is woken.
    pub fn end(&mut self, pid: Pid, status: Status, forgotten: &mut impl FnMut(Entry<P>, Status)) {
        let Some(ended) = self.get(pid) else { return };
        let (parent, group) = (ended.parent, ended.group);
        for slot in self.taken {
            let Some(entry) = &mut self.slots[slot] else { continue };
            if entry.pid == pid {
                entry.state = State::Zombie(status);
                self.ready.clear(slot);
            } else if entry.parent == pid {
                entry.parent = Pid::KERNEL;
            } else if entry.leader == parent
                && let State::Waiting(Wait::Child(which)) = entry.state
                && which.includes(pid, group)
            {
                entry.state = State::Ready;
                self.ready.set(slot);
            }
            if let Entry { parent: Pid::KERNEL, state: State::Zombie(status), .. } = *entry {
                self.take(slot).into_iter().for_each(|entry| forgotten(entry, status));
            }
        }
    }

    /// Takes out a child that has ended.
    pub fn reap(&mut self, parent: Pid, which: Which) -> Children<P> {
        let mut found = Children::None;
        for slot in self.taken {
            let is_meant = |entry: &&Entry<P>| {
                entry.parent == parent && which.includes(entry.pid, entry.group)
            };
            match self.slots[slot].as_ref().filter(is_meant).map(|entry| entry.state) {
                Some(State::Zombie(status)) => {
                    return self.take(slot).map_or(found, |entry| Children::Ended(entry, status));
                }
                Some(State::Ready | State::Waiting(_)) => found = Children::Running,
                None => {}
            }
        }
        found
    }

    /// Takes a thread out, which is not ready.
    fn take(&mut self, slot: usize) -> Option<Entry<P>> {
        self.taken.clear(slot);
        self.slots[slot].take()
    }
}

#[cfg(test)]
mod tests;
