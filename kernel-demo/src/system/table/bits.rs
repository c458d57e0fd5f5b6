//! Slots of the process table, a bit each.

/// A set of slots. Iterates from the lowest on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits(pub(super) u64);

impl Bits {
    /// Number of slots.
    pub const SLOTS: usize = u64::BITS as usize;

    /// Every slot.
    pub const ALL: Self = Self(u64::MAX);

    pub const fn set(&mut self, slot: usize) {
        self.0 |= 1 << slot;
    }

    pub const fn clear(&mut self, slot: usize) {
        self.0 &= !(1 << slot);
    }

    /// Those that are not in the other one.
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The lowest that is not in it.
    pub fn first_clear(self) -> Option<usize> {
        Self(!self.0).next()
    }

    /// The next one after that slot, going round.
    pub fn first_after(self, slot: usize) -> Option<usize> {
        let rotated = self.0.rotate_right(slot as u32 + 1);
        Self(rotated).next().map(|step| (slot + 1 + step) % Self::SLOTS)
    }
}

impl Iterator for Bits {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let slot = (self.0 != 0).then_some(self.0.trailing_zeros() as usize)?;
        self.clear(slot);
        Some(slot)
    }
}
