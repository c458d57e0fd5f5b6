//! The story: what happens to memory, as records on the second serial port, each one and in order.
//!
//! ```text
//!   system    calls, faults, turns, areas     memory    entries, tables, frames, breaks     tour    text, cells
//!      └──────────────────────────────────────────┴──────────────────────────────────────────┘
//!                                   trace: a ring of the latest events
//!                                            record
//!                                              │ sequence number
//!                                             port
//! ```
//!
//! `make story` boots a kernel that tells one, and makes a page of it that can be scrubbed. The
//! format is that of the crate `story-record`; `docs/STORY.md` says what each record means. Rules
//! of this room:
//!
//! 1. A kernel that tells no story tests one flag ([`is_on`]), and does nothing else.
//! 2. A record is sent whole, under a lock that is taken last: after the memory manager's. Nothing
//!    here allocates, and nothing is read that is not mapped.
//! 3. What a record tells has happened. The state after any record can be computed from those
//!    before it; snapshots, which are records too, are there to compare with.

#[cfg(not(test))]
mod port;
pub mod trace;

use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use brkalloc::{CellInfo, CellState};

pub use story_record::{Kind, cell};

pub use crate::words::Text;

/// Number of the call by which a program tells of its heap. Without a story it is no call's.
pub const CALL: u64 = 1100;

/// Version of the meaning of records.
pub const VERSION: u64 = 1;

/// Maximum number of things that happen between two snapshots of what they happen to.
const LONGEST_PERIOD: u32 = 256;

/// How many things happen before the period doubles for the first time.
const DENSE: u32 = 128;

static ON: AtomicBool = AtomicBool::new(false);

/// Things that have happened.
static THINGS: AtomicU32 = AtomicU32::new(0);

/// Returns whether a story is told.
#[inline(always)]
pub fn is_on() -> bool {
    ON.load(Ordering::Relaxed)
}

/// Begins to tell, if the machine has a second serial port. Returns whether it has.
#[cfg(not(test))]
pub fn begin() -> bool {
    let has_port = port::init();
    ON.store(has_port, Ordering::Relaxed);
    has_port
}

/// Returns whether a snapshot is due. Called once for each thing that happens: in a short story
/// each has one.
pub fn snapshot_is_due() -> bool {
    let number = THINGS.fetch_add(1, Ordering::Relaxed);
    number.is_multiple_of(period(number))
}

/// The number of things from one snapshot to the next, where so many have happened.
const fn period(things: u32) -> u32 {
    match things / DENSE {
        0 => 1,
        times if times < LONGEST_PERIOD / 2 => 2 << times.ilog2(),
        _ => LONGEST_PERIOD,
    }
}

/// Tells something, if a story is told.
#[inline(always)]
pub fn tell<const N: usize>(kind: Kind, numbers: [u64; N]) {
    if is_on() {
        record(kind, &numbers, "");
    }
}

/// Sends a record.
#[cold]
pub fn record(kind: Kind, numbers: &[u64], text: &str) {
    #[cfg(not(test))]
    port::send(kind, numbers, text);
    #[cfg(test)]
    let _ = (kind, numbers, text);
}

/// Numbers that are collected for a record.
#[derive(Debug)]
pub struct Numbers {
    numbers: [u64; Self::CAPACITY],
    len: usize,
}

impl Numbers {
    /// Maximum number of numbers.
    const CAPACITY: usize = 128;

    /// Begins with these.
    pub fn new(first: &[u64]) -> Self {
        let mut numbers = Self { numbers: [0; Self::CAPACITY], len: 0 };
        numbers.push(first);
        numbers
    }

    /// Returns whether there is room for `more`.
    pub const fn has_room(&self, more: usize) -> bool {
        self.len + more <= Self::CAPACITY
    }

    /// Adds numbers, as far as there is room.
    pub fn push(&mut self, numbers: &[u64]) {
        for &number in numbers.iter().take(Self::CAPACITY - self.len) {
            self.numbers[self.len] = number;
            self.len += 1;
        }
    }

    /// Returns all of them.
    pub fn as_slice(&self) -> &[u64] {
        &self.numbers[..self.len]
    }
}

/// Cells of a heap, from low to high, that are told in place of those that were told before.
#[derive(Debug)]
pub struct Cells {
    numbers: Numbers,
    process: u64,
    heap: u64,
    next: u64,
}

impl Cells {
    /// Number of cells that go: all.
    const ALL: u64 = u32::MAX as u64;

    /// Begins with the heap of this number in the process; 0 is the kernel.
    pub fn new(process: u64, heap: u64) -> Self {
        let numbers = Numbers::new(&[process, heap, 0, Self::ALL]);
        Self { numbers, process, heap, next: 0 }
    }

    /// Adds a cell.
    pub fn push(&mut self, found: &CellInfo) {
        if !self.numbers.has_room(3) {
            record(Kind::Cells, self.numbers.as_slice(), "");
            self.numbers = Numbers::new(&[self.process, self.heap, self.next, 0]);
        }
        let state = match found.state {
            CellState::Used => cell::USED,
            CellState::Free => cell::FREE,
            CellState::Top => cell::TOP,
            CellState::Slab { block_size, live, total } => cell::slab(block_size, live, total),
            CellState::Internal => cell::INTERNAL,
            _ => cell::HOLE,
        };
        self.numbers.push(&[found.address as u64, found.size as u64, state]);
        self.next += 1;
    }

    /// Tells the rest.
    pub fn finish(self) {
        record(Kind::Cells, self.numbers.as_slice(), "");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_story_has_a_snapshot_of_each_thing_and_a_long_one_few() {
        let snapshots = |things| (0..things).filter(|n| n % period(*n) == 0).count();
        assert_eq!(snapshots(DENSE), 128);
        assert_eq!([128, 255, 256, 511, 512].map(period), [2, 2, 4, 4, 8]);
        assert_eq!([1 << 14, 1 << 20].map(period), [256; 2]);
        assert!(snapshots(20_000) < 1000, "{}", snapshots(20_000));
    }

    #[test]
    fn numbers_that_do_not_fit_are_left_out() {
        let mut numbers = Numbers::new(&[7; Numbers::CAPACITY - 1]);
        assert!(numbers.has_room(1) && !numbers.has_room(2));
        numbers.push(&[8, 9]);
        assert_eq!(numbers.as_slice().last(), Some(&8));
    }
}
