//! Whose turn it is: round robin over the slots.

use super::{Bits, Table};

impl<P> Table<P> {
    /// Slot of the thread whose turn it is: the next ready one after the last that has no turn yet,
    /// in the order of the slots. So between two turns of a thread each other one that is ready has
    /// one. Constant time.
    pub fn next_turn(&mut self) -> Option<usize> {
        self.last = self.ready.without(self.turns).first_after(self.last)?;
        Some(self.last)
    }

    /// Notes that the thread in a slot has its turn.
    pub const fn begin_turn(&mut self, slot: usize) {
        self.turns.set(slot);
    }

    /// Notes that its turn is over.
    pub const fn end_turn(&mut self, slot: usize) {
        self.turns.clear(slot);
    }

    /// Whether any thread has its turn. Constant time.
    pub fn any_has_turn(&self) -> bool {
        self.turns != Bits(0)
    }

    /// Whether any thread is ready that has no turn. Constant time.
    pub fn is_ready(&self) -> bool {
        self.ready.without(self.turns) != Bits(0)
    }
}
