//! What a story tells of page tables: each entry that changes, and in a snapshot all there is.

use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use super::{DEPTH, Leaf, Mmu, OBJECT, Tables, covers, leaf_of};
use crate::story::{self, Kind, Numbers};
use crate::words::layout::{HIGHER_HALF, LOWER_HALF_END, PAGE_SIZE};

/// The flags of an entry, as a story tells them. Those that the processor sets are left out.
pub(in crate::memory) fn told_flags(leaf: Leaf) -> u64 {
    [
        (PageTableFlags::PRESENT, 1),
        (PageTableFlags::WRITABLE, 2),
        (PageTableFlags::USER_ACCESSIBLE, 4),
        (PageTableFlags::NO_EXECUTE, 8),
        (OBJECT, 16),
    ]
    .into_iter()
    .filter(|(flag, _)| leaf.flags.contains(*flag))
    .fold(0, |told, (_, bit)| told | bit)
}

impl<M: Mmu> Tables<M> {
    /// Tells that a page's entry is this now.
    #[inline(always)]
    pub(super) fn tell(&self, page: u64, leaf: Option<Leaf>) {
        if story::is_on() {
            self.tell_entry(page, leaf);
        }
    }

    #[cold]
    fn tell_entry(&self, page: u64, leaf: Option<Leaf>) {
        let (frame, flags) = leaf.map_or((0, 0), |leaf| (address(leaf.frame), told_flags(leaf)));
        story::record(Kind::Entry, &[address(self.root), page, frame, flags], "");
    }

    /// Tells what these entries of a level-1 table are now, of which some have changed; the first
    /// one is that of the page. One that is not present, and not unused, is of a page that goes.
    #[cold]
    pub(super) fn tell_entries(&mut self, table: PhysFrame, page: u64, (first, last): (u64, u64)) {
        for index in first..last {
            let entry = &self.table(table)[index as usize];
            if !entry.is_unused() {
                let leaf = leaf_of(entry);
                self.tell_entry(page + (index - first) * PAGE_SIZE, leaf);
            }
        }
    }

    /// Tells that the table at this depth on the way to an address is in this frame now.
    #[inline(always)]
    pub(super) fn tell_table(&self, page: u64, depth: usize, frame: Option<PhysFrame>) {
        if story::is_on() {
            let frame = frame.map_or(0, address);
            let level = (DEPTH + 1 - depth) as u64;
            story::record(Kind::Table, &[address(self.root), page, level, frame], "");
        }
    }

    /// Tells all tables below the root that cover addresses in `[start, end)`.
    pub(in crate::memory) fn tell_tables(&mut self, start: u64, end: u64) {
        let root = address(self.root);
        let mut told = Numbers::new(&[root]);
        self.tell_below(self.root, 1, 0, (start, end), &mut told);
        story::record(Kind::SnapshotTables, told.as_slice(), "");
    }

    fn tell_below(
        &mut self,
        table: PhysFrame,
        depth: usize,
        base: u64,
        range: (u64, u64),
        told: &mut Numbers,
    ) {
        for index in 0..512 {
            let mut first = base + index * covers(depth);
            if first >= LOWER_HALF_END && depth == 1 {
                first |= HIGHER_HALF;
            }
            let last = first + (covers(depth) - 1);
            if last < range.0 || first >= range.1 {
                continue;
            }
            let Ok(below) = self.table(table)[index as usize].frame() else { continue };
            if !told.has_room(3) {
                story::record(Kind::SnapshotTables, told.as_slice(), "");
                *told = Numbers::new(&[address(self.root)]);
            }
            told.push(&[first, (DEPTH - depth) as u64, address(below)]);
            if depth + 1 < DEPTH {
                self.tell_below(below, depth + 1, first, range, told);
            }
        }
    }
}

fn address(frame: PhysFrame) -> u64 {
    frame.start_address().as_u64()
}
