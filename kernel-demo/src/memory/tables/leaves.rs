//! The entries of level-1 tables, visited in the order of addresses, and changed.

use x86_64::structures::paging::page_table::{PageTableEntry, PageTableLevel};
use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use super::{Mmu, Tables};
use crate::memory::layout::page_at;

/// The entry that maps a 4 KiB page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The frame behind the page.
    pub frame: PhysFrame,
    /// What may be done with it.
    pub flags: PageTableFlags,
}

impl<M: Mmu> Tables<M> {
    /// The entry that maps the page, if it is mapped. Constant time.
    pub fn leaf(&mut self, page: u64) -> Option<Leaf> {
        let entry = self.entry(page)?;
        Some(Leaf { frame: entry.frame().ok()?, flags: entry.flags() })
    }

    /// Makes the entry that maps the page another one, and tells the processor. Constant time.
    ///
    /// # Panics
    ///
    /// When the page is not mapped.
    ///
    /// # Safety
    ///
    /// As for [`change`](Self::change).
    pub unsafe fn replace(&mut self, page: u64, leaf: Leaf) {
        let entry = self.entry(page).filter(|entry| !entry.is_unused()).expect("the page is mapped");
        entry.set_frame(leaf.frame, leaf.flags);
        self.mmu.flush(page_at(page));
    }

    /// The first page mapped in `[start, end)` (page-aligned), and its entry.
    pub fn first(&mut self, start: u64, end: u64) -> Option<(u64, Leaf)> {
        self.visit(start, end, &mut |page, leaf| Err((page, leaf))).err()
    }

    /// Shows every page mapped in `[start, end)` (page-aligned), until the visitor returns an error.
    ///
    /// Time: linear in the pages mapped there and the tables that cover the range, not in the size of the range.
    ///
    /// # Errors
    ///
    /// The visitor's.
    pub fn visit<E>(&mut self, start: u64, end: u64, visitor: &mut impl FnMut(u64, Leaf) -> Result<(), E>) -> Result<(), E> {
        // SAFETY: nothing is changed.
        unsafe { self.change(start, end, &mut |page, leaf| visitor(page, leaf).map(|()| leaf)) }
    }

    /// As [`visit`](Self::visit); each entry becomes what the visitor returns, and the processor is told if it is another one.
    ///
    /// # Errors
    ///
    /// The visitor's. Entries that it saw before are changed.
    ///
    /// # Safety
    ///
    /// Accesses to a page are accesses to the frame that the visitor returns: the caller answers for both.
    pub unsafe fn change<E>(
        &mut self,
        start: u64,
        end: u64,
        visitor: &mut impl FnMut(u64, Leaf) -> Result<Leaf, E>,
    ) -> Result<(), E> {
        if start < end { self.walk(self.root, PageTableLevel::Four, start, end - 1, visitor) } else { Ok(()) }
    }

    /// Enters another tree's entries of the level-4 table for these addresses, so that what lies there is the same in both from
    /// now on.
    ///
    /// # Safety
    ///
    /// The tables below these entries stay as long as this tree does, and nothing is mapped or unmapped there through this tree.
    pub unsafe fn share(&mut self, other: &mut Self, addresses: &[u64]) {
        for address in addresses {
            let index = page_at(*address).p4_index();
            let entry = other.table(other.root)[index].clone();
            self.table(self.root)[index] = entry;
        }
    }

    /// The place of the page's entry, if there is a table for it.
    fn entry(&mut self, page: u64) -> Option<&mut PageTableEntry> {
        let page = page_at(page);
        let mut table = self.root;
        for index in [page.p4_index(), page.p3_index(), page.p2_index()] {
            table = self.table(table)[index].frame().ok()?;
        }
        Some(&mut self.table(table)[page.p1_index()])
    }

    fn walk<E>(
        &mut self,
        table: PhysFrame,
        level: PageTableLevel,
        start: u64,
        last: u64,
        visitor: &mut impl FnMut(u64, Leaf) -> Result<Leaf, E>,
    ) -> Result<(), E> {
        let covers = level.entry_address_space_alignment();
        let first_address = start - start % level.table_address_space_alignment();
        let (mut index, last_index) = ((start / covers % 512) as usize, (last / covers % 512) as usize);
        while let Some(used) = self.first_used(table, index, last_index) {
            index = used + 1;
            let entry = &self.table(table)[used];
            let Ok(frame) = entry.frame() else { continue };
            let low = first_address + used as u64 * covers;
            if let Some(lower) = level.next_lower_level() {
                self.walk(frame, lower, start.max(low), last.min(low + (covers - 1)), visitor)?;
                continue;
            }
            let leaf = Leaf { frame, flags: entry.flags() };
            let changed = visitor(low, leaf)?;
            if changed != leaf {
                self.table(table)[used].set_frame(changed.frame, changed.flags);
                self.mmu.flush(page_at(low));
            }
        }
        Ok(())
    }

    /// The first entry of the table in `from..=last` that is used. Most of what a sparse address space costs is this search.
    pub(super) fn first_used(&mut self, table: PhysFrame, from: usize, last: usize) -> Option<usize> {
        let table = self.table(table);
        (from..=last).find(|index| !table[*index].is_unused())
    }
}
