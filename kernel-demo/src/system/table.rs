//! The process table: who is there, whose child it is, and what it waits for.
//!
//! ```text
//!                  ┌──── wake ────┐
//!   spawn, fork ─► Ready ─ block ─► Waiting          Ready takes its turn: round robin over the slots
//!                  │              │
//!                  └───── end ────┴──► Zombie ─ the parent waits ─► gone
//! ```
//!
//! Children of a process that ended become the kernel's (process 0), who takes note of each that ends.
//!
//! Pure bookkeeping over a payload, tested on the host. Operations are linear in [`MAX_PROCESSES`], and none of them allocates.

use alloc::collections::TryReserveError;
use alloc::vec::Vec;

use super::status::Status;

/// Processes there can be at once, zombies included.
pub const MAX_PROCESSES: usize = 64;

/// Number of a process. They count from 1; a number is not used again.
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

/// Which of its children a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Whichever ends first.
    Any,
    /// This one.
    Child(Pid),
}

impl Which {
    fn includes(self, pid: Pid) -> bool {
        self == Self::Any || self == Self::Child(pid)
    }
}

/// What a process waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The end of a child.
    Child(Which),
    /// Something to read from the console.
    Input,
}

/// What a process is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs when it is its turn.
    Ready,
    /// It runs when this has happened.
    Waiting(Wait),
    /// It has ended, and its parent has not asked yet.
    Zombie(Status),
}

/// A process.
#[derive(Debug)]
pub struct Entry<P> {
    /// Its number.
    pub pid: Pid,
    /// Who gets to know how it ends.
    pub parent: Pid,
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
/// At most [`MAX_PROCESSES`] entries, of different numbers below `next`. The parent of each is the kernel or an entry that is no
/// zombie. There is no zombie whose parent is the kernel.
#[derive(Debug)]
pub struct Table<P> {
    slots: Vec<Option<Entry<P>>>,
    next: u32,
    last: usize,
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
        Ok(Self { slots, next: 1, last: MAX_PROCESSES - 1 })
    }

    /// The number that the next process gets; `None` when there is no room for one.
    pub fn vacancy(&self) -> Option<Pid> {
        self.slots.iter().any(Option::is_none).then_some(Pid(self.next))
    }

    /// Enters a process that is ready to run, and returns its number.
    ///
    /// # Panics
    ///
    /// When there is no [vacancy](Self::vacancy).
    pub fn insert(&mut self, parent: Pid, payload: P) -> Pid {
        let slot = self.slots.iter_mut().find(|slot| slot.is_none()).expect("there is a vacancy");
        let pid = Pid(self.next);
        self.next += 1;
        *slot = Some(Entry { pid, parent, state: State::Ready, payload });
        pid
    }

    /// All processes, by slot.
    pub fn entries(&self) -> impl Iterator<Item = &Entry<P>> {
        self.slots.iter().flatten()
    }

    /// The process of that number.
    pub fn get(&self, pid: Pid) -> Option<&Entry<P>> {
        self.entries().find(|entry| entry.pid == pid)
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, pid: Pid) -> Option<&mut Entry<P>> {
        self.slots.iter_mut().flatten().find(|entry| entry.pid == pid)
    }

    /// Whose turn it is: the next ready one after the last, in the order of the slots. So between two turns of a process each
    /// other one that is ready has one.
    pub fn next_turn(&mut self) -> Option<Pid> {
        let count = self.slots.len();
        let after = |step: usize| (self.last + 1 + step) % count;
        let ready = |slot: &usize| self.slots[*slot].as_ref().is_some_and(|entry| entry.state == State::Ready);
        let slot = (0..count).map(after).find(ready)?;
        self.last = slot;
        self.slots[slot].as_ref().map(|entry| entry.pid)
    }

    /// Lets a process wait.
    pub fn block(&mut self, pid: Pid, wait: Wait) {
        if let Some(entry) = self.get_mut(pid) {
            entry.state = State::Waiting(wait);
        }
    }

    /// Lets everybody run who waits for input. Whether there is anybody.
    pub fn wake_readers(&mut self) -> bool {
        let mut woken = false;
        for entry in self.slots.iter_mut().flatten() {
            if entry.state == State::Waiting(Wait::Input) {
                entry.state = State::Ready;
                woken = true;
            }
        }
        woken
    }

    /// Ends a process. Its children become the kernel's; those of them that ended before are taken out and handed to
    /// `forgotten`, as is the process itself if it is the kernel's child. A parent that waits for it is woken.
    pub fn end(&mut self, pid: Pid, status: Status, forgotten: &mut impl FnMut(Entry<P>, Status)) {
        let Some(parent) = self.get(pid).map(|entry| entry.parent) else { return };
        for slot in &mut self.slots {
            let Some(entry) = slot else { continue };
            if entry.pid == pid {
                entry.state = State::Zombie(status);
            } else if entry.parent == pid {
                entry.parent = Pid::KERNEL;
            } else if entry.pid == parent && matches!(entry.state, State::Waiting(Wait::Child(which)) if which.includes(pid)) {
                entry.state = State::Ready;
            }
            if let Entry { parent: Pid::KERNEL, state: State::Zombie(status), .. } = *entry {
                slot.take().into_iter().for_each(|entry| forgotten(entry, status));
            }
        }
    }

    /// Takes out a child that has ended.
    pub fn reap(&mut self, parent: Pid, which: Which) -> Children<P> {
        let mut found = Children::None;
        for slot in &mut self.slots {
            let is_meant = |entry: &Entry<P>| entry.parent == parent && which.includes(entry.pid);
            match slot.as_ref().filter(|entry| is_meant(entry)).map(|entry| entry.state) {
                Some(State::Zombie(status)) => return slot.take().map_or(found, |entry| Children::Ended(entry, status)),
                Some(State::Ready | State::Waiting(_)) => found = Children::Running,
                None => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests;
