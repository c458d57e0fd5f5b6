//! RAII guards: a caller, the slot on which it stays for one operation, and the arena with which it
//! is alone.
//!
//! ```text
//!   SlotGuard ── enter_arena ──► ArenaGuard       the fast path: one word, and nothing else
//!     └─► Visit ── enter_arena, enter_other ──► ArenaGuard      all that slots share, both levels
//! ```
//!
//! A dropped guard puts an arena back into its word, or lets its caller off the slot, in this
//! order.

use core::mem::ManuallyDrop;
use core::ptr::NonNull;

use super::ArenaHeap;
use super::arena::{Arena, GrantedBy, Inner};
use super::mailbox::Mailbox;
use super::shared::{Place, Shared};
use super::slot::{Slot, State};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, SlotWord, Slots, Source};
use crate::segments::Owner;

/// RAII guard: the caller stays on its slot.
pub(super) struct SlotGuard<'heap, B, C: Slots, M, P: Profile, L> {
    heap: &'heap ArenaHeap<B, C, M, P, L>,
    pub(super) number: usize,
}

impl<B, C: Slots, M, P: Profile, L> Drop for SlotGuard<'_, B, C, M, P, L> {
    #[inline(always)]
    fn drop(&mut self) {
        self.heap.cpu.leave();
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> SlotGuard<'heap, B, C, M, P, L> {
    /// Enters the arena of the slot, if it exists and no caller is inside. Looks no further than it
    /// has to.
    #[inline(always)]
    pub(super) fn enter_arena(&self) -> Option<ArenaGuard<'heap, B, M, P, L>> {
        let word = match self.heap.cpu.word() {
            Some(word) => word,
            None => self.heap.shared()?.slot(self.number)?.word(0),
        };
        ArenaGuard::of(word, 0, C::INTERRUPTED)
    }

    /// [`enter_arena`](SlotGuard::enter_arena) for the shortest path.
    #[inline(always)]
    pub(super) fn enter_at_hand(&self) -> Option<AtHandGuard<'heap, B, C, M, P, L>> {
        let inside = if C::AT_HAND {
            // Without its word: `AtHandGuard` puts the arena back, or finds the word.
            ArenaGuard { word: None, level: 0, arena: self.heap.cpu.take_at_hand()?.cast() }
        } else {
            self.enter_arena()?
        };
        Some(AtHandGuard { inside: ManuallyDrop::new(inside), cpu: &self.heap.cpu })
    }
}

/// RAII guard: the caller is alone with an arena, on the shortest path.
pub(super) struct AtHandGuard<'heap, B, C: Slots, M, P: Profile, L> {
    inside: ManuallyDrop<ArenaGuard<'heap, B, M, P, L>>,
    cpu: &'heap C,
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> AtHandGuard<'heap, B, C, M, P, L> {
    #[inline(always)]
    pub(super) fn inner(&mut self) -> &mut Inner<B, M, P, L> {
        self.inside.inner().0
    }

    /// Ends the shortest path, for [`at_hand_again`](ArenaHeap::at_hand_again) in the function that
    /// goes on: two words pass to it in registers.
    #[inline(always)]
    pub(super) fn part(self) -> Parted<'heap, B, M, P, L> {
        let parted = Parted(self.inside.arena, self.inside.word);
        core::mem::forget(self);
        parted
    }
}

/// An arena that its caller is in, and its word, unless the provider has it at hand.
pub(super) struct Parted<'heap, B, M, P: Profile, L>(
    NonNull<Arena<B, M, P, L>>,
    Option<&'heap SlotWord>,
);

impl<B, C: Slots, M, P: Profile, L> Drop for AtHandGuard<'_, B, C, M, P, L> {
    #[inline(always)]
    fn drop(&mut self) {
        if C::AT_HAND {
            self.cpu.put_back_at_hand();
        } else {
            // SAFETY: the only place that drops it.
            unsafe { ManuallyDrop::drop(&mut self.inside) };
        }
    }
}

/// Caller behind the fast path, with all that is known of it.
pub(super) struct Visit<'heap, B, C: Slots, M, P: Profile, L> {
    pub(super) caller: SlotGuard<'heap, B, C, M, P, L>,
    pub(super) heap: &'heap ArenaHeap<B, C, M, P, L>,
    pub(super) shared: Option<&'heap Shared<Arena<B, M, P, L>>>,
    pub(super) slot: Place<'heap, Arena<B, M, P, L>>,
}

/// RAII guard: the caller is alone with an arena.
///
/// # Invariants
///
/// The arena was taken out of the word, and is put back there, if there is one.
pub(super) struct ArenaGuard<'heap, B, M, P: Profile, L> {
    word: Option<&'heap SlotWord>,
    pub(super) level: usize,
    arena: NonNull<Arena<B, M, P, L>>,
}

impl<'heap, B, M, P: Profile, L> ArenaGuard<'heap, B, M, P, L> {
    #[inline(always)]
    fn of(word: &'heap SlotWord, level: usize, interrupted: bool) -> Option<Self> {
        let arena = word.take(interrupted)?.cast();
        Some(Self { word: interrupted.then_some(word), level, arena })
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> ArenaGuard<'_, B, M, P, L> {
    #[inline(always)]
    pub(super) fn inner(&mut self) -> (&mut Inner<B, M, P, L>, &Mailbox) {
        // SAFETY: the caller that took the arena is alone with it.
        unsafe { Arena::enter(self.arena) }
    }
}

impl<B, M, P: Profile, L> Drop for ArenaGuard<'_, B, M, P, L> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(word) = self.word {
            word.put_back();
        }
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'heap, B, C, M, P, L> {
    /// Returns the word of the caller's slot, at a level.
    #[inline(always)]
    pub(super) fn word(&self, level: usize) -> Option<&'heap SlotWord> {
        match self.heap.cpu.word().filter(|_| level == 0) {
            Some(word) => Some(word),
            None => Some(self.slot?.word(level)),
        }
    }

    /// Enters the arena of a level, if it exists and no caller is inside. Tidies up the first one
    /// before, if another caller has asked for that.
    pub(super) fn enter_arena(&self, level: usize) -> Option<ArenaGuard<'heap, B, M, P, L>> {
        let mut inside = self.enter_as_is(level)?;
        if level == 0 && self.slot.is_some_and(Slot::is_untidy) {
            self.tidy_up_own(&mut inside);
        }
        Some(inside)
    }

    /// [`enter_arena`](Visit::enter_arena) without tidying up, which may call the provider.
    pub(super) fn enter_as_is(&self, level: usize) -> Option<ArenaGuard<'heap, B, M, P, L>> {
        let word = self.word(level)?;
        let inside = ArenaGuard::of(word, level, C::INTERRUPTED);
        inside.or_else(|| self.reenter(word, level))
    }

    /// Enters an arena whose word another caller has marked, if that caller has left it.
    #[cold]
    fn reenter(
        &self,
        word: &'heap SlotWord,
        level: usize,
    ) -> Option<ArenaGuard<'heap, B, M, P, L>> {
        let slot = self.slot?;
        let arena = slot.arena(level)?;
        word.resume(C::INTERRUPTED, arena.cast(), || slot.is_attached())?;
        Some(ArenaGuard { word: C::INTERRUPTED.then_some(word), level, arena })
    }

    #[cold]
    fn tidy_up_own(&self, inside: &mut ArenaGuard<'heap, B, M, P, L>) {
        if let (Some(source), Some(slot)) = (self.source(), self.slot) {
            slot.set_untidy(false);
            let (inner, mailbox) = inside.inner();
            inner.tidy_up(source, mailbox);
        }
    }

    /// Enters the arena of the slot, which gets one if it has none; or the second one, if the first
    /// is in use: by the code that the caller interrupted, or by a borrower.
    #[cold]
    pub(super) fn enter_other(&self) -> Option<ArenaGuard<'heap, B, M, P, L>> {
        match self.slot?.state() {
            State::Attached | State::Borrowed => {
                self.enter_held().or_else(|| self.enter_arena(0)).or_else(|| self.enter_arena(1))
            }
            State::New | State::Abandoned if self.attach() => self.enter_arena(0),
            _ => None,
        }
    }

    /// Enters the arena of the slot that the forking thread holds, when the fork is over or has
    /// taken too long: see `fork.rs`.
    fn enter_held(&self) -> Option<ArenaGuard<'heap, B, M, P, L>> {
        let word = self.word(0).filter(|word| C::INTERRUPTED && word.is_held())?;
        let mut turns = 0..;
        while word.is_held() && turns.next().is_some_and(|turn| self.heap.cpu.wait_for_fork(turn)) {
        }
        let arena = word.take_even_if_held()?.cast();
        Some(ArenaGuard { word: Some(word), level: 0, arena })
    }

    pub(super) fn source(&self) -> Option<GrantedBy<'heap, B, M, P, L>> {
        Some(GrantedBy { parent: &self.heap.parent, shared: self.shared?, place: self.slot })
    }

    /// Returns the owner of a block.
    #[inline(always)]
    pub(super) fn owner_of(&self, block: NonNull<u8>) -> Owner {
        self.shared.map_or(Owner::NONE, |shared| shared.map.owner_of(block.addr().get()))
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Continues in another function where the shortest path has ended.
    #[inline(always)]
    pub(super) fn at_hand_again<'heap>(
        &'heap self,
        Parted(arena, word): Parted<'heap, B, M, P, L>,
    ) -> AtHandGuard<'heap, B, C, M, P, L> {
        let inside = ArenaGuard { word, level: 0, arena };
        AtHandGuard { inside: ManuallyDrop::new(inside), cpu: &self.cpu }
    }

    /// Returns the caller of an operation whose shortest path has ended.
    #[inline(always)]
    pub(super) fn caller_again(&self) -> SlotGuard<'_, B, C, M, P, L> {
        SlotGuard { heap: self, number: usize::MAX }
    }

    #[inline(always)]
    pub(super) fn visit(&self) -> Visit<'_, B, C, M, P, L> {
        self.cpu.arrive();
        let caller = self.caller();
        let shared = self.shared();
        let slot = shared.and_then(|shared| shared.slot(caller.number));
        Visit { caller, heap: self, shared, slot }
    }

    #[inline(always)]
    pub(super) fn caller(&self) -> SlotGuard<'_, B, C, M, P, L> {
        SlotGuard { heap: self, number: self.cpu.enter() }
    }
}
