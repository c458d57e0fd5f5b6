//! A snapshot of page tables, for a story.

use super::{Budget, Leaf, Mmu, Pages, Payer};
use crate::memory::tables::told_flags;
use crate::story::{self, Kind, Numbers};

impl<M: Mmu> Pages<M> {
    /// Tells what there is in `[start, end)`.
    pub fn tell(&mut self, payer: &mut Payer<'_>, start: u64, end: u64) {
        let root = self.root().start_address().as_u64();
        let free = payer.pool.frames.counts().free as u64;
        let counts = [root, start, end, self.resident, self.tables.count(), free];
        story::record(Kind::Snapshot, &counts, "");
        let mut told = Numbers::new(&[root]);
        let tell = &mut |payer: &mut Payer<'_>, page, leaf: Leaf| {
            if !told.has_room(4) {
                story::record(Kind::SnapshotPages, told.as_slice(), "");
                told = Numbers::new(&[root]);
            }
            let frame = leaf.frame.start_address().as_u64();
            let owners = payer.pool.frames.owners(leaf.frame).into();
            told.push(&[page, frame, told_flags(leaf), owners]);
            leaf
        };
        // SAFETY: nothing is changed.
        unsafe { self.tables.visit(payer, (start, end), &mut Budget::unbounded(), tell) };
        story::record(Kind::SnapshotPages, told.as_slice(), "");
        self.tables.tell_tables(start, end);
        story::record(Kind::SnapshotEnd, &[root], "");
    }
}
