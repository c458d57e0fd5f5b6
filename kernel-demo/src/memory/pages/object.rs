//! Memory that processes share on purpose, as `mmap` with `MAP_SHARED` and `MAP_ANONYMOUS` makes
//! it.
//!
//! An object is numbered pages, each with a frame from its first touch on, whoever has them mapped.
//! The frames are found as those of a process are: in page tables, at page × 4096. Nobody runs on
//! these.

use x86_64::structures::paging::PhysFrame;

use super::Pages;
use crate::memory::frames::OutOfFrames;
use crate::memory::layout::PAGE_SIZE;
use crate::memory::manager::Reach;
use crate::memory::permissions::Permissions;

/// Memory that processes share on purpose.
///
/// # Invariants
///
/// The object owns a share of each of its frames; each entry of a process that maps one owns
/// another.
pub struct Object<R: Reach> {
    frames: Pages<R>,
}

impl<R: Reach> Object<R> {
    /// An object of which nothing was touched. Takes one frame, for its tables.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn new(reach: R) -> Result<Self, OutOfFrames> {
        Ok(Self { frames: Pages::new(reach)? })
    }

    /// Pages that have a frame.
    pub const fn resident(&self) -> u64 {
        self.frames.resident()
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
