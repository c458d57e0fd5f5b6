//! Blocks by address alone, for callers who do not say what they asked for: C's `free` and
//! `realloc`.
//!
//! ```text
//!   address ─► page map ──(a run)──► its class
//!                 └──(no run)──► the header in front ──► a mapping, or a cell, which is as small as the largest class that it holds
//! ```
//!
//! A block that was a cell goes back to the list of a class that it fits, which need not be the one
//! that it was asked for.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::mapped::Remapped;
use super::{Heap, Request};
use crate::cell::{Cell, WORD, copy_down};
use crate::provider::{Break, Map};
use crate::small::Class;

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    /// [`deallocate`](Heap::deallocate) for callers who do not know the layout.
    ///
    /// # Time
    ///
    /// As for that, and a look at the page map, and at the header of what is no block of a run.
    ///
    /// # Safety
    ///
    /// `payload` came from this heap, was not freed since, and is not used any more.
    #[inline]
    pub unsafe fn deallocate_unsized(&mut self, payload: NonNull<u8>) {
        #[cfg(feature = "checked")]
        if !self.guard.entered {
            let layout = self.layout_on_record(payload);
            // SAFETY: the caller's promise; what the layout is worth is looked at there.
            return unsafe { self.guarded_deallocate(payload, layout) };
        }
        // What has stopped may not have the header any more.
        if self.stopped.is_some() {
            return;
        }
        // SAFETY: the caller's promise.
        let Some(class) = (unsafe { self.class_of_block(payload) }) else {
            // SAFETY: the caller's promise.
            return unsafe { self.deallocate_large(payload) };
        };
        // SAFETY: the caller gives the block up, and it holds this class.
        unsafe { self.deallocate_as(payload, class) };
    }

    /// [`reallocate`](Heap::reallocate) for callers who do not know the old layout. What is kept of
    /// the contents is all that the block [could hold](Heap::usable_size), up to the new size.
    /// The new alignment need not be the old one.
    ///
    /// # Errors
    ///
    /// `None` if there is no room. The block is as it was, where it was, and still the caller's. To
    /// become smaller fails only where the block is less aligned, or shorter, than blocks of
    /// the new layout are and cannot move (with the feature `checked`: where it is otherwise
    /// aligned).
    ///
    /// # Time
    ///
    /// As for [`reallocate`](Heap::reallocate).
    ///
    /// # Safety
    ///
    /// `payload` came from this heap and was not freed since. After `Some`, only the new block may
    /// be used, and its layout is `new`.
    #[must_use]
    pub unsafe fn reallocate_unsized(
        &mut self,
        payload: NonNull<u8>,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        #[cfg(feature = "checked")]
        if !self.guard.entered {
            // SAFETY: the caller's promise.
            return unsafe { self.guarded_reallocate_unsized(payload, new) };
        }
        if self.stopped.is_some() {
            return None;
        }
        // SAFETY: the caller's promise.
        let capacity = unsafe { self.capacity(payload) };
        if payload.addr().get().is_multiple_of(new.align()) {
            // SAFETY: the caller's promise, and the place is as aligned as the new layout says.
            if let Some(resized) = unsafe { self.resize_by_address(payload, capacity, new) } {
                return Some(resized);
            }
        }
        // SAFETY: the caller's promise.
        let moved = unsafe { self.move_by_address(payload, capacity, new) };
        moved.or(self.may_stay(payload, capacity, new).then_some(payload))
    }

    /// Gives a block the new size without a copy to another block, if that can be.
    ///
    /// # Safety
    ///
    /// As for [`reallocate_unsized`](Heap::reallocate_unsized); the block has `capacity` bytes, and
    /// its place suits the new alignment.
    unsafe fn resize_by_address(
        &mut self,
        payload: NonNull<u8>,
        capacity: usize,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let new_class = self.small_class_of(new);
        if self.small.pages.class_at(payload.addr().get()).is_some() {
            // It stays if the new size is smaller and not by far.
            return (new.size() > capacity / 2 && self.may_stay(payload, capacity, new))
                .then_some(payload);
        }
        let request = Request::new(new_class.map_or(new, |class| class.in_full(new)));
        // SAFETY: the caller's promise.
        match unsafe { self.reallocate_mapped(payload, new) } {
            Remapped::To(payload) => return Some(payload),
            Remapped::MustMove => return None,
            Remapped::NotMapped => {}
        }
        // SAFETY: `payload` is that of a valid used cell: the caller's promise.
        let cell = unsafe { Cell::of_payload(payload) };
        // What has become large enough for a mapping does not take the break along.
        let may_move_break = !self.wants_mapping(new);
        let old_class = Class::held_by(capacity).filter(|_| self.small.has_runs());
        // SAFETY: the same; the block's contents are what it can hold, up to the new size.
        let resized =
            unsafe { self.resize(cell, request, capacity.min(new.size()), may_move_break) }?;
        self.small.change_cell(old_class, new_class);
        Some(resized)
    }

    /// Whether a block of `capacity` bytes is, where it is, as good as any of the new layout: it
    /// may be freed as one.
    fn may_stay(&self, payload: NonNull<u8>, capacity: usize, new: Layout) -> bool {
        let at = payload.addr().get();
        at.is_multiple_of(new.align())
            && match (self.small_class_of(new), self.small.pages.class_at(at)) {
                (Some(class), Some(class_of_run)) => class.may_take_over(class_of_run, payload),
                (Some(class), None) => class.size() <= capacity,
                (None, in_run) => in_run.is_none() && new.size() <= capacity,
            }
    }

    /// Moves a block of `capacity` bytes to a new one.
    ///
    /// # Safety
    ///
    /// As for [`reallocate_unsized`](Heap::reallocate_unsized).
    unsafe fn move_by_address(
        &mut self,
        payload: NonNull<u8>,
        capacity: usize,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive as long as its blocks.
        let moved = unsafe { self.allocate(new) }?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down(payload, moved, capacity.min(new.size())) };
        // SAFETY: the caller gave the old block up; its contents are in the new one.
        unsafe { self.deallocate_unsized(payload) };
        Some(moved)
    }

    /// The class whose list a block may go to; `None` if it is not small.
    ///
    /// # Safety
    ///
    /// `payload` is a live block of this heap, which has not stopped.
    #[inline]
    unsafe fn class_of_block(&self, payload: NonNull<u8>) -> Option<Class> {
        if let Some(class) = self.small.pages.class_at(payload.addr().get()) {
            return Some(class);
        }
        // SAFETY: the caller's promise: in no run, so a header stands in front of it.
        let cell = unsafe { Cell::of_payload(payload) };
        // SAFETY: it was written when the block was allocated.
        let header = unsafe { cell.header() };
        // A mapping is longer than any small block.
        Class::held_by(header.size() - WORD)
    }
}
