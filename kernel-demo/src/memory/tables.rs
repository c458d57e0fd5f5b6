//! Four-level page tables: map, translate, and unmap a whole range together with the tables that become empty.
//!
//! ```text
//!   level-4 table ─► level-3 ─► level-2 ─► level-1 ─► frame        a page: 4 KiB
//!      (root)                       └────────────────► frame        2 MiB, used for the map of all physical memory
//! ```
//!
//! Where a table's frame can be reached, and how the processor is told of a change, is the business of an [`Mmu`]. The
//! kernel's goes through the map of all physical memory; the one of the host tests is a vector.
#![allow(unsafe_code)]

mod contents;
mod leaves;

use x86_64::VirtAddr;
use x86_64::structures::paging::mapper::{MapToError, MappedPageTable, PageTableFrameMapping, TranslateResult};
use x86_64::structures::paging::page_table::PageTableLevel;
use x86_64::structures::paging::{
    FrameAllocator, Mapper, Page, PageSize, PageTable, PageTableFlags, PhysFrame, Size4KiB, Translate,
};

pub use self::leaves::Leaf;
use super::layout::{HIGHER_HALF, page_at};

/// Reaches frames, and keeps the processor's translations up to date.
///
/// # Safety
///
/// The pointer for a frame is valid for reads and writes of the whole frame as long as the `Mmu` lives.
pub unsafe trait Mmu: PageTableFrameMapping {
    /// Makes the processor forget its translation of the page, and what it remembers of the tables that led there.
    fn flush(&self, page: Page);
}

/// Something that [`Tables::unmap`] took out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmapped {
    /// A page.
    Page {
        /// Its address.
        page: u64,
        /// The frame it was mapped to.
        frame: PhysFrame,
    },
    /// A page table that held nothing any more.
    Table(PhysFrame),
}

/// What an address translates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address.
    pub physical: u64,
    /// The flags of the entry that maps it.
    pub flags: PageTableFlags,
}

/// A tree of page tables.
///
/// # Invariants
///
/// `root` is a level-4 table. Every table below it is reachable by one entry only, belongs to this tree, and is not empty.
pub struct Tables<M> {
    root: PhysFrame,
    mmu: M,
}

impl<M: Mmu> Tables<M> {
    /// A tree that maps nothing, with its level-4 table in the given frame.
    ///
    /// # Safety
    ///
    /// The frame is the caller's, and used for nothing else as long as the tree lives.
    pub unsafe fn new(root: PhysFrame, mmu: M) -> Self {
        let mut tables = Self { root, mmu };
        tables.table(root).zero();
        tables
    }

    /// The tree that somebody else built.
    ///
    /// # Safety
    ///
    /// `root` is a level-4 table that meets the type's invariants, and nobody else changes it.
    pub unsafe fn existing(root: PhysFrame, mmu: M) -> Self {
        Self { root, mmu }
    }

    /// How frames are reached.
    pub const fn mmu(&self) -> &M {
        &self.mmu
    }

    /// The frame of the level-4 table.
    pub const fn root(&self) -> PhysFrame {
        self.root
    }

    /// The level-4 table.
    pub fn root_table(&mut self) -> &PageTable {
        self.table(self.root)
    }

    /// How many tables mapping the 4 KiB page would have to add: 0 to 3.
    pub fn missing(&mut self, page: Page) -> usize {
        let mut table = self.root;
        for (missing, index) in [(3, page.p4_index()), (2, page.p3_index()), (1, page.p2_index())] {
            match self.table(table)[index].frame() {
                Ok(next) => table = next,
                Err(_) => return missing,
            }
        }
        0
    }

    /// Maps a page to a frame; missing tables are made of frames from `supply`. A page that was not mapped needs no flush.
    /// Tables of the lower half let ring 3 through; whether it may use a page is up to the page's own flags.
    ///
    /// # Errors
    ///
    /// The page is mapped already, or the supply ran dry (in which case tables may have been added, and stay, though they are empty).
    ///
    /// # Safety
    ///
    /// Accesses to the page are accesses to the frame: the caller answers for both.
    pub unsafe fn map<S: PageSize>(
        &mut self,
        page: Page<S>,
        frame: PhysFrame<S>,
        flags: PageTableFlags,
        supply: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapToError<S>>
    where
        for<'a> MappedPageTable<'a, &'a M>: Mapper<S>,
    {
        let mut parents = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
        parents.set(PageTableFlags::USER_ACCESSIBLE, page.start_address().as_u64() < HIGHER_HALF);
        let mut mapper = self.mapper();
        // SAFETY: the caller answers for the mapping.
        let mapped = unsafe { mapper.map_to_with_table_flags(page, frame, flags, parents, supply) };
        mapped.map(|flush| flush.ignore())
    }

    /// What the address translates to, `None` when it is not mapped.
    pub fn translate(&mut self, address: u64) -> Option<Translation> {
        match self.mapper().translate(VirtAddr::new(address)) {
            TranslateResult::Mapped { frame, offset, flags } => {
                Some(Translation { physical: frame.start_address().as_u64() + offset, flags })
            }
            TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => None,
        }
    }

    /// Unmaps all 4 KiB pages in `[start, end)` (page-aligned), and takes out each table that is empty afterwards and covers
    /// part of the range. Reports every frame that came free, after the processor has been told.
    ///
    /// Time: linear in the pages mapped there and the tables that cover the range, not in the size of the range.
    pub fn unmap(&mut self, start: u64, end: u64, gone: &mut impl FnMut(Unmapped)) {
        if start < end {
            self.clear(self.root, PageTableLevel::Four, start, end - 1, gone);
        }
    }

    /// Unmaps `[start, last]` in the table of the given level, and says whether that has emptied the table.
    fn clear(&mut self, table: PhysFrame, level: PageTableLevel, start: u64, last: u64, gone: &mut impl FnMut(Unmapped)) -> bool {
        let covers = level.entry_address_space_alignment();
        let first_address = start - start % level.table_address_space_alignment();
        let (mut next, last_index) = ((start / covers % 512) as usize, (last / covers % 512) as usize);
        let mut changed = false;
        while let Some(index) = self.first_used(table, next, last_index) {
            next = index + 1;
            let Ok(frame) = self.table(table)[index].frame() else { continue };
            let low = first_address + index as u64 * covers;
            let empty = level
                .next_lower_level()
                .is_none_or(|lower| self.clear(frame, lower, start.max(low), last.min(low + (covers - 1)), gone));
            if empty {
                changed = true;
                self.table(table)[index].set_unused();
                self.mmu.flush(page_at(low));
                gone(match level {
                    PageTableLevel::One => Unmapped::Page { page: low, frame },
                    _ => Unmapped::Table(frame),
                });
            }
        }
        // Nobody asks about the root, and no table is empty but by what was taken out just now.
        changed && level != PageTableLevel::Four && self.first_used(table, 0, 511).is_none()
    }

    /// The table in a frame that the tree holds as a table.
    fn table(&mut self, frame: PhysFrame) -> &mut PageTable {
        let table = self.mmu.frame_to_pointer(frame);
        // SAFETY: the frame is accessible (`Mmu`) and belongs to this tree, which is borrowed mutably.
        unsafe { &mut *table }
    }

    fn mapper(&mut self) -> MappedPageTable<'_, &M> {
        let root = self.mmu.frame_to_pointer(self.root);
        // SAFETY: the root is accessible (`Mmu`) and belongs to this tree, which is borrowed mutably.
        let root = unsafe { &mut *root };
        // SAFETY: it is a level-4 table, whose tables the `Mmu` reaches.
        unsafe { MappedPageTable::new(root, &self.mmu) }
    }
}

#[cfg(test)]
pub(super) mod tests;
