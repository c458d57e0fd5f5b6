//! Small blocks that change their size (C7): through the front cache if it has a block of the new
//! class.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Heap, Request};
use crate::cell::copy_down;
use crate::provider::{Break, Map};
use crate::raw_heap::move_block;
use crate::small::Class;

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// Changes the size of a block that becomes, or stays, small, if it can stay where it is for
    /// certain, or the front cache has a block of the new class for it: the one that was freed
    /// last. Of a block that was small the neighbours are not even looked at. O(1), and the copy
    /// of 1 KiB at most.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](Heap::reallocate).
    #[inline]
    pub(super) unsafe fn reallocate_through_cache(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let (old_class, new_class) = (Class::of(layout), Class::of(new)?);
        if old_class == Some(new_class) {
            return Some(payload).filter(|_| self.small.has_runs());
        }
        // A block that becomes a little smaller is best left alone, if it can be.
        if new.size() < layout.size() && new.size() > layout.size() / 2 {
            return None;
        }
        let moved = self.small.cache.pop(new_class)?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down(payload, moved, layout.size().min(new.size())) };
        match old_class {
            // SAFETY: the caller gives the block up, and it was allocated for this class.
            Some(old_class) => unsafe { self.deallocate_as(payload, old_class) },
            // SAFETY: the caller gives the block up.
            None => unsafe { self.deallocate_unusual(payload, layout) },
        }
        Some(moved)
    }

    /// Moves a small block to a freed cell, if one is large enough for the request that it has
    /// become, and no small one. Such a copy is less work than to merge cells.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](Heap::reallocate).
    pub(super) unsafe fn move_to_cell(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        old_class: Class,
        request: Request,
    ) -> Option<NonNull<u8>> {
        let moved = self.take_freed(request)?;
        self.small.large_requested();
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down(payload, moved, layout.size()) };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        unsafe { self.deallocate_as(payload, old_class) };
        Some(moved)
    }

    /// Changes the size of a block of a run: it stays if the new size is smaller and not by far,
    /// else it moves.
    ///
    /// # Safety
    ///
    /// As for [`reallocate`](Heap::reallocate); the block lies in a run of class `class_of_run`.
    pub(super) unsafe fn reallocate_in_run(
        &mut self,
        payload: NonNull<u8>,
        layout: Layout,
        new: Layout,
        class_of_run: Class,
    ) -> Option<NonNull<u8>> {
        let may_stay = self
            .small_class_of(new)
            .is_some_and(|class| class.may_take_over(class_of_run, payload));
        if may_stay && new.size() > class_of_run.size() / 2 {
            return Some(payload);
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(self, payload, layout, new.size()) }.or(may_stay.then_some(payload))
    }
}
