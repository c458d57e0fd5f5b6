//! Visiting the pages of a range: to change what they are mapped to, or to unmap them.
//!
//! What is unmapped goes in three steps, for some entries at a time: entries are no longer present,
//! and tables that are empty then are taken out; all CPUs forget them; frames go back. So no CPU
//! reaches a frame that is free.

use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use super::{Budget, DEPTH, ENTRIES, Leaf, Mmu, Tables, Walk, covers, index, leaf_of};
use crate::memory::pool::Payer;
use crate::story;
use crate::story::trace::Purpose;
use crate::words::layout::{PAGE_SIZE, frame_at};

impl<M: Mmu> Tables<M> {
    /// Shows every page mapped in `[start, end)` (page-aligned). Each becomes what the visitor
    /// returns, and all CPUs are told. Returns where it got to, when the work is done or the range
    /// is.
    ///
    /// Time: linear in the pages mapped there and the tables that cover the range, not in the size
    /// of the range.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter), for each frame that the visitor returns.
    pub unsafe fn visit(
        &mut self,
        payer: &mut Payer<'_>,
        range: (u64, u64),
        work: &mut Budget,
        visitor: &mut impl FnMut(&mut Payer<'_>, u64, Leaf) -> Leaf,
    ) -> u64 {
        let becomes = &mut |payer: &mut Payer<'_>, page, leaf| Some(visitor(payer, page, leaf));
        // SAFETY: as the caller says.
        unsafe { self.change(payer, range, work, becomes, &mut |_, _, _| {}) }
    }

    /// Unmaps every page in the range, and the tables that are empty then. Shows each to `gone`
    /// when no CPU has a translation of it any more. Otherwise as [`visit`](Self::visit).
    pub fn unmap(
        &mut self,
        payer: &mut Payer<'_>,
        range: (u64, u64),
        work: &mut Budget,
        gone: &mut impl FnMut(&mut Payer<'_>, u64, PhysFrame),
    ) -> u64 {
        // SAFETY: nothing is mapped.
        unsafe { self.change(payer, range, work, &mut |_, _, _| None, gone) }
    }

    /// Both of these: a page becomes what the visitor returns; with `None` it is not mapped any
    /// more.
    ///
    /// # Safety
    ///
    /// As for [`visit`](Self::visit).
    #[inline]
    unsafe fn change(
        &mut self,
        payer: &mut Payer<'_>,
        (start, end): (u64, u64),
        work: &mut Budget,
        visitor: &mut impl FnMut(&mut Payer<'_>, u64, Leaf) -> Option<Leaf>,
        gone: &mut impl FnMut(&mut Payer<'_>, u64, PhysFrame),
    ) -> u64 {
        let mut page = start;
        while page < end && work.is_left() {
            let walk = self.walk(page);
            if walk.missing() > 0 {
                work.spend(Budget::GAP);
                page = (page | (covers(walk.depth) - 1)).saturating_add(1);
                continue;
            }
            work.spend(Budget::STEP);
            let begun = page;
            let (table, mmu) = self.table_and_mmu(walk.last());
            let first = index(page, DEPTH) as u64;
            let last = ENTRIES.min(first + Budget::ENTRIES.min((end - page) / PAGE_SIZE));
            let (mut changed, mut unmapped) = (false, 0);
            for index in first..last {
                let entry = &mut table[index as usize];
                if let Some(old) = leaf_of(entry) {
                    work.spend(1);
                    let new = visitor(payer, page, old);
                    if new != Some(old) {
                        match new {
                            Some(new) => entry.set_frame(new.frame, new.flags),
                            None => entry.set_flags(old.flags - PageTableFlags::PRESENT),
                        }
                        mmu.flush(page);
                        changed = true;
                        unmapped += u32::from(new.is_none());
                    }
                }
                page += PAGE_SIZE;
            }
            let empty = match unmapped {
                0 => [None; DEPTH],
                unmapped => self.take_out(payer, walk, begun, unmapped),
            };
            if changed && story::is_on() {
                self.tell_entries(walk.last(), begun, (first, last));
            }
            if changed {
                self.mmu.flush_others(self.root, begun);
            }
            if unmapped > 0 {
                let table = self.table(walk.last());
                for index in first..last {
                    let entry = &mut table[index as usize];
                    if !entry.is_unused() && leaf_of(entry).is_none() {
                        let frame = frame_at(entry.addr().as_u64());
                        entry.set_unused();
                        gone(payer, begun + (index - first) * PAGE_SIZE, frame);
                    }
                }
            }
            for table in empty.into_iter().rev().flatten() {
                payer.release(table, Purpose::Table);
            }
        }
        page.min(end)
    }

    /// So many entries of the last table on the way to a page are gone: takes out the tables that
    /// are empty now, and returns them, the one nearest to the page last.
    fn take_out(
        &mut self,
        payer: &mut Payer<'_>,
        mut walk: Walk,
        page: u64,
        gone: u32,
    ) -> [Option<PhysFrame>; DEPTH] {
        let mut empty = [None; DEPTH];
        let mut left = payer.disown(walk.last(), gone);
        while left == 1 && walk.depth > 1 {
            empty[walk.depth - 1] = Some(walk.last());
            walk.depth -= 1;
            self.entry(&walk, page).set_unused();
            self.mmu.flush(page & !(covers(walk.depth) - 1));
            self.tell_table(page, walk.depth + 1, None);
            self.count -= 1;
            left = if walk.depth > 1 { payer.disown(walk.last(), 1) } else { 0 };
        }
        empty
    }
}
