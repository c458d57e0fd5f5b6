//! The front cache alone, for a caller that goes further only once it is empty or full: an arena
//! takes up what others have freed before it.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{CACHE_LIMIT, Heap, Kept};
use crate::cell::{Cell, WORD, copy_down};
use crate::provider::NoMap;
use crate::small::segments::{Owner, SegmentMap};
use crate::small::{Class, FRONTS, Front, Small};

impl<B> Heap<B, NoMap, FRONTS> {
    /// An empty heap for an arena.
    pub(crate) const fn of_arena(brk: B) -> Self {
        Self::build(brk, NoMap, Small::new(CACHE_LIMIT), Kept::none())
    }
}

impl<B, M> Heap<B, M, FRONTS> {
    /// A small or middling block that the front cache has. O(1).
    #[inline(always)]
    pub(crate) fn pop_front(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // What is guarded goes through the whole operation.
        if cfg!(feature = "checked") {
            return None;
        }
        self.small.cache.pop(Front::of(layout)?)
    }

    /// Frees a small or middling block, if the front cache has room for it. O(1).
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Heap::deallocate), if the answer is true; a block that is not small
    /// has the length of its class.
    #[inline(always)]
    pub(crate) unsafe fn push_front(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        if cfg!(feature = "checked") {
            return false;
        }
        let Some(front) = Front::of(layout) else { return false };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        unsafe { self.small.cache.push(front, block) }
    }

    /// Frees a block by address, if the front cache has room for it. O(1).
    ///
    /// # Safety
    ///
    /// As for [`deallocate_unsized`](Heap::deallocate_unsized), if the answer is true. The block
    /// lies in a run of class `class_of_run`; `None`: it lies in none.
    #[inline(always)]
    pub(crate) unsafe fn push_front_by_address(
        &mut self,
        block: NonNull<u8>,
        class_of_run: Option<Class>,
    ) -> bool {
        if cfg!(feature = "checked") {
            return false;
        }
        let front = match class_of_run {
            Some(class) => Front::from(class),
            None => {
                // SAFETY: the caller's promise: in no run, so a header stands in front of it.
                let cell = unsafe { Cell::of_payload(block) };
                // SAFETY: it was written when the block was allocated.
                let header = unsafe { cell.header() };
                let capacity = header.size() - WORD;
                let held =
                    Class::held_by(capacity).map(Front::from).or_else(|| Front::held_by(capacity));
                let Some(front) = held else { return false };
                front
            }
        };
        // SAFETY: the caller gives the block up, and it holds this class.
        unsafe { self.small.cache.push(front, block) }
    }

    /// Resizes a block of a run, if it can stay, or if the front cache has what it needs, and room
    /// for it in turn. O(1), and the copy.
    ///
    /// # Safety
    ///
    /// As for [`reallocate_unsized`](Heap::reallocate_unsized); the block lies in a run of class
    /// `class_of_run`. After `None` it is as it was.
    #[inline(always)]
    pub(crate) unsafe fn resize_in_front(
        &mut self,
        block: NonNull<u8>,
        class_of_run: Class,
        new: Layout,
    ) -> Option<NonNull<u8>> {
        let front = Front::of(new)?;
        let may_stay = front.small().is_some_and(|class| class.may_take_over(class_of_run, block));
        if may_stay && (new.size() > class_of_run.size() / 2 || Front::from(class_of_run) == front)
        {
            return Some(block);
        }
        if !self.small.cache.has_room(class_of_run) {
            return None;
        }
        let moved = self.small.cache.pop(front)?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down(block, moved, class_of_run.size().min(new.size())) };
        // SAFETY: the caller gives the block up, and it is one of this class.
        unsafe { self.small.cache.push(class_of_run, block) };
        Some(moved)
    }

    /// Lets the front cache keep so many bytes of middling blocks, if that is more than before.
    pub(crate) fn keep_middling(&mut self, limit: usize) {
        if !cfg!(feature = "checked") {
            self.small.cache.raise_limit_of_middling(limit);
        }
    }

    /// Leaves it to a map of segments to say which pages are runs, which begin early from now on.
    ///
    /// # Safety
    ///
    /// The heap has no memory yet, and all that it will ever have are segments of `owner` in the
    /// map, which outlives it.
    pub(crate) const unsafe fn rely_on(&mut self, segments: NonNull<SegmentMap>, owner: Owner) {
        self.small.favour_runs();
        self.small.owner = owner;
        // SAFETY: the caller's promise.
        unsafe { self.small.pages.rely_on(segments) };
    }
}
