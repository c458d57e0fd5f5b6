//! The entries of level-1 tables, visited in the order of addresses, and changed.

use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{FrameAllocator, PageTableFlags, PhysFrame, Size4KiB};

use super::{Mmu, Tables, Work};
use crate::memory::layout::page_at;

/// The entry that maps a 4 KiB page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The frame behind the page.
    pub frame: PhysFrame,
    /// What may be done with it.
    pub flags: PageTableFlags,
}

impl Leaf {
    /// What an entry of a level-1 table maps to, if it is used.
    pub(super) fn of(entry: &PageTableEntry) -> Option<Self> {
        Some(Self { frame: entry.frame().ok()?, flags: entry.flags() })
    }
}

impl<M: Mmu> Tables<M> {
    /// The entry that maps the page, if it is mapped. Constant time.
    pub fn leaf(&mut self, page: u64) -> Option<Leaf> {
        self.way(page).leaf()
    }

    /// Shows every page mapped in `[start, end)` (page-aligned), until the visitor returns an
    /// error.
    ///
    /// Time: linear in the pages mapped there and the tables that cover the range, not in the size
    /// of the range.
    ///
    /// # Errors
    ///
    /// The visitor's.
    pub fn visit<E>(
        &mut self,
        start: u64,
        end: u64,
        visitor: &mut impl FnMut(u64, Leaf) -> Result<(), E>,
    ) -> Result<(), E> {
        let same = &mut |page, leaf| visitor(page, leaf).map(|()| leaf);
        // SAFETY: nothing is changed.
        unsafe { self.change(start, end, &mut Work::unbounded(), same) }.map(drop)
    }

    /// As [`visit`](Self::visit); each entry becomes what the visitor returns, and the processor is
    /// told if it is another one. Returns where it got to, when the work is done or the range is.
    ///
    /// # Errors
    ///
    /// The visitor's. Entries that it saw before are changed.
    ///
    /// # Safety
    ///
    /// Accesses to a page are accesses to the frame that the visitor returns: the caller answers
    /// for both.
    pub unsafe fn change<E>(
        &mut self,
        start: u64,
        end: u64,
        work: &mut Work,
        visitor: &mut impl FnMut(u64, Leaf) -> Result<Leaf, E>,
    ) -> Result<u64, E> {
        let mut page = start;
        while page < end && work.go_on() {
            let way = self.way(page);
            page = if way.missing() > 0 {
                way.gap_end(end)
            } else {
                // SAFETY: the caller answers for the mappings.
                unsafe { way.change(end, work, visitor) }?
            };
        }
        Ok(page)
    }

    /// Shows every page mapped in `[start, end)` (page-aligned). The flags of each become what the
    /// visitor returns, and it is entered like that in another tree as well, where nothing is
    /// mapped. The visitor gets the supply too. Returns where it got to.
    ///
    /// # Panics
    ///
    /// When the supply runs dry.
    ///
    /// # Safety
    ///
    /// As for [`change`](Self::change), for both trees.
    pub unsafe fn duplicate<S: FrameAllocator<Size4KiB>>(
        &mut self,
        other: &mut Self,
        start: u64,
        end: u64,
        work: &mut Work,
        supply: &mut S,
        visitor: &mut impl FnMut(&mut S, u64, Leaf) -> PageTableFlags,
    ) -> u64 {
        let mut page = start;
        while page < end && work.go_on() {
            let way = self.way(page);
            page = if way.missing() > 0 {
                way.gap_end(end)
            } else {
                // SAFETY: the caller answers for the mappings.
                unsafe { way.duplicate(other, end, work, supply, visitor) }
            };
        }
        page
    }

    /// Enters another tree's entries of the level-4 table for these addresses, so that what lies
    /// there is the same in both from now on.
    ///
    /// # Safety
    ///
    /// The tables below these entries stay as long as this tree does, and nothing is mapped or
    /// unmapped there through this tree.
    pub unsafe fn share(&mut self, other: &mut Self, addresses: &[u64]) {
        for address in addresses {
            let index = page_at(*address).p4_index();
            let entry = other.table(other.root)[index].clone();
            self.table(self.root)[index] = entry;
        }
    }
}
