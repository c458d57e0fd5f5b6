//! Memory that processes share on purpose, as `mmap` with `MAP_SHARED` and `MAP_ANONYMOUS` makes
//! it, as long as an area maps it.

use alloc::vec::Vec;
use core::iter;

use x86_64::structures::paging::PhysFrame;

use super::frames::OutOfFrames;
use super::pages::Pages;
use super::pool::Payer;
use super::tables::{Budget, Mmu};
use crate::address_space::{Decision, Errno, ObjectId, tables_of};
use crate::words::Permissions;
use crate::words::layout::{LOWER_HALF_END, PAGE_SIZE};

/// Numbered pages, each with a frame from its first touch on, whoever has them mapped.
///
/// The frames are found as those of a process are: in page tables, at page × 4096. Nobody runs on
/// these.
///
/// # Invariants
///
/// The object owns a share of each of its frames; each entry of a process that maps one owns
/// another. `charged` frames are charged for it, which is what its pages and tables need at most.
pub struct Object<M> {
    frames: Pages<M>,
    end: u64,
    /// Below this, all frames are let go of.
    freed: u64,
    charged: u64,
}

impl<M: Mmu + Clone> Object<M> {
    /// An object of so many pages, of which nothing was touched. Takes one frame, for its tables.
    ///
    /// # Errors
    ///
    /// There is none, or the pages could not be promised. Nothing has changed.
    pub fn new(
        payer: &mut Payer<'_>,
        kernel: &mut Pages<M>,
        pages: u64,
    ) -> Result<Self, OutOfFrames> {
        let end = pages.saturating_mul(PAGE_SIZE).min(LOWER_HALF_END);
        let charged = end / PAGE_SIZE + tables_of(None, None, iter::once((0, end)));
        payer.charge(charged)?;
        let frames = Pages::new(payer, kernel).inspect_err(|_| payer.uncharge(charged))?;
        Ok(Self { frames, end, freed: 0, charged })
    }

    /// Pages that have a frame.
    #[cfg(test)]
    pub const fn resident(&self) -> u64 {
        self.frames.resident()
    }

    /// The frame of a page, which is zeroed when it is first asked for.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    #[inline(never)]
    pub fn frame(&mut self, payer: &mut Payer<'_>, index: u64) -> Result<PhysFrame, OutOfFrames> {
        let page = index * PAGE_SIZE;
        if let Some(frame) = self.frames.frame(page) {
            return Ok(frame);
        }
        let found = self.frames.find(payer.pool, page);
        self.frames.carry_out(payer, found, (Decision::MapZeroed, Permissions::empty()), None)?;
        Ok(self.frames.frame(page).expect("it was just mapped"))
    }

    /// Lets go of a slice of its frames. `false` if it has to be called again to finish.
    fn shrink(&mut self, payer: &mut Payer<'_>) -> bool {
        self.freed = self.frames.unmap(payer, self.freed, self.end, &mut Budget::slice());
        self.freed == self.end
    }

    /// Gives everything back.
    pub fn destroy(self, payer: &mut Payer<'_>) {
        self.frames.destroy(payer);
        payer.uncharge(self.charged);
    }
}

/// All objects of a system, by number, with the pages of areas that map each: a page counts once
/// for each area that has it.
///
/// # Invariants
///
/// Sorted by number; all numbers are below `next`. `unused` objects have no page that an area maps.
pub struct Objects<M> {
    list: Vec<(ObjectId, u64, Object<M>)>,
    next: u32,
    unused: usize,
}

impl<M: Mmu + Clone> Objects<M> {
    /// No objects.
    pub const EMPTY: Self = Self { list: Vec::new(), next: 0, unused: 0 };

    /// Makes room for one object more. `reserve` makes sure of bytes on the kernel's heap.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the kernel's heap has none.
    pub fn make_room(
        &mut self,
        reserve: impl FnOnce(usize) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        let have = self.list.len();
        if have == self.list.capacity() {
            reserve((2 * have).max(4) * size_of::<(ObjectId, u64, Object<M>)>())?;
        }
        self.list.try_reserve(1).map_err(|_| Errno::ENOMEM)
    }

    /// Enters an object that an area maps all of, which has so many pages.
    pub fn insert(&mut self, object: Object<M>, pages: u64) -> ObjectId {
        let id = ObjectId(self.next);
        self.next += 1;
        self.list.push((id, pages, object));
        id
    }

    /// The frame of a page of the object of that number.
    ///
    /// # Errors
    ///
    /// As for [`Object::frame`].
    pub fn frame(
        &mut self,
        payer: &mut Payer<'_>,
        id: ObjectId,
        page: u64,
    ) -> Result<PhysFrame, OutOfFrames> {
        let (_, _, object) = self.find(id).expect("an object stays as long as it is mapped");
        object.frame(payer, page)
    }

    /// An area more maps so many pages of the object.
    pub fn share(&mut self, id: ObjectId, pages: u64) {
        if let Some((_, mapped, _)) = self.find(id) {
            *mapped += pages;
        }
    }

    /// So many pages of an area map it no more.
    pub fn release(&mut self, id: ObjectId, pages: u64) {
        if let Some((_, mapped, _)) = self.find(id) {
            *mapped -= pages;
            self.unused += usize::from(*mapped == 0);
        }
    }

    /// Whether nothing maps one of them. Constant time.
    pub const fn has_unused(&self) -> bool {
        self.unused > 0
    }

    /// Frees a slice of the objects that nothing maps. `false` if it has to be called again to
    /// finish.
    pub fn collect(&mut self, payer: &mut Payer<'_>) -> bool {
        if self.unused > 0
            && let Some(at) = self.list.iter().position(|(_, mapped, _)| *mapped == 0)
            && self.list[at].2.shrink(payer)
        {
            self.list.remove(at).2.destroy(payer);
            self.unused -= 1;
        }
        self.unused == 0
    }

    fn find(&mut self, id: ObjectId) -> Option<&mut (ObjectId, u64, Object<M>)> {
        let at = self.list.binary_search_by_key(&id, |(id, ..)| *id).ok()?;
        self.list.get_mut(at)
    }
}
