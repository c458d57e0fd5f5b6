//! Around a `fork`: in the child there is one thread. What becomes there of the arenas of the
//! others?
//!
//! ```text
//!   before the fork   an arena in which nobody is ─► held: its slot's word, or the slot's state if it is abandoned
//!   in the parent     let go of
//!   in the child      still held ─► Abandoned: adopted, or the arena of the next thread on the slot
//!                     not held ───► Dead: somebody may have been in the middle of something there
//! ```
//!
//! A thread whose arena is held waits, but not for ever ([`Slots::wait_for_fork`]): it may have
//! what whoever forks needs to go on (the C library takes locks of its own after it has called us).
//! It goes in then, and takes away the mark, and so the child loses that arena, and nothing else.
//!
//! # Why an arena that is still held in the child is whole
//!
//! Whoever marks a word finds it free: the last operation there had ended. The next one stores
//! *busy* before it touches the arena, and nobody else overwrites the mark. (One who has found the
//! word free just before it was marked does that, too.) So for an arena that is marked and
//! in the middle of something the child must have got a later state of the arena's pages than of
//! the word's. It has not: a `fork` does not copy page by page. Parent and child *share* each page
//! that can be written to, and the parent loses its right to write there. A CPU that still
//! remembers the old right writes to the shared page, so the child sees that; who has lost it
//! faults, and a fault waits until the `fork` has done with the address space. Before that, all
//! CPUs are made to forget the old rights, and have completed by then what they wrote with them. So
//! there is one moment for each thread, and for all pages: the child has all that it wrote before,
//! and nothing of what it wrote afterwards, in the order of its program. That depends on no order
//! of stores that a machine keeps; that the compiler keeps it is what the word's fences see to. The
//! moments of two threads fit together: what one has read of another was written with the old
//! right.
//!
//! Pages in which a device reads or writes at that time are the exception: these are copied at
//! once, and earlier. An arena's own may be such: a copy of any time between mark and moment is the
//! same. A caller's word must not be in one.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::Ordering;

use super::ArenaHeap;
use super::arena::Arena;
use super::shared::HasMailbox;
use super::slot::{LEVELS, Slot, State};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Hold, Map, SlotWord, Slots, Source};

/// What a library that serves a whole process does beside allocating: see `fork.rs`.
pub trait ArenaHooks {
    /// Allocates a block of `size` bytes as far as the shortest path goes, which calls no function
    /// but in tail position. Where there is more to do, returns what `otherwise` returns for the
    /// size: it calls [`allocate_missed`](ArenaHooks::allocate_missed). `align` is a power of two.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    unsafe fn allocate_at_hand_or(
        &self,
        size: usize,
        align: usize,
        otherwise: impl FnOnce(usize) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>>;

    /// [`allocate`](ArenaHeap::allocate) where the shortest path did not lead to a block.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    unsafe fn allocate_missed(&self, layout: Layout) -> Option<NonNull<u8>>;

    /// Frees a block as far as the shortest path goes. `false` only says that there is more to do,
    /// as for null.
    ///
    /// # Safety
    ///
    /// As for [`deallocate_by_ptr`](ArenaHeap::deallocate_by_ptr), if the answer is true.
    #[must_use]
    unsafe fn deallocate_at_hand(&self, block: *mut u8) -> bool;

    /// [`deallocate_by_ptr`](ArenaHeap::deallocate_by_ptr) where the shortest path did not end.
    ///
    /// # Safety
    ///
    /// As for that.
    unsafe fn deallocate_missed(&self, block: NonNull<u8>);

    /// Before a `fork`: holds all arenas but the caller's in which nobody is, so that they are not
    /// lost to the child. False: there are others, and who is in there may be out soon; to try
    /// again is worth while, with the parent's lock given back in between.
    ///
    /// O(slots that were ever attached). Only with a busy flag ([`Slots::INTERRUPTED`]). Where
    /// there are no others, nothing is written to: each page that is would have to be copied, also
    /// for a child that only begins another program.
    ///
    /// # Safety
    ///
    /// The caller has the parent's lock, or is the only thread. It keeps it until
    /// [`postfork_parent`](ArenaHooks::postfork_parent), or
    /// [`postfork_child`](ArenaHooks::postfork_child) in the child; or until it tries again.
    unsafe fn prefork(&self) -> bool;

    /// In the parent after a `fork`: lets go of what [`prefork`](ArenaHooks::prefork)
    /// holds.
    ///
    /// # Safety
    ///
    /// The caller has had the parent's lock since, or is the only thread.
    unsafe fn postfork_parent(&self);

    /// In the child of a `fork`, where only the caller's thread goes on: the arenas of the others
    /// that are still held are abandoned. The others are lost, and what is freed of theirs, for
    /// somebody may have been in the middle of something there. Where there are no others, nothing
    /// is written to.
    ///
    /// # Time
    ///
    /// O(slots that were ever attached, and packets that are on their way to them).
    ///
    /// # Safety
    ///
    /// Nobody else is in the heap, or will go on with what they had begun. At the time of the
    /// `fork` nobody had the parent's lock but the caller, who has called
    /// [`prefork`](ArenaHooks::prefork) with it, and may have given it back since.
    unsafe fn postfork_child(&self);

    /// In the child of a `fork`, after [`postfork_child`](ArenaHooks::postfork_child): makes ready
    /// for somebody else the slot of a thread that is not there, whether it had an arena or not.
    /// False: its arena is lost, and nobody should get the slot.
    ///
    /// # Safety
    ///
    /// A thread had the slot that is not there, and nobody has got it since.
    #[must_use]
    unsafe fn take_over(&self, slot: usize) -> bool;
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHooks for ArenaHeap<B, C, M, P, L> {
    #[inline(always)]
    unsafe fn allocate_at_hand_or(
        &self,
        size: usize,
        align: usize,
        otherwise: impl FnOnce(usize) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        self.pop_or(size, align, otherwise)
    }

    unsafe fn allocate_missed(&self, layout: Layout) -> Option<NonNull<u8>> {
        self.allocate_slowly(layout)
    }

    #[inline(always)]
    unsafe fn deallocate_at_hand(&self, block: *mut u8) -> bool {
        // SAFETY: the clauses are those of this method.
        unsafe { self.push_at_hand(block) }
    }

    unsafe fn deallocate_missed(&self, block: NonNull<u8>) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.deallocate_slowly(block, None) };
    }

    unsafe fn prefork(&self) -> bool {
        let own = self.caller().number;
        self.numbered_slots().fold(true, |all, (number, slot)| {
            let is_done = match slot.state() {
                state if number == own => state != State::Borrowed,
                State::Abandoned => slot.change(State::Abandoned, State::Held),
                State::Claimed | State::Borrowed | State::Orphaned => false,
                State::Attached => self.words(number, slot).all(|word| word.hold() != Hold::Busy),
                State::New | State::Held | State::Dead => true,
            };
            all && is_done
        })
    }

    unsafe fn postfork_parent(&self) {
        for (number, slot) in self.numbered_slots() {
            match slot.state() {
                State::Held => slot.release(State::Abandoned),
                State::Attached => self.words(number, slot).for_each(SlotWord::let_go),
                _ => {}
            }
        }
    }

    unsafe fn postfork_child(&self) {
        let Some(shared) = self.shared() else { return };
        let own = self.caller().number;
        let (mut are_others, mut abandoned) = (false, 0);
        for (number, slot) in self.numbered_slots().filter(|(number, _)| *number != own) {
            let is_whole = match slot.state() {
                State::New if arenas(slot).next().is_none() => continue,
                State::Held => true,
                State::Attached => self.words(number, slot).all(SlotWord::is_held),
                _ => false,
            };
            are_others = true;
            if is_whole {
                abandon(slot);
                abandoned += 1;
            } else {
                slot.release(State::Dead);
            }
        }
        if !are_others {
            return;
        }
        if let Some(slot) = shared.slot(own) {
            // Another thread may have been about to fork.
            self.words(own, slot).for_each(SlotWord::let_go);
            forget_claims(slot);
            if slot.state() == State::Borrowed {
                // By a thread that is not in this process, and may have been in the middle of
                // something there.
                slot.release(State::Dead);
            }
        }
        shared.abandoned.store(abandoned, Ordering::Relaxed);
    }

    unsafe fn take_over(&self, slot: usize) -> bool {
        let Some(slot) = self.shared().and_then(|shared| shared.slot(slot)) else { return true };
        if slot.has_lock() {
            // It was waiting for the lock.
            slot.set_has_lock(false);
        }
        slot.state() != State::Dead
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// All slots that were ever attached, and their numbers.
    fn numbered_slots(&self) -> impl Iterator<Item = (usize, &Slot<Arena<B, M, P, L>>)> {
        self.shared().into_iter().flat_map(|shared| shared.slots().enumerate())
    }

    /// The words of the arenas of a slot. Where there is no busy flag they do not say whether
    /// somebody is in there: new ones do not, either.
    fn words<'a>(
        &'a self,
        number: usize,
        slot: &'a Slot<Arena<B, M, P, L>>,
    ) -> impl Iterator<Item = &'a SlotWord> {
        const { assert!(C::INTERRUPTED, "without a busy flag nobody knows which arenas are whole") };
        (0..LEVELS).filter(|&level| level == 0 || slot.arena(level).is_some()).map(move |level| {
            self.cpu.word_of(number).filter(|_| level == 0).unwrap_or_else(|| slot.word(level))
        })
    }
}

fn arenas<B: Source, M: Map, P: Profile, L: RawLock>(
    slot: &Slot<Arena<B, M, P, L>>,
) -> impl Iterator<Item = &Arena<B, M, P, L>> {
    // SAFETY: an arena that is there stays; others see of it what a mailbox is.
    (0..LEVELS).filter_map(|level| slot.arena(level)).map(|arena| unsafe { arena.as_ref() })
}

/// Retires a slot as its user has left it: it is tidied up by whoever needs memory. A child that
/// does not touches none of its pages.
fn abandon<B: Source, M: Map, P: Profile, L: RawLock>(slot: &Slot<Arena<B, M, P, L>>) {
    for level in 0..LEVELS {
        slot.word(level).clear();
    }
    slot.set_untidy(true);
    forget_claims(slot);
    slot.release(State::Abandoned);
}

/// Who has claimed a packet for a block of this slot's, and is not there, will never send it.
fn forget_claims<B: Source, M: Map, P: Profile, L: RawLock>(slot: &Slot<Arena<B, M, P, L>>) {
    arenas(slot).for_each(|arena| arena.mailbox().forget_claims());
}
