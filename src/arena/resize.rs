//! How a block changes its size: where it is, if its heap has room there or need not know; else it moves to the caller's arena.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::{ArenaHeap, is_large, served};
use crate::lock::RawLock;
use crate::provider::{Break, Cpu, Map};
use crate::small::Class;
use crate::small::segments::Owner;

impl<B: Break, C: Cpu, M: Map, L: RawLock> ArenaHeap<B, C, M, L> {
    /// Changes the size of a block and keeps its contents up to the smaller of both sizes. Another's block moves to the caller's arena, unless
    /// it can stay as it is.
    ///
    /// # Errors
    ///
    /// `None` if there is no memory. The block is as it was.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout and was not freed since. After `Some`, only the new block may be used, and
    /// its layout is `new_size` with the old alignment.
    #[must_use]
    pub unsafe fn reallocate(&self, block: NonNull<u8>, layout: Layout, new_size: usize) -> Option<NonNull<u8>> {
        let layout = served(layout);
        let new = served(Layout::from_size_align(new_size, layout.align()).ok()?);
        let visit = self.visit();
        let owner = visit.owner_of(block);
        if owner == Owner::NOBODY {
            // SAFETY: the caller's promise; it lies in no segment.
            let answer = self.parent.with(visit.place(), |heap| unsafe { heap.reallocate(block, layout, new.size()) });
            if let Some(Some(block)) = answer {
                return Some(block);
            }
        } else if let Some(mut inside) = visit.go_in(0).filter(|_| !is_large(new))
            && let (inner, _) = inside.inner()
            && inner.owner == owner
        {
            // SAFETY: the arena is one of this heap.
            let heap = unsafe { inner.heap(&self.parent) };
            // SAFETY: the caller's promise.
            if let Some(block) = unsafe { heap.reallocate(block, layout, new.size()) } {
                return Some(block);
            }
        } else if stays(layout, new) {
            return Some(block);
        }
        drop(visit);
        #[cfg(feature = "checked")]
        if !self.may_move(block, Some(layout)) {
            return None;
        }
        // SAFETY: the caller keeps the heap as long as its blocks.
        let moved = unsafe { self.allocate(new) }?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied.
        unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new.size())) };
        // SAFETY: the caller gave the old block up; its contents are in the new one.
        unsafe { self.deallocate(block, layout) };
        Some(moved)
    }
}

/// Whether a block may keep its place with another layout, whoever's it is: its size does not have to be told to its owner.
fn stays(old: Layout, new: Layout) -> bool {
    if cfg!(feature = "checked") {
        return false;
    }
    match (Class::of(old), Class::of(new)) {
        (None, _) => new.size() <= old.size() && new.size() > old.size() / 2,
        (old, new) => old == new,
    }
}
