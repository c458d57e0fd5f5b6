//! The way to a page: from the root down to the entry that maps it, as far as there are tables.
//!
//! ```text
//!   depth       1               2               3               4
//!            level-4 ──────► level-3 ──────► level-2 ──────► level-1 ──────► frame
//!                     count           count           count          no count
//! ```
//!
//! The entry that leads to a table counts the entries that are used in it, in bits that the
//! processor ignores. So a table that becomes empty is noticed without a look at its 512 entries.

use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{FrameAllocator, PageTableFlags, PhysFrame, Size4KiB};

use super::{Leaf, MapError, Mmu, Tables};
use crate::memory::layout::{HIGHER_HALF, PAGE_SIZE};

/// Levels of tables.
pub(super) const DEPTH: usize = 4;

/// Entries of a table.
pub(super) const ENTRIES: u64 = 512;

/// One more, in the count of an entry that leads to a table: bits 52 to 61.
const ONE: u64 = 1 << 52;

/// The bits of the count.
const COUNT: u64 = 1023 * ONE;

/// Bytes that an entry of a table at this depth covers.
pub(super) const fn covers(depth: usize) -> u64 {
    PAGE_SIZE << (9 * (DEPTH - depth))
}

/// Where the address's entry is in its table at this depth.
pub(super) const fn index(address: u64, depth: usize) -> usize {
    (address / covers(depth) % ENTRIES) as usize
}

/// The way to a page. Nobody else changes the tables while it is there.
///
/// # Invariants
///
/// `table` is the last table on the way, at `depth`: no entry for the page leads further, or it is
/// of level 1. `parent` is the one before it, or the root.
pub struct Way<'t, M> {
    pub(super) tables: &'t mut Tables<M>,
    pub(super) page: u64,
    parent: PhysFrame,
    pub(super) table: PhysFrame,
    pub(super) depth: usize,
}

impl<M: Mmu> Tables<M> {
    /// The way to a page. Constant time.
    #[inline]
    pub fn way(&mut self, page: u64) -> Way<'_, M> {
        let (mut parent, mut table, mut depth) = (self.root, self.root, 1);
        while depth < DEPTH {
            let Ok(next) = self.table(table)[index(page, depth)].frame() else { break };
            (parent, table) = (table, next);
            depth += 1;
        }
        Way { tables: self, page, parent, table, depth }
    }
}

impl<M: Mmu> Way<'_, M> {
    /// The page.
    pub const fn page(&self) -> u64 {
        self.page
    }

    /// The tree that it is in.
    pub const fn tables(&mut self) -> &mut Tables<M> {
        self.tables
    }

    /// How many tables are missing that mapping the page takes: 0 to 3.
    pub const fn missing(&self) -> usize {
        DEPTH - self.depth
    }

    /// What the page is mapped to.
    #[inline]
    pub fn leaf(&mut self) -> Option<Leaf> {
        if self.depth != DEPTH { None } else { Leaf::of(self.leaf_entry()) }
    }

    /// Maps the page, which is mapped, to something else, and tells the processor.
    ///
    /// # Panics
    ///
    /// When the page is not mapped.
    ///
    /// # Safety
    ///
    /// Accesses to the page are accesses to the frame: the caller answers for both.
    pub unsafe fn replace(&mut self, leaf: Leaf) {
        assert!(self.leaf().is_some(), "the page is mapped");
        self.leaf_entry().set_frame(leaf.frame, leaf.flags);
        self.tables.mmu.flush(self.page);
    }

    /// Maps the page, which is not mapped and misses no table. That needs no flush.
    ///
    /// # Errors
    ///
    /// The page is mapped already, or a table is missing.
    ///
    /// # Safety
    ///
    /// As for [`replace`](Self::replace).
    #[inline]
    pub unsafe fn enter(&mut self, leaf: Leaf) -> Result<(), MapError> {
        if self.depth != DEPTH {
            return Err(MapError::NoTable);
        }
        let entry = self.leaf_entry();
        if !entry.is_unused() {
            return Err(MapError::Mapped);
        }
        entry.set_frame(leaf.frame, leaf.flags);
        self.count(1);
        Ok(())
    }

    /// Adds the tables that are missing, made of frames from `supply`; the page is to be entered
    /// then, for no table stays empty. Tables of the lower half let ring 3 through; whether it
    /// may use a page is up to the page's own flags.
    ///
    /// # Errors
    ///
    /// A large page is there, or the supply ran dry (in which case tables may have been added, and
    /// stay, though they are empty).
    pub fn complete(&mut self, supply: &mut impl FrameAllocator<Size4KiB>) -> Result<(), MapError> {
        while self.depth < DEPTH {
            if !self.last().is_unused() {
                return Err(MapError::Mapped);
            }
            let frame = supply.allocate_frame().ok_or(MapError::NoTable)?;
            self.tables.table(frame).zero();
            let mut flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
            flags.set(PageTableFlags::USER_ACCESSIBLE, self.page < HIGHER_HALF);
            self.last().set_frame(frame, flags);
            if self.depth > 1 {
                self.count(1);
            }
            (self.parent, self.table) = (self.table, frame);
            self.depth += 1;
        }
        Ok(())
    }

    /// The entry of the last table on the way for an address that it covers.
    pub(super) fn entry(&mut self, address: u64) -> &mut PageTableEntry {
        &mut self.tables.table(self.table)[index(address, self.depth)]
    }

    /// The entry for the page in the level-1 table, which is there.
    fn leaf_entry(&mut self) -> &mut PageTableEntry {
        &mut self.tables.table(self.table)[index(self.page, DEPTH)]
    }

    /// The entry of the last table on the way for the page.
    fn last(&mut self) -> &mut PageTableEntry {
        self.entry(self.page)
    }

    /// The entry that leads to the last table on the way, which is not the root.
    #[inline]
    pub(super) fn parent(&mut self) -> &mut PageTableEntry {
        &mut self.tables.table(self.parent)[index(self.page, self.depth - 1)]
    }

    /// Counts entries that are used now in the last table.
    #[inline]
    pub(super) fn count(&mut self, more: u64) {
        let parent = self.parent();
        parent.set_flags(PageTableFlags::from_bits_retain(parent.flags().bits() + more * ONE));
    }

    /// Counts entries that are not used any more in the last table. Returns how many still are.
    pub(super) fn uncount(&mut self, less: u64) -> u64 {
        let parent = self.parent();
        let left = parent.flags().bits() - less * ONE;
        parent.set_flags(PageTableFlags::from_bits_retain(left));
        left & COUNT
    }
}
