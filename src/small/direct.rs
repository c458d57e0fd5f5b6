//! The front cache alone, for a caller that goes further only once it is empty or full: an arena
//! takes up what others have freed before it.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{Class, Front, SmallBlocks};
use crate::cell::{Cell, WORD, copy_down};
use crate::chunks::Tuning;

impl<P: Tuning> SmallBlocks<P> {
    /// A small or middling block that the front cache has. O(1).
    #[inline(always)]
    pub(crate) fn pop_front(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // What is guarded goes through the whole operation.
        if P::CHECKED {
            return None;
        }
        self.cache.pop(Front::of(layout)?)
    }

    /// Frees a small or middling block, if the front cache has room for it. O(1).
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](crate::Heap::deallocate), if the answer is true; a block that is not small
    /// has the length of its class.
    #[inline(always)]
    pub(crate) unsafe fn push_front(&mut self, block: NonNull<u8>, layout: Layout) -> bool {
        if P::CHECKED {
            return false;
        }
        let Some(front) = Front::of(layout) else { return false };
        // SAFETY: the caller gives the block up, and it was allocated for this class.
        unsafe { self.cache.push(front, block) }
    }

    /// Frees a block by address, if the front cache has room for it. O(1).
    ///
    /// # Safety
    ///
    /// As for [`deallocate_by_ptr`](crate::Heap::deallocate_by_ptr), if the answer is true. The block
    /// lies in a run of class `class_of_run`; `None`: it lies in none.
    #[inline(always)]
    pub(crate) unsafe fn push_front_by_ptr(
        &mut self,
        block: NonNull<u8>,
        class_of_run: Option<Class>,
    ) -> bool {
        if P::CHECKED {
            return false;
        }
        let front = match class_of_run {
            Some(class) => Front::from(class),
            None => {
                // SAFETY: the caller's promise: in no run, so a header stands in front of it.
                let cell = unsafe { Cell::<P>::of_payload(block) };
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
        unsafe { self.cache.push(front, block) }
    }

    /// Resizes a block of a run, if it can stay, or if the front cache has what it needs, and room
    /// for it in turn. O(1), and the copy.
    ///
    /// # Safety
    ///
    /// As for [`reallocate_by_ptr`](crate::Heap::reallocate_by_ptr); the block lies in a run of class
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
        if !self.cache.has_room(class_of_run) {
            return None;
        }
        let moved = self.cache.pop(front)?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied, in
        // whole words.
        unsafe { copy_down::<P>(block, moved, class_of_run.size().min(new.size())) };
        // SAFETY: the caller gives the block up, and it is one of this class.
        unsafe { self.cache.push(class_of_run, block) };
        Some(moved)
    }
}
