//! Small blocks that change their size (C7): through the front cache if it has a block of the new
//! class.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Class, SmallBlocks};
use crate::cell::copy_down;
use crate::chunks::Tuning;
use crate::large::Large;
use crate::provider::{Map, Source};
use crate::request::Request;

impl<P: Tuning> SmallBlocks<P> {
    /// Changes the size of a block that becomes, or stays, small, if it can stay where it is for
    /// certain, or the front cache has a block of the new class for it: the one that was freed
    /// last. Of a block that was small the neighbours are not even looked at. O(1), and the copy
    /// of 1 KiB at most.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](crate::Heap::reallocate).
    #[inline]
    pub(crate) unsafe fn reallocate_through_cache<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let (old_class, new_class) = (Class::of(layout), Class::of(new)?);
        if old_class == Some(new_class) {
            return Some(payload);
        }
        // A block that becomes a little smaller is best left alone, if it can be.
        if new.size() < layout.size() && new.size() > layout.size() / 2 {
            return None;
        }
        let moved = self.cache.pop(new_class)?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down::<P>(payload, moved, layout.size().min(new.size())) };
        match old_class {
            // SAFETY: the caller gives the block up, and it was allocated for this class.
            Some(old_class) => unsafe { self.deallocate_as(large, payload, old_class) },
            // SAFETY: the caller gives the block up.
            None => unsafe { self.deallocate_large(large, payload, layout) },
        }
        Some(moved)
    }

    /// Moves a small block to a freed cell, if one is large enough for the request that it has
    /// become, and no small one. Such a copy is less work than to merge cells.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](crate::Heap::reallocate).
    pub(super) unsafe fn move_to_freed_cell<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
        layout: Layout,
        old_class: Class,
        request: Request,
    ) -> Option<NonNull<u8>> {
        let moved = large.chunks.take_freed(request)?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down::<P>(payload, moved, layout.size()) };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        unsafe { self.deallocate_as(large, payload, old_class) };
        Some(moved)
    }

    /// Frees a block that has no bytes, is more aligned than most, or is not small.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](crate::Heap::deallocate).
    unsafe fn deallocate_large<B: Source, M: Map>(
        &mut self,
        large: &mut Large<B, M, P>,
        payload: NonNull<u8>,
        layout: Layout,
    ) {
        if let Some(class) = Class::of_unusual(layout) {
            // SAFETY: the caller gives the block up, and it was allocated for this class.
            return unsafe { self.deallocate_as(large, payload, class) };
        }
        // SAFETY: the caller gives the block up, which is a cell.
        unsafe { self.keep_or_free(large, payload) };
    }
}
