//! How a block is freed: into the front cache, the arena, the outbox for its owner, or the parent.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::parent::Parent;
use super::visit::{Inside, Visit};
use super::{ArenaHeap, served};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::small::segments::Owner;
use crate::small::{ArenaLayer, Front};

impl<B: Source, M: Map, P: Profile, L: RawLock> Inside<'_, B, M, P, L> {
    /// Frees a block of the arena.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's. As for [`ArenaHeap::deallocate`]; the block is this arena's.
    #[inline(always)]
    unsafe fn deallocate(
        &mut self,
        parent: &Parent<B, M, P, L>,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) {
        // SAFETY: the caller's promise.
        let heap = unsafe { self.inner().0.heap(parent) };
        match layout {
            // SAFETY: the caller's promise.
            Some(layout) => unsafe { heap.deallocate(block, layout) },
            // SAFETY: the caller's promise.
            None => unsafe { heap.deallocate_by_ptr(block) },
        }
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'_, B, C, M, P, L> {
    /// Frees a block where the fast path found no arena.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`]; `owner` is whose it is.
    #[cold]
    unsafe fn deallocate_elsewhere(
        &self,
        owner: Owner,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) {
        if owner == Owner::NOBODY {
            // SAFETY: the caller's promise; it lies in no segment.
            return unsafe { self.heap.parent.free(self.place(), block, layout) };
        }
        if let Some(mut inside) = self.go_in_elsewhere() {
            if inside.inner().0.owner == owner {
                // SAFETY: the caller's promise.
                return unsafe { inside.deallocate(&self.heap.parent, block, layout) };
            }
            if inside.level == 0 {
                // SAFETY: the caller's promise.
                return unsafe { inside.inner().0.send(owner, block, layout) };
            }
        }
        // SAFETY: the caller's promise.
        if P::CHECKED && !unsafe { self.may_send(block, layout) } {
            return;
        }
        // Who interrupts leaves nothing behind in an outbox.
        let Some(mailbox) = self.shared.and_then(|shared| shared.mailbox_of(owner)) else { return };
        // SAFETY: the caller's promise; every block holds a word.
        unsafe { mailbox.send_one(block) };
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Frees a block. That always succeeds.
    ///
    /// # Time
    ///
    /// O(1). Locally it takes no lock. For another's block there is one exchange with its owner
    /// every few dozen.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is not used any
    /// more.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let layout = served::<P>(layout);
        // SAFETY: the caller's promise.
        if !unsafe { self.deallocate_quickly(block, layout) } {
            // SAFETY: the caller's promise.
            unsafe { self.deallocate_slowly(block, Some(layout)) };
        }
    }

    /// Frees a small block of the caller's arena, if the front cache has room for it. The fast
    /// path: it calls nobody, so that no register has to be saved.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](ArenaHeap::deallocate), if the answer is true.
    #[inline(always)]
    unsafe fn deallocate_quickly(&self, block: NonNull<u8>, layout: Layout) -> bool {
        if Front::of(layout).is_none() {
            return false;
        }
        let caller = self.caller();
        let Some(mut inside) = caller.go_in() else { return false };
        let inner = inside.inner().0;
        // SAFETY: the caller's promise; the block is this arena's.
        inner.is_own(block) && unsafe { inner.heap.layer().push_direct(block, layout) }
    }

    /// Frees what the front cache has no room for, or is another's.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](ArenaHeap::deallocate).
    #[inline(never)]
    pub(super) unsafe fn deallocate_slowly(&self, block: NonNull<u8>, layout: Option<Layout>) {
        {
            let caller = self.caller();
            if let Some(mut inside) = caller.go_in() {
                // SAFETY: the caller's promise.
                if unsafe { inside.inner().0.send_at_once(block, layout) } {
                    return;
                }
            }
        }
        // SAFETY: the caller's promise.
        unsafe { self.deallocate_more_slowly(block, layout) };
    }

    /// Frees what is neither in the front cache, nor in the outbox, at once.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](ArenaHeap::deallocate).
    #[inline(never)]
    unsafe fn deallocate_more_slowly(&self, block: NonNull<u8>, layout: Option<Layout>) {
        let caller = self.caller();
        if let Some(mut inside) = caller.go_in() {
            let inner = inside.inner().0;
            let owner = inner.owner_of(block);
            if owner == inner.owner {
                // SAFETY: the arena is one of this heap; the caller's promise.
                return unsafe { inside.deallocate(&self.parent, block, layout) };
            }
            if owner != Owner::NOBODY {
                // SAFETY: the caller's promise.
                return unsafe { inner.send(owner, block, layout) };
            }
            drop(inside);
            drop(caller);
            // SAFETY: the caller's promise; it lies in no segment.
            return unsafe { self.parent.free(self.visit().place(), block, layout) };
        }
        drop(caller);
        let visit = self.visit();
        // SAFETY: the caller's promise.
        unsafe { visit.deallocate_elsewhere(visit.owner_of(block), block, layout) };
    }
}
