//! Memory that processes share on purpose, as `mmap` with `MAP_SHARED` and `MAP_ANONYMOUS` makes
//! it.
//!
//! An object is numbered pages, each with a frame from its first touch on, whoever has them mapped.
//! The frames are found as those of a process are: in page tables, at page × 4096. Nobody runs on
//! these.

use x86_64::structures::paging::PhysFrame;

use super::Pages;
use crate::memory::breaks::cost;
use crate::memory::frames::OutOfFrames;
use crate::memory::layout::{LOWER_HALF_END, PAGE_SIZE};
use crate::memory::manager::Reach;
use crate::memory::permissions::Permissions;
use crate::memory::tables::Work;

/// Memory that processes share on purpose.
///
/// # Invariants
///
/// The object owns a share of each of its frames; each entry of a process that maps one owns
/// another. `charged` frames are charged for it, which is what its pages and tables need at most.
pub struct Object<R: Reach> {
    frames: Pages<R>,
    charged: u64,
}

impl<R: Reach> Object<R> {
    /// An object of so many pages, of which nothing was touched. Takes one frame, for its tables.
    ///
    /// # Errors
    ///
    /// There is none, or the pages could not be promised.
    pub fn new(reach: R, pages: u64) -> Result<Self, OutOfFrames> {
        let frames = Pages::new(reach)?;
        let charged = cost(0, pages.saturating_mul(PAGE_SIZE).min(LOWER_HALF_END)) as u64;
        frames.reach.with(|memory| memory.charge(charged))?;
        Ok(Self { frames, charged })
    }

    /// Pages that have a frame.
    pub const fn resident(&self) -> u64 {
        self.frames.resident()
    }

    /// Lets go of a slice of its frames. `false` if it has to be called again to finish.
    pub fn shrink(&mut self) -> bool {
        self.frames.unmap(0, LOWER_HALF_END, &mut Work::slice()) == LOWER_HALF_END
    }

    /// The frame of a page, which is zeroed when it is first asked for.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub(super) fn frame(&mut self, index: u64) -> Result<PhysFrame, OutOfFrames> {
        let mut spot = self
            .frames
            .spot(index * PAGE_SIZE)
            .expect("an object has no more pages than the lower half");
        if let Some(frame) = spot.frame() {
            return Ok(frame);
        }
        spot.map_zeroed(Permissions::empty())?;
        Ok(spot.frame().expect("it was just mapped"))
    }
}

impl<R: Reach> Drop for Object<R> {
    fn drop(&mut self) {
        self.frames.unmap_all(0, LOWER_HALF_END);
        self.frames.reach.with(|memory| memory.uncharge(self.charged));
    }
}
