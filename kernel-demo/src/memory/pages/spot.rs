//! One page of a process: what is there, and what serving a page fault does to it, one method for
//! each decision of the address space.
//!
//! ```text
//!   Missing ──read──► ZeroPage                                         map_zero_page
//!      │                 │ write
//!      └──── write ──────┴───────────────────────► Own, writable       map_zeroed
//!   Shared ──── write, others own it too ────────► Own, writable       copy
//!      └─ the others are gone ─► Own ── write ───► Own, writable       make_writable
//!   Missing ──── in shared memory ───────────────► Own (object)        map_object
//! ```
//!
//! The way through the four tables is gone once, when the spot is made.

use x86_64::structures::paging::{PageTableFlags, PhysFrame};

use super::{OBJECT, Object, Tally, flags, state};
use crate::address_space::PageState;
use crate::memory::enter::enter;
use crate::memory::frames::OutOfFrames;
use crate::memory::manager::Reach;
use crate::memory::permissions::Permissions;
use crate::memory::tables::{Leaf, Way};
use crate::memory::trace::Purpose;

/// A page of the lower half.
pub struct Spot<'p, R: Reach> {
    way: Way<'p, R::Mmu>,
    reach: &'p R,
    tally: &'p mut Tally,
}

impl<'p, R: Reach> Spot<'p, R> {
    /// The page at the end of the way.
    pub(super) const fn new(way: Way<'p, R::Mmu>, reach: &'p R, tally: &'p mut Tally) -> Self {
        Self { way, reach, tally }
    }

    /// What is mapped there. Constant time.
    #[inline]
    pub fn state(&mut self) -> PageState {
        self.way
            .leaf()
            .map_or(PageState::Missing, |leaf| self.reach.with(|memory| state(memory, leaf)))
    }

    /// The frame behind the page.
    pub(super) fn frame(&mut self) -> Option<PhysFrame> {
        self.way.leaf().map(|leaf| leaf.frame)
    }

    /// Maps the page, which is missing, to the zero page, read-only whatever the permissions. Takes
    /// no frame but for tables.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When something is mapped there.
    pub fn map_zero_page(&mut self, permissions: Permissions) -> Result<(), OutOfFrames> {
        let Self { way, reach, tally } = self;
        tally.tables += reach.with(|memory| {
            let leaf = Leaf {
                frame: memory.zero_page(),
                flags: flags(permissions) - PageTableFlags::WRITABLE,
            };
            // SAFETY: it is the zero page, and not writable.
            unsafe { enter(memory.payer(), way, leaf) }
        })?;
        Ok(())
    }

    /// Maps the page, which is missing or mapped to the zero page, to a frame of its own, which is
    /// zeroed.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When something else is mapped there.
    pub fn map_zeroed(&mut self, permissions: Permissions) -> Result<(), OutOfFrames> {
        let Self { way, reach, tally } = self;
        tally.tables += reach.with(|memory| {
            let frame = memory.take(Purpose::Page)?;
            // SAFETY: the frame just came from the page allocator, so nobody else uses it.
            unsafe { way.tables().zero(frame, 0) };
            let leaf = Leaf { frame, flags: flags(permissions) };
            if way.leaf().is_some_and(|old| old.frame == memory.zero_page()) {
                // SAFETY: the frame's one share is the entry's.
                unsafe { way.replace(leaf) };
                return Ok(0);
            }
            // SAFETY: the frame's one share is the entry's.
            let entered = unsafe { enter(memory.payer(), way, leaf) };
            entered.inspect_err(|_| memory.release(frame, Purpose::Page))
        })?;
        tally.grow();
        Ok(())
    }

    /// Puts a writable frame of its own behind the page, which is mapped to the zero page or shares
    /// a frame, with the same bytes in it.
    ///
    /// # Errors
    ///
    /// There is no frame. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When something else is mapped there.
    pub fn copy(&mut self) -> Result<(), OutOfFrames> {
        let Self { way, reach, tally } = self;
        let was_zero = reach.with(|memory| {
            let old = way.leaf().map(|leaf| (leaf, state(memory, leaf)));
            let Some((old, is @ (PageState::ZeroPage | PageState::Shared))) = old else {
                panic!("a page to copy shares its frame, and this is {old:?}");
            };
            let frame = memory.take(Purpose::Page)?;
            // SAFETY: the frame just came from the page allocator, so nobody else uses it; nobody
            // writes to a shared one.
            unsafe { way.tables().copy(old.frame, frame) };
            // SAFETY: the frame's one share is the entry's.
            unsafe { way.replace(Leaf { frame, flags: old.flags | PageTableFlags::WRITABLE }) };
            if is == PageState::Shared {
                memory.release(old.frame, Purpose::Page);
            }
            Ok(is == PageState::ZeroPage)
        })?;
        if was_zero {
            tally.grow();
        }
        Ok(())
    }

    /// Lets the page be written, which has its frame to itself, or one of an [`Object`].
    ///
    /// # Panics
    ///
    /// When something else is mapped there.
    pub fn make_writable(&mut self) {
        let Self { way, reach, .. } = self;
        let own =
            way.leaf().filter(|leaf| reach.with(|memory| state(memory, *leaf)) == PageState::Own);
        let own = own.expect("a page to write to has its frame to itself");
        // SAFETY: the frame is what it was, and has one owner or is an object's.
        unsafe { way.replace(Leaf { flags: own.flags | PageTableFlags::WRITABLE, ..own }) };
    }

    /// Maps the page, which is missing, to a page of an object, which gets a zeroed frame if it has
    /// none yet.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed, but that the object may have its frame
    /// now.
    ///
    /// # Panics
    ///
    /// When something is mapped there.
    pub fn map_object(
        &mut self,
        object: &mut Object<R>,
        index: u64,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let frame = object.frame(index)?;
        let Self { way, reach, tally } = self;
        tally.tables += reach.with(|memory| {
            memory.pool.share(frame);
            // SAFETY: the new share is the entry's.
            let entered = unsafe {
                enter(memory.payer(), way, Leaf { frame, flags: flags(permissions) | OBJECT })
            };
            entered.inspect_err(|_| memory.release(frame, Purpose::Page))
        })?;
        tally.grow();
        Ok(())
    }
}
