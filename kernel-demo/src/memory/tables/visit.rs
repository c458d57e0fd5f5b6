//! Visiting the pages of a range: to change what they are mapped to, or to unmap them.

use super::{DEPTH, ENTRIES, Leaf, Mmu, Tables, Walk, Work, covers, index, leaf_of};
use crate::memory::pool::Payer;
use crate::memory::trace::Purpose;
use crate::words::layout::PAGE_SIZE;

impl<M: Mmu> Tables<M> {
    /// Shows every page mapped in `[start, end)` (page-aligned). Each becomes what the visitor
    /// returns; with `None` it is not mapped any more. The processor is told, and tables that are
    /// empty then are taken out. Returns where it got to, when the work is done or the range is.
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
        (start, end): (u64, u64),
        work: &mut Work,
        visitor: &mut impl FnMut(&mut Payer<'_>, u64, Leaf) -> Option<Leaf>,
    ) -> u64 {
        let mut page = start;
        while page < end && work.is_left() {
            let walk = self.walk(page);
            if walk.missing() > 0 {
                work.spend(Work::GAP);
                page = (page | (covers(walk.depth) - 1)).saturating_add(1);
                continue;
            }
            work.spend(Work::STEP);
            let (table, mmu) = self.table_and_mmu(walk.last());
            let first = index(page, DEPTH) as u64;
            let last = ENTRIES.min(first + Work::ENTRIES.min((end - page) / PAGE_SIZE));
            let mut gone = 0;
            for index in first..last {
                let entry = &mut table[index as usize];
                if let Some(old) = leaf_of(entry) {
                    work.spend(1);
                    let new = visitor(payer, page, old);
                    if new != Some(old) {
                        match new {
                            Some(new) => entry.set_frame(new.frame, new.flags),
                            None => entry.set_unused(),
                        }
                        mmu.flush(page);
                        gone += u32::from(new.is_none());
                    }
                }
                page += PAGE_SIZE;
            }
            if gone > 0 {
                self.shrink(payer, walk, page - PAGE_SIZE, gone);
            }
        }
        page.min(end)
    }

    /// So many entries of the last table on the way to a page are gone: takes out the tables that
    /// are empty now.
    fn shrink(&mut self, payer: &mut Payer<'_>, mut walk: Walk, page: u64, gone: u32) {
        let mut left = payer.disown(walk.last(), gone);
        while left == 1 && walk.depth > 1 {
            let table = walk.last();
            walk.depth -= 1;
            self.entry(&walk, page).set_unused();
            self.mmu.flush(page & !(covers(walk.depth) - 1));
            payer.release(table, Purpose::Table);
            self.count -= 1;
            left = if walk.depth > 1 { payer.disown(walk.last(), 1) } else { 0 };
        }
    }
}
