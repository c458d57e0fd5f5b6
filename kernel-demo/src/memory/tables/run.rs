//! What is done to all pages of one level-1 table, or to those of them that lie in a range: each
//! loop goes through the table's entries once.

use core::ops::Range;

use x86_64::structures::paging::{FrameAllocator, PageTableFlags, Size4KiB};

use super::way::{DEPTH, ENTRIES, Way, covers, index};
use super::{Leaf, Mmu, Tables, Unmapped, Work};
use crate::memory::layout::PAGE_SIZE;

impl<M: Mmu> Way<'_, M> {
    /// Unmaps the pages from this one on up to `end`, as far as they have one level-1 table with
    /// it, and takes out the tables that are empty then. Returns where it got to.
    pub(super) fn clear(
        mut self,
        end: u64,
        work: &mut Work,
        gone: &mut impl FnMut(Unmapped),
    ) -> u64 {
        let (mut page, indices) = (self.page, self.run(end));
        let mut cleared = 0;
        let (table, mmu) = self.tables.table_and_mmu(self.table);
        for index in indices {
            let entry = &mut table[index];
            if let Ok(frame) = entry.frame() {
                entry.set_unused();
                mmu.flush(page);
                gone(Unmapped::Page { page, frame });
                cleared += 1;
                work.count();
            }
            page += PAGE_SIZE;
        }
        let next = page;
        if cleared > 0 && self.uncount(cleared) == 0 {
            self.take_out(gone);
        }
        next
    }

    /// Takes out the last table on the way, which is empty and not the root, and those above it
    /// that are empty then.
    fn take_out(self, gone: &mut impl FnMut(Unmapped)) {
        let mut way = self;
        loop {
            way.parent().set_unused();
            way.tables.mmu.flush(way.page & !(covers(way.depth - 1) - 1));
            gone(Unmapped::Table(way.table));
            way = way.tables.way(way.page);
            if way.depth == 1 || way.uncount(1) > 0 {
                return;
            }
        }
    }

    /// Shows the pages from this one on up to `end` that are mapped, as far as they have one
    /// level-1 table with it; each becomes what the visitor returns. Returns where it got to.
    ///
    /// # Safety
    ///
    /// As for [`replace`](Self::replace).
    pub(super) unsafe fn change<E>(
        self,
        end: u64,
        work: &mut Work,
        visitor: &mut impl FnMut(u64, Leaf) -> Result<Leaf, E>,
    ) -> Result<u64, E> {
        let (mut page, indices) = (self.page, self.run(end));
        let (table, mmu) = self.tables.table_and_mmu(self.table);
        for index in indices {
            let entry = &mut table[index];
            if let Some(leaf) = Leaf::of(entry) {
                let changed = visitor(page, leaf)?;
                work.count();
                if changed != leaf {
                    entry.set_frame(changed.frame, changed.flags);
                    mmu.flush(page);
                }
            }
            page += PAGE_SIZE;
        }
        Ok(page)
    }

    /// Shows the same pages. The flags of each become what the visitor returns, and it is entered
    /// like that in another tree as well, where nothing is mapped. Returns where it got to.
    ///
    /// # Panics
    ///
    /// When the supply runs dry.
    ///
    /// # Safety
    ///
    /// As for [`replace`](Self::replace), for both trees.
    pub(super) unsafe fn duplicate<S: FrameAllocator<Size4KiB>>(
        self,
        other: &mut Tables<M>,
        end: u64,
        work: &mut Work,
        supply: &mut S,
        visitor: &mut impl FnMut(&mut S, u64, Leaf) -> PageTableFlags,
    ) -> u64 {
        let Range { start: first, end: last } = self.run(end);
        let (table, mmu) = self.tables.table_and_mmu(self.table);
        let next = self.page + (last - first) as u64 * PAGE_SIZE;
        let Some(used) = (first..last).find(|index| !table[*index].is_unused()) else {
            return next;
        };
        let mut page = self.page + (used - first) as u64 * PAGE_SIZE;
        let mut copy = other.way(page);
        copy.complete(supply).expect("there is a frame for every table");
        let copies = copy.tables.table(copy.table);
        let mut entered = 0;
        for index in used..last {
            let entry = &mut table[index];
            if let Some(leaf) = Leaf::of(entry) {
                let flags = visitor(supply, page, leaf);
                if flags != leaf.flags {
                    entry.set_frame(leaf.frame, flags);
                    mmu.flush(page);
                }
                copies[index].set_frame(leaf.frame, flags);
                entered += 1;
                work.count();
            }
            page += PAGE_SIZE;
        }
        copy.count(entered);
        next
    }

    /// The indices of this page and of those behind it up to `end` that have one level-1 table with
    /// it, as many as one step looks at.
    fn run(&self, end: u64) -> Range<usize> {
        let (first, pages) = (index(self.page, DEPTH), (end - self.page) / PAGE_SIZE);
        first..ENTRIES.min(first as u64 + pages.min(Work::ENTRIES)) as usize
    }

    /// Where a page may be mapped again, at `end` at the latest: behind all that the missing table
    /// would cover, and further if it is not the only one.
    #[inline]
    pub(super) fn gap_end(mut self, end: u64) -> u64 {
        let step = covers(self.depth);
        let mut last = self.page | (step - 1);
        while last < end - 1 {
            let next = last + 1;
            if index(next, self.depth) == 0 || !self.entry(next).is_unused() {
                return next;
            }
            last += step;
        }
        end
    }
}
