//! What a page fault that is served makes of a page.
//!
//! ```text
//!   Missing ──read──► ZeroPage ──write──► Own          map_zero_page, copy
//!      │                                   ▲
//!      └──write────────────────────────────┤           map_zeroed
//!   Shared ──write, others own it──────────┤           copy
//!      └──the others are gone──► Own, not writable ──write──► writable        make_writable
//! ```
//!
//! Each takes the time of a walk through four tables, and what is said.

use core::convert::Infallible;

use x86_64::structures::paging::PageTableFlags;

use super::{OBJECT, Object, PageState, Pages, enter, flags, state};
use crate::memory::frames::OutOfFrames;
use crate::memory::layout::PAGE_SIZE;
use crate::memory::manager::Reach;
use crate::memory::space::Permissions;
use crate::memory::tables::{Leaf, Mmu, Tables};
use crate::memory::trace::Purpose;

impl<R: Reach> Pages<R> {
    /// Maps a page that is not mapped to the zero page, read-only whatever the permissions. Takes no frame but for tables.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn map_zero_page(&mut self, page: u64, permissions: Permissions) -> Result<(), OutOfFrames> {
        let Self { tables, reach, .. } = self;
        reach.with(|memory| {
            let leaf = Leaf { frame: memory.zero_page(), flags: flags(permissions - Permissions::WRITE) };
            // SAFETY: it is the zero page, and not writable.
            unsafe { enter(&mut memory.pool, tables, page, leaf) }
        })
    }

    /// Maps a page that is not mapped to a frame of its own, which is zeroed.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed.
    pub fn map_zeroed(&mut self, page: u64, permissions: Permissions) -> Result<(), OutOfFrames> {
        let Self { tables, reach, .. } = self;
        reach.with(|memory| {
            let frame = memory.pool.take(Purpose::Page)?;
            // SAFETY: the frame just came from the page allocator, so nobody else uses it.
            unsafe { tables.zero(frame, 0) };
            // SAFETY: as above; its one share is the entry's.
            let entered = unsafe { enter(&mut memory.pool, tables, page, Leaf { frame, flags: flags(permissions) }) };
            entered.inspect_err(|_| memory.pool.give(frame, Purpose::Page))
        })?;
        self.grown(1);
        Ok(())
    }

    /// Puts a writable frame of its own behind a page that is mapped to the zero page or to a shared frame, with the same bytes
    /// in it. Copies 4 KiB, or zeroes them.
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
            let old = tables.leaf(page).expect("a page to copy is mapped");
            let was = state(memory, old);
            assert!(matches!(was, PageState::ZeroPage | PageState::Shared), "copying a page that is {was:?}");
            let frame = memory.pool.take(Purpose::Page)?;
            if was == PageState::ZeroPage {
                // SAFETY: the frame just came from the page allocator, so nobody else uses it.
                unsafe { tables.zero(frame, 0) };
            } else {
                // SAFETY: as above, and nobody writes to a shared frame.
                unsafe { tables.copy(old.frame, frame) };
            }
            // SAFETY: the new frame's one share is the entry's.
            unsafe { replace(tables, page, Leaf { frame, flags: old.flags | PageTableFlags::WRITABLE }) };
            if was == PageState::Shared {
                memory.pool.release(old.frame, Purpose::Page);
            }
            Ok(was == PageState::ZeroPage)
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
        let leaf = self.tables.leaf(page).expect("a page to write to is mapped");
        let is = self.reach.with(|memory| state(memory, leaf));
        assert!(is == PageState::Own, "letting a page be written that is {is:?}");
        // SAFETY: the frame is what it was, and has one owner or is an object's.
        unsafe { replace(&mut self.tables, page, Leaf { flags: leaf.flags | PageTableFlags::WRITABLE, ..leaf }) };
    }

    /// Maps a page that is not mapped to a page of an object, which gets a zeroed frame if it has none yet.
    ///
    /// # Errors
    ///
    /// There are not enough frames. Nothing has changed, but that the object may have its frame now.
    pub fn map_object(
        &mut self,
        page: u64,
        object: &mut Object<R>,
        index: u64,
        permissions: Permissions,
    ) -> Result<(), OutOfFrames> {
        let frame = object.frame(index)?;
        let Self { tables, reach, .. } = self;
        reach.with(|memory| {
            memory.pool.share(frame);
            // SAFETY: the new share is the entry's.
            let entered = unsafe { enter(&mut memory.pool, tables, page, Leaf { frame, flags: flags(permissions) | OBJECT }) };
            entered.inspect_err(|_| memory.pool.release(frame, Purpose::Page))
        })?;
        self.grown(1);
        Ok(())
    }
}

/// Changes the entry of a page that is mapped.
///
/// # Safety
///
/// One share of the frame is the entry's.
unsafe fn replace<M: Mmu>(tables: &mut Tables<M>, page: u64, leaf: Leaf) {
    // SAFETY: the page lies in the lower half, where only the process whose tables these are accesses anything.
    let Ok(()) = unsafe { tables.change(page, page + PAGE_SIZE, &mut |_, _| Ok::<_, Infallible>(leaf)) };
}
