//! A second process with the same memory: every frame is shared, and copied when one of the two
//! writes.

use x86_64::structures::paging::{FrameAllocator, PageTableFlags, PhysFrame, Size4KiB};

use super::{OBJECT, Pages, Tally};
use crate::memory::frames::{OutOfFrames, Reservation};
use crate::memory::manager::Reach;
use crate::memory::pool::Pool;
use crate::memory::tables::Leaf;
use crate::memory::trace::{Event, Purpose};

impl<R: Reach> Pages<R> {
    /// Page tables that map the same frames, none of them writable, here neither, but for those of
    /// objects, which stay as they are. All that is mapped lies in `areas`, which do not
    /// overlap. Takes frames for tables only, as many as there are here, and all of
    /// them are promised before anything changes.
    ///
    /// Linear in the pages mapped, and in the size of the areas where a level-1 table covers it.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn fork(
        &mut self,
        areas: impl IntoIterator<Item = (u64, u64)>,
    ) -> Result<Self, OutOfFrames> {
        let mut child = Self::new(self.reach.clone())?;
        let Self { tables, reach, tally } = self;
        reach.with(|memory| {
            let (zero_page, most) = (memory.zero_page(), tally.tables as usize);
            let mut sharing = Sharing {
                pool: &mut memory.pool,
                promise: Reservation::EMPTY,
                zero_page,
                shared: 0,
            };
            sharing.pool.frames.reserve(&mut sharing.promise, most)?;
            for (start, end) in areas {
                // SAFETY: each entry has its share, and none becomes writable.
                unsafe {
                    tables.duplicate(
                        &mut child.tables,
                        start,
                        end,
                        &mut sharing,
                        &mut Sharing::share,
                    )
                };
            }
            let Sharing { pool, mut promise, shared, .. } = sharing;
            let unused = promise.frames();
            pool.frames.unreserve(&mut promise, unused);
            child.tally = Tally { resident: shared, peak: shared, tables: (most - unused) as u64 };
            Ok(())
        })?;
        Ok(child)
    }
}

/// Shares frames, and makes tables of those that were promised.
struct Sharing<'a> {
    pool: &'a mut Pool,
    promise: Reservation,
    zero_page: PhysFrame,
    /// Frames shared so far.
    shared: u64,
}

impl Sharing<'_> {
    /// What becomes of the flags of an entry, of which there are two now: it is not writable, so
    /// that it is copied when somebody writes.
    #[inline]
    fn share(&mut self, page: u64, leaf: Leaf) -> PageTableFlags {
        if leaf.frame != self.zero_page {
            self.pool.share(leaf.frame);
            self.shared += 1;
        }
        self.pool.trace.record(Event::Map { page, frame: leaf.frame.start_address().as_u64() });
        if leaf.flags.contains(OBJECT) { leaf.flags } else { leaf.flags - PageTableFlags::WRITABLE }
    }
}

// SAFETY: each frame was taken from the page allocator and is handed out once.
unsafe impl FrameAllocator<Size4KiB> for Sharing<'_> {
    fn allocate_frame(&mut self) -> Option<PhysFrame> {
        (self.promise.frames() > 0)
            .then(|| self.pool.take_reserved(&mut self.promise, Purpose::Table))
    }
}
