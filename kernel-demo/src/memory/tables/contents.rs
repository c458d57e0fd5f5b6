//! Translations, the entries that lead to one, and what is in frames, reached through the [`Mmu`].

use core::array;

use x86_64::VirtAddr;
use x86_64::structures::paging::mapper::{MappedPageTable, TranslateResult};
use x86_64::structures::paging::{PageTableFlags, PhysFrame, Translate};

use super::{DEPTH, Mmu, Tables};
use crate::words::layout::{PAGE_SIZE, page_floor};

/// What an address translates to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translation {
    /// The physical address.
    pub physical: u64,
    /// The flags of the entry that maps it.
    pub flags: PageTableFlags,
}

impl<M: Mmu> Tables<M> {
    /// What the address translates to, `None` when it is not mapped.
    pub fn translate(&mut self, address: u64) -> Option<Translation> {
        match self.mapper().translate(VirtAddr::new(address)) {
            TranslateResult::Mapped { frame, offset, flags } => {
                Some(Translation { physical: frame.start_address().as_u64() + offset, flags })
            }
            TranslateResult::NotMapped | TranslateResult::InvalidFrameAddress(_) => None,
        }
    }

    /// The entries on the way to an address, from level 4 down, as far as there are tables: below,
    /// zeroes. Constant time.
    pub fn entries_to(&mut self, address: u64) -> [u64; DEPTH] {
        let page = page_floor(address);
        let mut walk = self.walk(page);
        let depth = walk.depth;
        array::from_fn(|index| {
            walk.depth = depth.min(index + 1);
            let entry = self.entry(&walk, page);
            if index < depth { entry.addr().as_u64() | entry.flags().bits() } else { 0 }
        })
    }

    /// Where the bytes of a frame are, of which an entry holds a share.
    pub fn bytes(&self, frame: PhysFrame) -> *mut u8 {
        self.mmu.frame_to_pointer(frame).cast()
    }

    /// The bytes of a frame.
    ///
    /// # Safety
    ///
    /// The frame is the caller's to read and write, and is no table. Nobody else holds a reference
    /// into it.
    pub unsafe fn contents(&mut self, frame: PhysFrame) -> &mut [u8; PAGE_SIZE as usize] {
        let bytes = self.mmu.frame_to_pointer(frame).cast();
        // SAFETY: the `Mmu` makes the whole frame accessible, any bytes are valid, and the caller
        // says that it is free to use.
        unsafe { &mut *bytes }
    }

    /// Copies what is in a frame to another one.
    ///
    /// # Safety
    ///
    /// As for [`contents`](Self::contents), for both.
    pub unsafe fn copy(&mut self, from: PhysFrame, to: PhysFrame) {
        let (from, to) = (self.mmu.frame_to_pointer(from), self.mmu.frame_to_pointer(to));
        // SAFETY: the `Mmu` makes both frames accessible as a whole, and the caller says that they
        // are free to use.
        unsafe { from.copy_to(to, 1) };
    }

    /// The same tree, as the library changes it. What it maps stays for good: it does not count
    /// what is in use of a table.
    pub fn mapper(&mut self) -> MappedPageTable<'_, &M> {
        let (root, mmu) = self.table_and_mmu(self.root);
        // SAFETY: it is a level-4 table, whose tables the `Mmu` reaches.
        unsafe { MappedPageTable::new(root, mmu) }
    }
}
