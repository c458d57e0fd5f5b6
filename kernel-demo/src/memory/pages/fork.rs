//! A second process with the same memory: every frame is shared, and copied when one of the two writes.

use core::convert::Infallible;

use x86_64::structures::paging::PageTableFlags;

use super::{OBJECT, Pages, enter};
use crate::memory::frames::OutOfFrames;
use crate::memory::layout::LOWER_HALF_END;
use crate::memory::manager::Reach;
use crate::memory::tables::Leaf;
use crate::memory::trace::Purpose;

impl<R: Reach> Pages<R> {
    /// Page tables that map the same frames, none of them writable, here neither, but for those of objects, which stay as they
    /// are. Takes frames for tables only. Linear in the pages mapped.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn fork(&mut self) -> Result<Self, OutOfFrames> {
        let mut child = Self::new(self.reach.clone())?;
        let Self { tables, reach, .. } = self;
        // If this fails, dropping the child gives back what it has so far.
        reach.with(|memory| {
            let (zero_page, pool) = (memory.zero_page(), &mut memory.pool);
            tables.visit(0, LOWER_HALF_END, &mut |page, leaf| {
                let counted = leaf.frame != zero_page;
                if counted {
                    pool.share(leaf.frame);
                }
                // SAFETY: the new share is the entry's, or it is the zero page.
                let entered = unsafe { enter(pool, &mut child.tables, page, not_writable(leaf)) };
                match entered {
                    Ok(added) => {
                        child.table_frames += added;
                        child.resident += u64::from(counted);
                    }
                    Err(_) if counted => pool.release(leaf.frame, Purpose::Page),
                    Err(_) => {}
                }
                entered.map(|_| ())
            })
        })?;
        child.peak = child.resident;
        // SAFETY: the frames are what they were, and none becomes writable.
        let Ok(()) = unsafe { tables.change(0, LOWER_HALF_END, &mut |_, leaf| Ok::<_, Infallible>(not_writable(leaf))) };
        Ok(child)
    }
}

/// The same entry, to be copied when somebody writes.
fn not_writable(leaf: Leaf) -> Leaf {
    let flags = if leaf.flags.contains(OBJECT) { leaf.flags } else { leaf.flags - PageTableFlags::WRITABLE };
    Leaf { flags, ..leaf }
}
