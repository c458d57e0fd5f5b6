//! A second process with the same memory: every frame is shared, and copied when one of the two
//! writes.

use x86_64::structures::paging::{FrameAllocator, PageTableFlags, PhysFrame, Size4KiB};

use super::{OBJECT, Pages, Tally};
use crate::memory::frames::OutOfFrames;
use crate::memory::manager::{Memory, Reach};
use crate::memory::tables::{Leaf, Mmu, Work};
use crate::memory::trace::{Event, Purpose};

impl<R: Reach> Pages<R> {
    /// Page tables for a child, into which [`continue_fork`](Self::continue_fork) copies. As many
    /// frames as there are tables here are set aside, so that nothing can fail from then on.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn begin_fork(&self) -> Result<Self, OutOfFrames> {
        let mut child = Self::new(self.reach.clone())?;
        let tables = self.tally.tables as usize;
        self.reach.with(|memory| {
            let (pool, account) = memory.payer();
            pool.set_aside(account, tables)
        })?;
        child.set_aside = tables;
        Ok(child)
    }

    /// Maps the same frames in the child, none of them writable, here neither, but for those of
    /// objects, which stay as they are. All that is mapped lies in `areas`, which are sorted and do
    /// not overlap. `false` if it has to be called again, with the same arguments, to finish.
    ///
    /// Linear in the pages mapped, and in the size of the areas where a level-1 table covers it.
    pub fn continue_fork(
        &mut self,
        child: &mut Self,
        areas: impl IntoIterator<Item = (u64, u64)>,
    ) -> bool {
        let Self { tables, reach, resume, .. } = self;
        let mut work = Work::slice();
        let begun = *resume;
        let rest = areas.into_iter().filter(|(_, end)| *end > begun);
        let done = reach.with(|memory| {
            let Self { tables: copies, tally, set_aside, .. } = &mut *child;
            let mut sharing = Sharing { memory, tally, set_aside };
            for (start, end) in rest {
                let from = start.max(*resume);
                // SAFETY: each entry has its share, and none becomes writable.
                let reached = unsafe {
                    tables.duplicate(
                        copies,
                        from,
                        end,
                        &mut work,
                        &mut sharing,
                        &mut Sharing::share,
                    )
                };
                *resume = reached;
                if reached < end {
                    return false;
                }
            }
            true
        });
        if done {
            *resume = 0;
            child.put_back();
        }
        done
    }

    /// [`begin_fork`](Self::begin_fork) and the rest in one go.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn fork(
        &mut self,
        areas: impl IntoIterator<Item = (u64, u64)> + Clone,
    ) -> Result<Self, OutOfFrames> {
        let mut child = self.begin_fork()?;
        while !self.continue_fork(&mut child, areas.clone()) {}
        Ok(child)
    }

    /// Gives back the frames that were set aside and are not needed.
    pub(super) fn put_back(&mut self) {
        let frames = core::mem::take(&mut self.set_aside);
        self.reach.with(|memory| {
            let (pool, account) = memory.payer();
            pool.put_back(account, frames);
        });
    }
}

/// Shares frames, and makes tables of those that were set aside.
struct Sharing<'a, M> {
    memory: &'a mut Memory<M>,
    tally: &'a mut Tally,
    set_aside: &'a mut usize,
}

impl<M: Mmu> Sharing<'_, M> {
    /// What becomes of the flags of an entry, of which there are two now: it is not writable, so
    /// that it is copied when somebody writes.
    #[inline]
    fn share(&mut self, page: u64, leaf: Leaf) -> PageTableFlags {
        if leaf.frame != self.memory.zero_page() {
            self.memory.pool.share(leaf.frame);
            self.tally.grow();
        }
        let frame = leaf.frame.start_address().as_u64();
        self.memory.pool.trace.record(Event::Map { page, frame });
        if leaf.flags.contains(OBJECT) { leaf.flags } else { leaf.flags - PageTableFlags::WRITABLE }
    }
}

// SAFETY: each frame was taken from the page allocator and is handed out once.
unsafe impl<M: Mmu> FrameAllocator<Size4KiB> for Sharing<'_, M> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        *self.set_aside = self.set_aside.checked_sub(1)?;
        self.tally.tables += 1;
        let (pool, account) = self.memory.payer();
        Some(pool.take_set_aside(account, Purpose::Table))
    }
}
