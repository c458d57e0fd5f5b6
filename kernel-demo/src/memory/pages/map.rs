//! What serving a page fault does to a page: one method for each decision of the address space.
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
//! Each takes the time of a few walks through four tables, and of what is said.

use x86_64::structures::paging::PageTableFlags;

use super::{OBJECT, Object, Pages, enter, flags, state};
use crate::address_space::PageState;
use crate::memory::frames::OutOfFrames;
use crate::memory::manager::Reach;
use crate::memory::permissions::Permissions;
use crate::memory::tables::Leaf;
use crate::memory::trace::Purpose;

impl<R: Reach> Pages<R> {
    /// Maps a page that is missing to the zero page, read-only whatever the permissions. Takes no frame but for tables.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When something is mapped there.
    pub fn map_zero_page(&mut self, page: u64, permissions: Permissions) -> Result<(), OutOfFrames> {
        let Self { tables, reach, .. } = self;
        self.table_frames += reach.with(|memory| {
            let leaf = Leaf { frame: memory.zero_page(), flags: flags(permissions) - PageTableFlags::WRITABLE };
            // SAFETY: it is the zero page, and not writable.
            unsafe { enter(&mut memory.pool, tables, page, leaf) }
        })?;
        Ok(())
    }

    /// Maps a page that is missing, or mapped to the zero page, to a frame of its own, which is zeroed.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When something else is mapped there.
    pub fn map_zeroed(&mut self, page: u64, permissions: Permissions) -> Result<(), OutOfFrames> {
        let Self { tables, reach, .. } = self;
        self.table_frames += reach.with(|memory| {
            let frame = memory.pool.take(Purpose::Page)?;
            // SAFETY: the frame just came from the page allocator, so nobody else uses it.
            unsafe { tables.zero(frame, 0) };
            let leaf = Leaf { frame, flags: flags(permissions) };
            if tables.leaf(page).is_some_and(|old| old.frame == memory.zero_page()) {
                // SAFETY: the frame's one share is the entry's.
                unsafe { tables.replace(page, leaf) };
                return Ok(0);
            }
            // SAFETY: as above.
            let entered = unsafe { enter(&mut memory.pool, tables, page, leaf) };
            entered.inspect_err(|_| memory.pool.give(frame, Purpose::Page))
        })?;
        self.grown(1);
        Ok(())
    }

    /// Puts a writable frame of its own behind a page that is mapped to the zero page or shares a frame, with the same bytes in
    /// it.
    ///
    /// # Errors
    ///
    /// There is no frame. Nothing has changed.
    ///
    /// # Panics
    ///
    /// When something else is mapped there.
    pub fn copy(&mut self, page: u64) -> Result<(), OutOfFrames> {
        let Self { tables, reach, .. } = self;
        let was_zero = reach.with(|memory| {
            let old = tables.leaf(page).map(|leaf| (leaf, state(memory, leaf)));
            let Some((old, is @ (PageState::ZeroPage | PageState::Shared))) = old else {
                panic!("a page to copy shares its frame, and this is {old:?}");
            };
            let frame = memory.pool.take(Purpose::Page)?;
            // SAFETY: the frame just came from the page allocator, so nobody else uses it; nobody writes to a shared one.
            unsafe { tables.copy(old.frame, frame) };
            // SAFETY: the frame's one share is the entry's.
            unsafe { tables.replace(page, Leaf { frame, flags: old.flags | PageTableFlags::WRITABLE }) };
            if is == PageState::Shared {
                memory.pool.release(old.frame, Purpose::Page);
            }
            Ok(is == PageState::ZeroPage)
        })?;
        self.grown(was_zero.into());
        Ok(())
    }

    /// Lets a page be written that has its frame to itself, or one of an [`Object`].
    ///
    /// # Panics
    ///
    /// When something else is mapped there.
    pub fn make_writable(&mut self, page: u64) {
        let Self { tables, reach, .. } = self;
        let own = tables.leaf(page).filter(|leaf| reach.with(|memory| state(memory, *leaf)) == PageState::Own);
        let own = own.expect("a page to write to has its frame to itself");
        // SAFETY: the frame is what it was, and has one owner or is an object's.
        unsafe { tables.replace(page, Leaf { flags: own.flags | PageTableFlags::WRITABLE, ..own }) };
    }

    /// Maps a page that is missing to a page of an object, which gets a zeroed frame if it has none yet.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed, but that the object may have its frame now.
    ///
    /// # Panics
    ///
    /// When something is mapped there.
    pub fn map_object(
        &mut self,
        page: u64,
        object: &mut Object<R>,
        index: u64,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let frame = object.frame(index)?;
        let Self { tables, reach, .. } = self;
        self.table_frames += reach.with(|memory| {
            memory.pool.share(frame);
            // SAFETY: the new share is the entry's.
            let entered = unsafe { enter(&mut memory.pool, tables, page, Leaf { frame, flags: flags(permissions) | OBJECT }) };
            entered.inspect_err(|_| memory.pool.release(frame, Purpose::Page))
        })?;
        self.grown(1);
        Ok(())
    }
}
