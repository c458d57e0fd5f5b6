//! Brings free memory back from other arenas: those of idle callers.
//!
//! ```text
//!   borrow:  slot Attached ─► Borrowed ─► words marked ─► barrier ─┬─ words free: the caller is
//!                                                                  │  alone with the arenas
//!                                                                  └─ busy, or no barrier: given
//!                                                    back at once, for the owner to tidy up
//!   tidy up: send blocks of other arenas ─► each collects its own, and gives segments back
//! ```
//!
//! | when | which arenas |
//! |---|---|
//! | memory is short: before a request is refused | all, the caller's last; then a block of any |
//! | the arenas have grown by a quarter, and `LEAST_GROWTH` | all but the caller's |
//! | `flush`, `trim` | all |
//!
//! An owner whose arenas are borrowed goes on with the parent and never waits. An interrupt handler
//! of the borrower finds what it would find if the borrower had the parent's lock.

use core::alloc::Layout;
use core::ptr::{self, NonNull};

use super::arena::{Arena, GrantedBy, Inner};
use super::mailbox::Mailbox;
use super::shared::{NESTED, Shared};
use super::slot::{LEVELS, Slot, State};
use super::visit::Visit;
use super::{ArenaHeap, is_large};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, SlotWord, Slots, Source};
use crate::segments::capacity;

/// RAII guard: slots that a caller has borrowed. They are given back when it is dropped, also while
/// a misuse unwinds.
struct Borrowed<'heap, T> {
    shared: &'heap Shared<T>,
    /// Address of the caller's visit: unique among callers at that time.
    borrower: usize,
}

impl<T> Borrowed<'_, T> {
    fn slots(&self) -> impl Iterator<Item = &Slot<T>> {
        self.shared.slots().filter(|slot| slot.is_borrowed_by(self.borrower))
    }

    /// Returns the arenas of the slots, and whether each is the second one of a caller.
    fn arenas(&self) -> impl Iterator<Item = (bool, NonNull<T>)> {
        self.slots().flat_map(|slot| {
            let has_caller = slot.state() != State::Claimed;
            let arena = move |level| Some((has_caller && level == NESTED, slot.arena(level)?));
            (0..LEVELS).filter_map(arena)
        })
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Borrowed<'_, Arena<B, M, P, L>> {
    /// Runs `run` in each arena. Passes also whether it is the second one of a caller.
    fn enter_each(&self, run: impl Fn(bool, &mut Inner<B, M, P, L>, &Mailbox)) {
        for (is_second, arena) in self.arenas() {
            // SAFETY: the borrower of a slot is alone with its arenas.
            let (inner, mailbox) = unsafe { Arena::enter(arena) };
            run(is_second, inner, mailbox);
        }
    }
}

impl<T> Drop for Borrowed<'_, T> {
    fn drop(&mut self) {
        self.slots().for_each(Slot::end_borrowing);
    }
}

impl<'heap, B: Source, C: Slots, M: Map, P: Profile, L: RawLock> Visit<'heap, B, C, M, P, L> {
    /// Returns the word of another slot, for a caller inside `with_words`.
    fn word_of(
        &self,
        number: usize,
        slot: &'heap Slot<Arena<B, M, P, L>>,
        level: usize,
    ) -> Option<&'heap SlotWord> {
        if level == 0 && self.heap.cpu.has_words() {
            return self.heap.cpu.word_of(number);
        }
        Some(slot.word(level))
    }

    /// Borrows abandoned slots, and those of other callers that are idle, if there is a barrier,
    /// and tidies up their arenas. Marks the rest: its owners tidy up with their next operation.
    fn reclaim_others(
        &self,
        source: GrantedBy<'heap, B, M, P, L>,
    ) -> Borrowed<'heap, Arena<B, M, P, L>> {
        let shared = source.shared;
        let borrowed = Borrowed { shared, borrower: ptr::from_ref(self).addr() };
        self.borrow(shared, borrowed.borrower);
        borrowed.enter_each(|_, inner, _| source.send_all(inner));
        borrowed.enter_each(|is_second, inner, mail| source.tidy_up(is_second, inner, mail));
        borrowed
    }

    /// Borrows slots for [`reclaim_others`](Visit::reclaim_others).
    fn borrow(&self, shared: &'heap Shared<Arena<B, M, P, L>>, borrower: usize) {
        let words = |number, slot: &'heap Slot<_>| {
            let levels = (0..LEVELS).filter(|&level| slot.arena(level).is_some());
            levels.map(move |level| self.word_of(number, slot, level))
        };
        for slot in shared.slots() {
            slot.borrow(State::Abandoned, State::Claimed, borrower);
        }
        if !C::INTERRUPTED {
            // There is no busy flag. Owners tidy up when their shortest path ends.
            let others = shared.slots().filter(|slot| !self.is_own(slot) && slot.is_attached());
            return others.for_each(|slot| slot.set_untidy(true));
        }
        let mut borrow = || {
            let mut any = false;
            for (number, slot) in shared.slots().enumerate().filter(|(_, slot)| !self.is_own(slot))
            {
                if slot.borrow(State::Attached, State::Borrowed, borrower) {
                    any = true;
                    words(number, slot).flatten().for_each(SlotWord::mark);
                }
            }
            if !any {
                return;
            }
            let has_fenced = self.heap.cpu.barrier();
            for (number, slot) in shared.slots().enumerate() {
                if slot.state() != State::Claimed
                    && slot.is_borrowed_by(borrower)
                    && !(has_fenced
                        && words(number, slot).all(|word| word.is_some_and(SlotWord::is_free)))
                {
                    slot.set_untidy(true);
                    slot.end_borrowing();
                }
            }
        };
        let _: Option<()> =
            self.heap.parent.noted(self.slot, || self.heap.cpu.with_words(&mut borrow));
    }

    /// Brings free memory of all arenas back to the parent. Returns a block, if one is requested:
    /// of the caller's arena, the parent, or any arena that can be entered.
    ///
    /// # Time
    ///
    /// O(slots that were ever attached + slabs + blocks that others have freed), a barrier.
    pub(super) fn reclaim(&self, layout: Option<Layout>) -> Option<NonNull<u8>> {
        let source = self.source()?;
        self.enter_own(|_, inner, _| source.send_all(inner));
        let borrowed = self.reclaim_others(source);
        self.enter_own(|is_second, inner, mail| source.tidy_up(is_second, inner, mail));
        borrowed.enter_each(|is_second, inner, mail| source.provide(is_second, inner, mail));
        self.enter_own(|is_second, inner, mail| source.provide(is_second, inner, mail));
        source.shared.note_reclaimed();
        let layout = layout?;
        self.allocate_reclaimed(layout).or_else(|| {
            let mut arenas = borrowed.arenas().filter(|_| !is_large(layout));
            // SAFETY: the borrower of a slot is alone with its arenas; the caller keeps the
            // heap as long as its blocks.
            arenas.find_map(|(_, arena)| unsafe { Arena::enter(arena).0.heap.try_allocate(layout) })
        })
    }

    fn is_own(&self, slot: &Slot<Arena<B, M, P, L>>) -> bool {
        self.slot.is_some_and(|own| ptr::eq(own, slot))
    }

    /// Runs `run` in the caller's arenas in which it has interrupted no operation.
    fn enter_own(&self, run: impl Fn(bool, &mut Inner<B, M, P, L>, &Mailbox)) {
        for level in 0..LEVELS {
            if let Some(mut inside) = self.enter_arena(level) {
                let (inner, mailbox) = inside.inner();
                run(level == NESTED, inner, mailbox);
            }
        }
    }

    /// Tidies up the arenas of idle callers, because all arenas have grown by a share.
    fn reclaim_grown(&self) {
        let Some(source) = self.source() else { return };
        // Other callers need not do the same now.
        source.shared.note_reclaimed();
        let borrowed = self.reclaim_others(source);
        borrowed.enter_each(|is_second, inner, mail| source.provide(is_second, inner, mail));
        source.shared.note_reclaimed();
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Tidies up idle arenas if that is due. The caller is on no slot.
    #[inline]
    pub(super) fn reclaim_if_due(&self) {
        if self.shared().is_some_and(Shared::is_reclaim_due) {
            self.reclaim_grown();
        }
    }

    #[cold]
    #[inline(never)]
    fn reclaim_grown(&self) {
        self.visit().reclaim_grown();
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> GrantedBy<'_, B, M, P, L> {
    /// Sends the blocks of other arenas that an arena has.
    fn send_all(self, inner: &mut Inner<B, M, P, L>) {
        inner.outbox.send_all(|owner| self.shared.mailbox_of(owner));
    }

    /// Gives back free memory of an arena. A second arena keeps a segment of one unit.
    fn tidy_up(self, is_second: bool, inner: &mut Inner<B, M, P, L>, mailbox: &Mailbox) {
        if is_second && inner.heap.provider().bytes() <= capacity(1) {
            inner.after_mail(self, mailbox, |heap| heap.flush());
        } else {
            inner.tidy_up(self, mailbox);
        }
    }

    /// Gives a second arena a segment again, if it has none.
    fn provide(self, is_second: bool, inner: &mut Inner<B, M, P, L>, mailbox: &Mailbox) {
        if is_second && inner.heap.provider().bytes() == 0 {
            // Without memory it gets some when it is needed.
            inner.after_mail(self, mailbox, |heap| _ = heap.reserve(1));
        }
    }
}
