//! Four-level page tables: map, translate, and unmap a whole range together with the tables that
//! become empty.
//!
//! ```text
//!   level-4 table ─► level-3 ─► level-2 ─► level-1 ─► frame        a page: 4 KiB
//!      (root)                       └────────────────► frame        2 MiB, used for the map of all physical memory
//! ```
//!
//! Where a table's frame can be reached, and how the processor is told of a change, is the business
//! of an [`Mmu`]. The kernel's goes through the map of all physical memory; the one of the host
//! tests is a vector.
#![allow(unsafe_code)]

mod contents;
mod leaves;
mod run;
mod way;
mod work;

use x86_64::VirtAddr;
use x86_64::structures::paging::mapper::{
    MapToError, MappedPageTable, PageTableFrameMapping, TranslateResult,
};
use x86_64::structures::paging::{
    FrameAllocator, Mapper, Page, PageTable, PageTableFlags, PhysFrame, Size2MiB, Size4KiB,
    Translate,
};

pub use self::leaves::Leaf;
pub use self::way::Way;
pub use self::work::Work;

/// Reaches frames, and keeps the processor's translations up to date.
///
/// # Safety
///
/// The pointer for a frame is valid for reads and writes of the whole frame as long as the `Mmu`
/// lives.
pub unsafe trait Mmu: PageTableFrameMapping {
    /// Makes the processor forget its translation of the page, whose address is canonical, and what
    /// it remembers of the tables that led there.
    fn flush(&self, page: u64);
}

/// Why a page was not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MapError {
    /// It is mapped already.
    Mapped,
    /// There was no frame for a page table.
    NoTable,
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
/// `root` is a level-4 table. Every table below it is reachable by one entry only, belongs to this
/// tree, and is not empty. That entry counts those used in the table, if any was ever unmapped.
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
        self.way(page.start_address().as_u64()).missing()
    }

    /// Maps a page to a frame; missing tables are made of frames from `supply`. See
    /// [`Way::complete`].
    ///
    /// # Errors
    ///
    /// The page is mapped already, or the supply ran dry (in which case tables may have been added,
    /// and stay, though they are empty).
    ///
    /// # Safety
    ///
    /// Accesses to the page are accesses to the frame: the caller answers for both.
    pub unsafe fn map(
        &mut self,
        page: Page,
        frame: PhysFrame,
        flags: PageTableFlags,
        supply: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapError> {
        let mut way = self.way(page.start_address().as_u64());
        way.complete(supply)?;
        // SAFETY: the caller answers for the mapping.
        unsafe { way.enter(Leaf { frame, flags }) }
    }

    /// Maps a large page, for good: nothing that shares a level-3 table with it is ever unmapped.
    ///
    /// # Errors
    ///
    /// The page is mapped already, or the supply ran dry.
    ///
    /// # Safety
    ///
    /// As for [`map`](Self::map).
    pub unsafe fn map_large(
        &mut self,
        page: Page<Size2MiB>,
        frame: PhysFrame<Size2MiB>,
        flags: PageTableFlags,
        supply: &mut impl FrameAllocator<Size4KiB>,
    ) -> Result<(), MapToError<Size2MiB>> {
        let parents = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
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

    /// Unmaps all 4 KiB pages in `[start, end)` (page-aligned), and takes out each table that is
    /// empty afterwards and covers part of the range. Reports every frame that came free, after
    /// the processor has been told. Returns where it got to, when the work is done or the range is.
    ///
    /// Time: linear in the pages mapped there and the tables that cover the range, not in the size
    /// of the range.
    pub fn unmap(
        &mut self,
        start: u64,
        end: u64,
        work: &mut Work,
        gone: &mut impl FnMut(Unmapped),
    ) -> u64 {
        let mut page = start;
        while page < end && work.go_on() {
            let way = self.way(page);
            page = if way.missing() == 0 { way.clear(end, work, gone) } else { way.gap_end(end) };
        }
        page
    }

    /// The table in a frame that the tree holds as a table.
    fn table(&mut self, frame: PhysFrame) -> &mut PageTable {
        let table = self.mmu.frame_to_pointer(frame);
        // SAFETY: the frame is accessible (`Mmu`) and belongs to this tree, which is borrowed
        // mutably.
        unsafe { &mut *table }
    }

    /// The same, and what tells the processor of a change.
    fn table_and_mmu(&mut self, frame: PhysFrame) -> (&mut PageTable, &M) {
        let table = self.mmu.frame_to_pointer(frame);
        // SAFETY: as above; the table is no part of the `Mmu`.
        (unsafe { &mut *table }, &self.mmu)
    }

    fn mapper(&mut self) -> MappedPageTable<'_, &M> {
        let root = self.mmu.frame_to_pointer(self.root);
        // SAFETY: the root is accessible (`Mmu`) and belongs to this tree, which is borrowed
        // mutably.
        let root = unsafe { &mut *root };
        // SAFETY: it is a level-4 table, whose tables the `Mmu` reaches.
        unsafe { MappedPageTable::new(root, &self.mmu) }
    }
}

#[cfg(test)]
pub(super) mod tests;
