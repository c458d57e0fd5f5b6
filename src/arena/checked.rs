//! Misuse of blocks of other arenas, in a checked heap: it is found where the caller commits it.
//!
//! ```text
//!   the caller's arena, the parent    the heap's own checks                          ../checked/
//!   another arena's block ─► send: verified from outside ─► the outbox, marked       a second free
//!   collected ─────────────► still as sent? ─► freed                                 a write since
//! ```
//!
//! The caller's arena, or else the parent, reports to its hook. An arena takes the hook that the
//! parent has when the arena is made.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::ArenaHeap;
use super::arena::Inner;
use super::sync::Link;
use super::visit::Visit;
use crate::checked::{Checker, Look, examine_foreign, send};
use crate::checks::Checks;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::misuse::{Misuse, MisuseHook, MisuseKind};
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::segments::Owner;

impl<B: Source, M: Map, P: Profile, L: RawLock> Inner<B, M, P, L> {
    /// Verifies a block of another arena that is freed here, and marks it. Returns `false` if it
    /// must not be sent: the misuse was reported.
    ///
    /// # Safety
    ///
    /// As for [`send`](Inner::send), if it is a block.
    pub(super) unsafe fn may_send(&mut self, block: NonNull<u8>, layout: Option<Layout>) -> bool {
        // SAFETY: the clauses are those of this method.
        let verdict = unsafe { send::<P>(&self.shared().map, block, layout) };
        verdict.map_err(|misuse| self.heap.checks_mut().report(&misuse)).is_ok()
    }

    /// Frees a block that another caller has sent. `next` is its link, which becomes `None` if it
    /// leads out of the arena, or if the block is not as it was sent: the blocks behind it are lost
    /// then.
    ///
    /// # Safety
    ///
    /// The block was in this arena's list.
    pub(super) unsafe fn collect_one(
        &mut self,
        block: NonNull<Link>,
        next: &mut Option<NonNull<Link>>,
    ) {
        // SAFETY: the clauses are those of this method.
        let is_sound = unsafe { Checker(self.heap.inner()).deallocate_sent(block.cast()) };
        let leads_home = |next: NonNull<Link>| {
            next.is_aligned() && self.shared().map.owner_of(next.addr().get()) == self.owner
        };
        let lost = next.take_if(|next| !is_sound || !leads_home(*next));
        if let Some(wild) = lost.filter(|_| is_sound) {
            let (block, found) = (block.addr().get(), wild.addr().get());
            let kind = MisuseKind::WriteAfterFree;
            let misuse = Misuse { kind, block, at: block, found, expected: 0 };
            self.heap.checks_mut().report(&misuse);
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
        // SAFETY: the clauses are those of this method.
        let verdict = unsafe { send::<P>(&shared.map, block, layout) };
        verdict.map_err(|misuse| self.report(misuse)).is_ok()
    }

    /// Reports a misuse to the hook. A caller that has interrupted code that holds the parent's
    /// lock, and can enter no arena, cannot.
    fn report(&self, misuse: Misuse) {
        match self.enter_arena(0).or_else(|| self.enter_arena(1)) {
            Some(mut inside) => inside.inner().0.heap.checks_mut().report(&misuse),
            None => {
                let report = |heap: &mut Heap<B, M, P>| heap.checks_mut().report(&misuse);
                self.heap.parent.with(self.slot, report);
            }
        }
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Sets the hook that receives each report of a misuse, for the parent, the caller's arena, and
    /// all arenas that are made from now on: to be called before other threads use the heap. See
    /// [`Heap::set_misuse_hook`]. The hook may be called with the parent locked. O(1), and the wait
    /// for the parent's lock.
    pub fn set_misuse_hook(&self, hook: MisuseHook) {
        self.in_arena(|arena| arena.heap.checks_mut().set_hook(hook));
        self.in_parent(|heap| heap.checks_mut().set_hook(hook));
    }

    /// Returns whether a block may be read, and moved: it is live and has this layout, if that is
    /// known. Reports what is wrong with a block of another arena; any other heap did so when it
    /// was asked to resize the block.
    pub(super) fn may_move(&self, block: NonNull<u8>, layout: Option<Layout>) -> bool {
        let visit = self.visit();
        let owner = visit.owner_of(block);
        let Some(shared) = visit.shared.filter(|_| owner != Owner::NONE) else {
            return self
                .parent
                .with(visit.slot, |heap| Look(heap.inner()).has_block(block, layout))
                .unwrap_or(true);
        };
        if let Some(mut inside) = visit.enter_arena(0) {
            let (inner, _) = inside.inner();
            if inner.owner == owner {
                return Look(inner.heap.inner()).has_block(block, layout);
            }
        }
        examine_foreign::<P>(&shared.map, block, layout)
            .map_err(|misuse| visit.report(misuse))
            .is_ok()
    }
}
