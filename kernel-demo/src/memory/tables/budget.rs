//! How much one walk through page tables may do before it pauses.

/// What a walk may still do, in pages.
#[derive(Debug)]
pub struct Budget(u64);

impl Budget {
    /// Entries that a step looks at, at most.
    pub(super) const ENTRIES: u64 = 64;
    /// Pages that a step counts for, whatever it finds: finding the table, and looking at entries.
    pub(super) const STEP: u64 = 16;
    /// Pages that a step counts for which finds no table.
    pub(super) const GAP: u64 = 2;

    /// As much as there is to do.
    pub const fn unbounded() -> Self {
        Self(u64::MAX)
    }

    /// What may be done between two moments at which interrupts are let in.
    pub const fn slice() -> Self {
        Self(112)
    }

    /// Counts something that takes as long as so many pages.
    pub const fn spend(&mut self, pages: u64) {
        self.0 = self.0.saturating_sub(pages);
    }

    /// Whether there is time for more.
    pub const fn is_left(&self) -> bool {
        self.0 > 0
    }
}
