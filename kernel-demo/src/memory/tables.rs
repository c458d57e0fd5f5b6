//! Four-level page tables: walk, map, translate, and visit the pages of a range.
//!
//! ```text
//!   depth       1               2               3               4
//!            level-4 ──────► level-3 ──────► level-2 ──────► level-1 ──────► frame     a page: 4 KiB
//!             (root)                             └─────────────────────────► frame     2 MiB, at boot
//! ```
//!
//! A table's frame has an owner for the entry that leads to it, and one for each entry in use. So a
//! table that becomes empty is noticed without a look at its 512 entries.
//!
//! Where a table's frame can be reached, and how the processor is told of a change, is the business
//! of an [`Mmu`]. The kernel's goes through the map of all physical memory; the one of the host
//! tests is a vector.
#![allow(unsafe_code)]

mod budget;
mod contents;
mod told;
mod visit;

use x86_64::structures::paging::mapper::PageTableFrameMapping;
use x86_64::structures::paging::page_table::PageTableEntry;
use x86_64::structures::paging::{PageTable, PageTableFlags, PhysFrame};

pub use self::budget::Budget;
pub use self::contents::Translation;
pub(super) use self::told::told_flags;
use super::pool::Payer;
use crate::story::trace::{Event, Purpose};
use crate::words::layout::{HIGHER_HALF, PAGE_SIZE, page_at};

/// Levels of tables.
const DEPTH: usize = 4;

/// Entries of a table.
const ENTRIES: u64 = 512;

/// Marks an entry whose frame belongs to an object. The processor ignores this bit.
pub(super) const OBJECT: PageTableFlags = PageTableFlags::BIT_9;

/// Reaches frames, and keeps the processor's translations up to date.
///
/// # Safety
///
/// The pointer for a frame is valid for reads and writes of the whole frame as long as the `Mmu`
/// lives.
pub unsafe trait Mmu: PageTableFrameMapping {
    /// Makes this CPU forget its translation of the page, whose address is canonical, and what it
    /// remembers of the tables that led there.
    fn flush(&self, page: u64);

    /// Makes all other CPUs forget what they remember of the tables with this root, on the side of
    /// the address space where the page is. When this returns, they have.
    fn flush_others(&self, root: PhysFrame, page: u64);
}

/// The entry that maps a 4 KiB page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The frame behind the page.
    pub frame: PhysFrame,
    /// What may be done with it.
    pub flags: PageTableFlags,
}

/// The tables from the root down to a page, as far as there are any.
///
/// # Invariants
///
/// The first `depth` elements of `path` are the tables, if they have not changed since the walk.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    path: [PhysFrame; DEPTH],
    depth: usize,
}

impl Walk {
    /// How many tables are missing that mapping the page takes: 0 to 3.
    pub const fn missing(&self) -> usize {
        DEPTH - self.depth
    }

    const fn last(&self) -> PhysFrame {
        self.path[self.depth - 1]
    }
}

/// A tree of page tables.
///
/// # Invariants
///
/// `root` is a level-4 table. Every other table is reachable by one entry only, belongs to this
/// tree, and is not empty, but for entries that are [shared](Self::share). `count` is the number of
/// tables that were added and not taken out.
pub struct Tables<M> {
    root: PhysFrame,
    mmu: M,
    count: u64,
}

impl<M: Mmu> Tables<M> {
    /// A tree that maps nothing, with its level-4 table in the given frame.
    ///
    /// # Safety
    ///
    /// The frame is the caller's, and used for nothing else as long as the tree lives.
    pub unsafe fn new(root: PhysFrame, mmu: M) -> Self {
        let mut tables = Self { root, mmu, count: 0 };
        tables.table(root).zero();
        tables
    }

    /// The tree that somebody else built.
    ///
    /// # Safety
    ///
    /// `root` is a level-4 table that meets the type's invariants, and nobody else changes it.
    pub unsafe fn existing(root: PhysFrame, mmu: M) -> Self {
        Self { root, mmu, count: 0 }
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

    /// Tables below the root.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Goes down to a page. Constant time.
    #[inline]
    pub fn walk(&mut self, page: u64) -> Walk {
        let mut walk = Walk { path: [self.root; DEPTH], depth: 1 };
        while walk.depth < DEPTH
            && let Ok(next) = self.entry(&walk, page).frame()
        {
            walk.path[walk.depth] = next;
            walk.depth += 1;
        }
        walk
    }

    /// What the page is mapped to, at the end of the walk to it.
    #[inline]
    pub fn leaf_at(&mut self, walk: &Walk, page: u64) -> Option<Leaf> {
        if walk.missing() > 0 { None } else { leaf_of(self.entry(walk, page)) }
    }

    /// What the page is mapped to, if it is. Constant time.
    pub fn leaf(&mut self, page: u64) -> Option<Leaf> {
        let walk = self.walk(page);
        self.leaf_at(&walk, page)
    }

    /// Maps the page at the end of a walk, which is not mapped; for missing tables, frames are
    /// taken that were set aside. Nothing has to be flushed. The walk leads to the entry then.
    ///
    /// Tables of the lower half let ring 3 through; whether it may use a page is up to the page's
    /// own flags.
    ///
    /// # Panics
    ///
    /// When the page is mapped.
    ///
    /// # Safety
    ///
    /// Accesses to the page are accesses to the frame: the caller answers for both.
    #[inline(always)]
    pub unsafe fn enter(&mut self, payer: &mut Payer<'_>, walk: &mut Walk, page: u64, leaf: Leaf) {
        if walk.missing() > 0 {
            self.add_tables(payer, walk, page);
        }
        let entry = self.entry(walk, page);
        assert!(entry.is_unused(), "the page is not mapped yet");
        entry.set_frame(leaf.frame, leaf.flags);
        payer.share(walk.last());
        self.tell(page, Some(leaf));
        payer.pool.trace.record(Event::Map { page, frame: leaf.frame.start_address().as_u64() });
    }

    /// Adds the tables that a walk misses.
    #[cold]
    fn add_tables(&mut self, payer: &mut Payer<'_>, walk: &mut Walk, page: u64) {
        while walk.depth < DEPTH {
            let frame = payer.take(Purpose::Table);
            self.table(frame).zero();
            self.count += 1;
            let mut flags = PageTableFlags::PRESENT | PageTableFlags::WRITABLE;
            flags.set(PageTableFlags::USER_ACCESSIBLE, page < HIGHER_HALF);
            let entry = self.entry(walk, page);
            assert!(entry.is_unused(), "no large page is there");
            entry.set_frame(frame, flags);
            if walk.depth > 1 {
                payer.share(walk.last());
            }
            walk.path[walk.depth] = frame;
            walk.depth += 1;
            self.tell_table(page, walk.depth, Some(frame));
        }
    }

    /// Maps the page at the end of a walk, which is mapped, to another frame, or to the same one
    /// with more permissions, and tells the CPUs. More permissions need not be told to the others:
    /// an access that fails for want of them faults, and finds them.
    ///
    /// # Safety
    ///
    /// As for [`enter`](Self::enter).
    pub unsafe fn replace(&mut self, walk: &Walk, page: u64, leaf: Leaf) {
        let entry = self.entry(walk, page);
        let before = entry.addr();
        entry.set_frame(leaf.frame, leaf.flags);
        self.mmu.flush(page);
        if before != leaf.frame.start_address() {
            self.mmu.flush_others(self.root, page);
        }
        self.tell(page, Some(leaf));
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

    /// The entry for a page in the last table of a walk to it.
    #[inline]
    fn entry(&mut self, walk: &Walk, page: u64) -> &mut PageTableEntry {
        &mut self.table(walk.last())[index(page, walk.depth)]
    }

    /// The table in a frame that the tree holds as a table.
    #[inline]
    fn table(&mut self, frame: PhysFrame) -> &mut PageTable {
        self.table_and_mmu(frame).0
    }

    /// The same, and what tells the processor of a change.
    #[inline]
    fn table_and_mmu(&mut self, frame: PhysFrame) -> (&mut PageTable, &M) {
        let table = self.mmu.frame_to_pointer(frame);
        // SAFETY: the frame is accessible (`Mmu`) and belongs to this tree, which is borrowed
        // mutably; the table is no part of the `Mmu`.
        (unsafe { &mut *table }, &self.mmu)
    }
}

/// What an entry of a level-1 table maps to, if it is used.
fn leaf_of(entry: &PageTableEntry) -> Option<Leaf> {
    Some(Leaf { frame: entry.frame().ok()?, flags: entry.flags() })
}

/// Bytes that an entry of a table at this depth covers.
const fn covers(depth: usize) -> u64 {
    PAGE_SIZE << (9 * (DEPTH - depth))
}

/// Where the address's entry is in its table at this depth.
const fn index(address: u64, depth: usize) -> usize {
    (address / covers(depth) % ENTRIES) as usize
}

#[cfg(test)]
pub(crate) mod tests;
