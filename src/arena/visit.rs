//! Who comes in: a caller, the slot that it stays on for one operation, and the arena that it is
//! alone in.
//!
//! ```text
//!   Caller ── go_in ──► Inside      the fast path: one word, and nothing else is looked at
//!     │
//!     └─► Visit ── go_in, go_in_elsewhere ──► Inside      what all share, the slot, and both of its levels
//! ```
//!
//! Each leaves when it is dropped: an arena goes back into its word, and then the caller off its
//! slot.

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

/// A caller, which stays on one slot for the time of one operation.
pub(super) struct Caller<'heap, B, C: Slots, M, P: Profile, L> {
    heap: &'heap ArenaHeap<B, C, M, P, L>,
    pub(super) number: usize,
}

impl<B, C: Slots, M, P: Profile, L> Drop for Caller<'_, B, C, M, P, L> {
    #[inline(always)]
    fn drop(&mut self) {
        self.heap.cpu.leave();
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Caller<'heap, B, C, M, P, L> {
    /// Goes into the arena of the slot, if it is there and nobody is in it. Looks no further than
    /// it has to.
    #[inline(always)]
    pub(super) fn go_in(&self) -> Option<Inside<'heap, B, M, P, L>> {
        let word = match self.heap.cpu.word() {
            Some(word) => word,
            None => self.heap.shared()?.slot(self.number)?.word(0),
        };
        Inside::of(word, 0, C::INTERRUPTED)
    }

    /// [`go_in`](Caller::go_in) for the shortest path.
    #[inline(always)]
    pub(super) fn go_in_at_hand(&self) -> Option<AtHand<'heap, B, C, M, P, L>> {
        let inside = if C::AT_HAND {
            // Without its word: `AtHand` puts the arena back, or finds the word.
            Inside { word: None, level: 0, arena: self.heap.cpu.take_at_hand()?.cast() }
        } else {
            self.go_in()?
        };
        Some(AtHand { inside: ManuallyDrop::new(inside), cpu: &self.heap.cpu })
    }
}

/// A caller that is in an arena on the shortest path.
pub(super) struct AtHand<'heap, B, C: Slots, M, P: Profile, L> {
    inside: ManuallyDrop<Inside<'heap, B, M, P, L>>,
    cpu: &'heap C,
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> AtHand<'heap, B, C, M, P, L> {
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

impl<B, C: Slots, M, P: Profile, L> Drop for AtHand<'_, B, C, M, P, L> {
    #[inline(always)]
    fn drop(&mut self) {
        if C::AT_HAND {
            self.cpu.put_back_at_hand();
        } else {
            // SAFETY: it is dropped here only.
            unsafe { ManuallyDrop::drop(&mut self.inside) };
        }
    }
}

/// The same where the fast path ends: what there is to know about the caller.
pub(super) struct Visit<'heap, B, C: Slots, M, P: Profile, L> {
    pub(super) caller: Caller<'heap, B, C, M, P, L>,
    pub(super) heap: &'heap ArenaHeap<B, C, M, P, L>,
    pub(super) shared: Option<&'heap Shared<Arena<B, M, P, L>>>,
    pub(super) slot: Option<&'heap Slot<Arena<B, M, P, L>>>,
}

/// A caller that is in an arena.
///
/// # Invariants
///
/// The arena was taken out of the word, and is put back there, if there is one.
pub(super) struct Inside<'heap, B, M, P: Profile, L> {
    word: Option<&'heap SlotWord>,
    pub(super) level: usize,
    arena: NonNull<Arena<B, M, P, L>>,
}

impl<'heap, B, M, P: Profile, L> Inside<'heap, B, M, P, L> {
    #[inline(always)]
    fn of(word: &'heap SlotWord, level: usize, interrupted: bool) -> Option<Self> {
        let arena = word.take(interrupted)?.cast();
        Some(Self { word: interrupted.then_some(word), level, arena })
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Inside<'_, B, M, P, L> {
    #[inline(always)]
    pub(super) fn inner(&mut self) -> (&mut Inner<B, M, P, L>, &Mailbox) {
        // SAFETY: whoever took it is alone with the arena.
        unsafe { Arena::enter(self.arena) }
    }
}

impl<B, M, P: Profile, L> Inside<'_, B, M, P, L> {
    /// The arena that the caller is alone in.
    pub(super) const fn arena(&self) -> NonNull<Arena<B, M, P, L>> {
        self.arena
    }
}

impl<B, M, P: Profile, L> Drop for Inside<'_, B, M, P, L> {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(word) = self.word {
            word.put_back();
        }
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'heap, B, C, M, P, L> {
    /// The word of the caller's slot, at a level.
    #[inline(always)]
    pub(super) fn word(&self, level: usize) -> Option<&'heap SlotWord> {
        match self.heap.cpu.word().filter(|_| level == 0) {
            Some(word) => Some(word),
            None => Some(self.slot?.word(level)),
        }
    }

    /// Goes into the arena of a level, if it is there and nobody is in it. The first one is tidied
    /// up before, if another caller has asked for that.
    pub(super) fn go_in(&self, level: usize) -> Option<Inside<'heap, B, M, P, L>> {
        let word = self.word(level)?;
        let inside = Inside::of(word, level, C::INTERRUPTED);
        let mut inside = inside.or_else(|| self.go_in_again(word, level))?;
        if level == 0 && self.slot.is_some_and(Slot::is_untidy) {
            self.tidy_up_own(&mut inside);
        }
        Some(inside)
    }

    /// Goes into an arena that another caller has marked, if that has left it.
    #[cold]
    fn go_in_again(
        &self,
        word: &'heap SlotWord,
        level: usize,
    ) -> Option<Inside<'heap, B, M, P, L>> {
        let slot = self.slot?;
        let arena = slot.arena(level)?;
        word.resume(C::INTERRUPTED, arena.cast(), || slot.is_attached())?;
        Some(Inside { word: C::INTERRUPTED.then_some(word), level, arena })
    }

    #[cold]
    fn tidy_up_own(&self, inside: &mut Inside<'heap, B, M, P, L>) {
        if let (Some(source), Some(slot)) = (self.source(), self.slot) {
            slot.set_untidy(false);
            let (inner, mailbox) = inside.inner();
            inner.tidy_up(source, mailbox);
        }
    }

    /// Goes into the arena of the slot, which gets one if it has none; or, if somebody is in it,
    /// who was interrupted, or has borrowed it, into the second one.
    #[cold]
    pub(super) fn go_in_elsewhere(&self) -> Option<Inside<'heap, B, M, P, L>> {
        match self.slot?.state() {
            State::Attached | State::Borrowed => {
                self.go_in_held().or_else(|| self.go_in(0)).or_else(|| self.go_in(1))
            }
            State::New | State::Abandoned if self.attach() => self.go_in(0),
            _ => None,
        }
    }

    /// Goes into the arena of the slot if somebody who forks holds it, when that is over, or has
    /// taken too long: see `fork.rs`.
    fn go_in_held(&self) -> Option<Inside<'heap, B, M, P, L>> {
        let word = self.word(0).filter(|word| C::INTERRUPTED && word.is_held())?;
        let mut turns = 0..;
        while word.is_held() && turns.next().is_some_and(|turn| self.heap.cpu.wait_for_fork(turn)) {
        }
        let arena = word.take_even_if_held()?.cast();
        Some(Inside { word: Some(word), level: 0, arena })
    }

    pub(super) fn place(&self) -> Place<'heap, Arena<B, M, P, L>> {
        Place::new(self.slot)
    }

    pub(super) fn source(&self) -> Option<GrantedBy<'heap, B, M, P, L>> {
        Some(GrantedBy { parent: &self.heap.parent, shared: self.shared?, place: self.place() })
    }

    /// Whose a block is.
    #[inline(always)]
    pub(super) fn owner_of(&self, block: NonNull<u8>) -> Owner {
        self.shared.map_or(Owner::NOBODY, |shared| shared.map.owner_of(block.addr().get()))
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Goes on in another function where the shortest path has ended.
    #[inline(always)]
    pub(super) fn at_hand_again<'heap>(
        &'heap self,
        Parted(arena, word): Parted<'heap, B, M, P, L>,
    ) -> AtHand<'heap, B, C, M, P, L> {
        let inside = Inside { word, level: 0, arena };
        AtHand { inside: ManuallyDrop::new(inside), cpu: &self.cpu }
    }

    /// The caller of an operation whose shortest path has ended.
    #[inline(always)]
    pub(super) fn caller_again(&self) -> Caller<'_, B, C, M, P, L> {
        Caller { heap: self, number: usize::MAX }
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
    pub(super) fn caller(&self) -> Caller<'_, B, C, M, P, L> {
        Caller { heap: self, number: self.cpu.enter() }
    }
}
