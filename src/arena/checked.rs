//! The `checked` profile where several heaps are one: what a caller does wrong with another's block
//! is found where it is done.
//!
//! ```text
//!   allocate, and what is mine or the parent's   the heap's own checks                            heap/checked/
//!   another's block ─► send: looked at from outside ─► the outbox, marked       whoever frees it, or moves it, again is reported
//!   taken up ────────► as it was sent? ─► freed                                 whoever has written to it meanwhile is
//! ```
//!
//! The hook is told by the caller's arena, or, where it has none, by the parent. That of an arena
//! is the parent's when the arena was made.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::ArenaHeap;
use super::arena::Inner;
use super::sync::Link;
use super::visit::Visit;
use crate::checked::{deallocate_sent, examine_foreign, has_block, send};
use crate::checks::Checks;
use crate::lock::RawLock;
use crate::misuse::{Misuse, MisuseHook, MisuseKind};
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::Owner;

impl<B: Source, M: Map, P: Profile, L: RawLock> Inner<B, M, P, L> {
    /// Looks at a block of another arena that is freed here, and marks it. False: it must not be
    /// sent, and why was reported.
    ///
    /// # Safety
    ///
    /// As for [`send`](Inner::send), if it is a block.
    pub(super) unsafe fn may_send(&mut self, block: NonNull<u8>, layout: Option<Layout>) -> bool {
        // SAFETY: the caller's promise.
        let verdict = unsafe { send::<P>(&self.shared().map, block, layout) };
        verdict
            .map_err(|misuse| self.heap.inner().large.chunks.checks_mut().report(&misuse))
            .is_ok()
    }

    /// Frees a block that others have sent. `next` is where its link leads: nowhere, if that cannot
    /// be true, or if the block is not as it was sent; what was behind it is lost then.
    ///
    /// # Safety
    ///
    /// The block was in this arena's list.
    pub(super) unsafe fn take_up_one(
        &mut self,
        block: NonNull<Link>,
        next: &mut Option<NonNull<Link>>,
    ) {
        // SAFETY: the caller's promise.
        let is_sound = unsafe { deallocate_sent(self.heap.inner(), block.cast()) };
        let leads_home = |next: NonNull<Link>| {
            next.is_aligned() && self.shared().map.owner_of(next.addr().get()) == self.owner
        };
        if let Some(wild) = next.take_if(|next| !is_sound || !leads_home(*next))
            && is_sound
        {
            let (block, found) = (block.addr().get(), wild.addr().get());
            let kind = MisuseKind::WriteAfterFree;
            let misuse = Misuse { kind, block, at: block, found, expected: 0 };
            self.heap.inner().large.chunks.checks_mut().report(&misuse);
        }
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'_, B, C, M, P, L> {
    /// [`Inner::may_send`] for a caller that is in no arena.
    ///
    /// # Safety
    ///
    /// As for that.
    pub(super) unsafe fn may_send(&self, block: NonNull<u8>, layout: Option<Layout>) -> bool {
        let Some(shared) = self.shared else { return false };
        // SAFETY: the caller's promise.
        let verdict = unsafe { send::<P>(&shared.map, block, layout) };
        verdict.map_err(|misuse| self.report(misuse)).is_ok()
    }

    /// Tells the hook. A caller that has interrupted somebody who has the parent's lock, and has no
    /// arena left, cannot.
    fn report(&self, misuse: Misuse) {
        match self.go_in(0).or_else(|| self.go_in(1)) {
            Some(mut inside) => {
                inside.inner().0.heap.inner().large.chunks.checks_mut().report(&misuse)
            }
            None => {
                let _: Option<()> = self.heap.parent.with(self.place(), |heap| {
                    heap.inner().large.chunks.checks_mut().report(&misuse)
                });
            }
        }
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Sets who is told of a misuse and decides what becomes of it, for the parent, the caller's
    /// arena, and all that are made from now on: to be called before others use the heap. See
    /// [`Heap::set_misuse_hook`](crate::Heap::set_misuse_hook). The hook may be called with the
    /// parent locked.
    pub fn set_misuse_hook(&self, hook: MisuseHook) {
        let visit = self.visit();
        if let Some(mut inside) = visit.go_in(0) {
            inside.inner().0.heap.inner().large.chunks.checks_mut().set_hook(hook);
        }
        let _: Option<()> = self
            .parent
            .with(visit.place(), |heap| heap.inner().large.chunks.checks_mut().set_hook(hook));
    }

    /// Whether a block may be read, and moved to another one: it is live and has this layout, if
    /// that is known. What is wrong with another's is reported; of the others the heap that has
    /// it did so when it was asked to resize it.
    pub(super) fn may_move(&self, block: NonNull<u8>, layout: Option<Layout>) -> bool {
        let visit = self.visit();
        let owner = visit.owner_of(block);
        let Some(shared) = visit.shared.filter(|_| owner != Owner::NOBODY) else {
            return self
                .parent
                .with(visit.place(), |heap| has_block(heap.inner(), block, layout))
                .unwrap_or(true);
        };
        if let Some(mut inside) = visit.go_in(0) {
            let (inner, _) = inside.inner();
            if inner.owner == owner {
                return has_block(inner.heap.inner(), block, layout);
            }
        }
        examine_foreign::<P>(&shared.map, block, layout)
            .map_err(|misuse| visit.report(misuse))
            .is_ok()
    }
}
