//! Around a `fork`: the child has one thread. What becomes of the arenas of the others there?
//!
//! ```text
//!   before the fork   an arena without a caller inside ─► held: by its slot's word, or by the
//!                                                         slot's state if that is abandoned
//!   in the parent     let go of
//!   in the child      still held ─► Abandoned: adopted, or for the next thread on the slot
//!                     not held ───► Dead: a thread may have been in the middle of an operation
//! ```
//!
//! A thread whose arena is held waits, but not for ever ([`Slots::wait_for_fork`]): it may hold a
//! lock that the forking thread needs (the C library takes locks of its own after it has called
//! us). Then it enters, and removes the mark: the child loses that arena, and nothing else.
//!
//! # Why an arena that is still held in the child is whole
//!
//! The forking thread marks a word that it finds free: the last operation there had ended. The next
//! one stores *busy* before it touches the arena, and no other caller overwrites the mark. (One
//! that found the word free just before it was marked does so, too.) So for an arena that is marked
//! and in the middle of an operation the child must have got a later state of the arena's pages
//! than of the word's. It has not: a `fork` does not copy page by page. Parent and child *share*
//! each page that can be written to, and the parent loses its right to write there. A CPU that
//! still remembers the old right writes to the shared page, so the child sees that; one that has
//! lost it faults, and a fault waits until the `fork` has done with the address space. Before that,
//! all CPUs are made to forget the old rights, and have completed by then what they wrote with
//! them. So there is one moment for each thread, and for all pages: the child has all that the
//! thread wrote before, and nothing of what it wrote afterwards, in the order of its program. That
//! depends on no order of stores that a machine keeps; the word's fences make the compiler keep it.
//! The moments of two threads fit together: what one has read of another was written with the old
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
use super::slot::{LEVELS, Slot, State};
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Hold, Map, SlotWord, Slots, Source};

/// Operations of a library that serves a whole process: see `fork.rs`.
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

    /// Frees a block as far as the shortest path goes. `false` only means that a longer path is
    /// needed, as for null.
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

    /// Before a `fork`: holds all arenas but the caller's that have no caller inside, so that they
    /// are not lost to the child. Returns `false` if another arena is in use: its caller may be out
    /// soon, and a second try is worth while, with the parent's lock released in between.
    ///
    /// O(slots that were ever attached). Requires a busy flag ([`Slots::INTERRUPTED`]). If there
    /// are no other arenas, writes nothing: each page that is written to must be copied, even for a
    /// child that only begins another program.
    ///
    /// # Safety
    ///
    /// The caller holds the parent's lock, or is the only thread. It keeps the lock until
    /// [`postfork_parent`](ArenaHooks::postfork_parent), or
    /// [`postfork_child`](ArenaHooks::postfork_child) in the child; or until it tries again.
    unsafe fn prefork(&self) -> bool;

    /// Lets go of what [`prefork`](ArenaHooks::prefork) holds, in the parent after a `fork`.
    ///
    /// # Safety
    ///
    /// The caller has held the parent's lock since, or is the only thread.
    unsafe fn postfork_parent(&self);

    /// Abandons the arenas of other threads that are still held, in the child of a `fork`, where
    /// only the caller's thread goes on. Other arenas are lost, and later frees of their blocks
    /// too, because a thread may have been in the middle of an operation there. If there are no
    /// others, writes nothing.
    ///
    /// # Time
    ///
    /// O(slots that were ever attached, and packets that are on their way to them).
    ///
    /// # Safety
    ///
    /// No other thread is in the heap, or will continue an operation. At the time of the `fork` no
    /// other thread held the parent's lock than the caller, which has called
    /// [`prefork`](ArenaHooks::prefork) with it, and may have released it since.
    unsafe fn postfork_child(&self);

    /// Makes the slot of a thread that does not exist in the child of a `fork` ready for another
    /// one, whether it had an arena or not, after [`postfork_child`](ArenaHooks::postfork_child).
    /// Returns `false` if its arena is lost, and no thread should get the slot.
    ///
    /// # Safety
    ///
    /// The slot's thread does not exist in the child, and no other has got the slot since.
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
                // The borrower is not in this process, and may have been in the middle of an
                // operation there.
                slot.release(State::Dead);
            }
        }
        shared.abandoned.store(abandoned, Ordering::Relaxed);
    }

    unsafe fn take_over(&self, slot: usize) -> bool {
        let Some(slot) = self.shared().and_then(|shared| shared.slot(slot)) else { return true };
        if slot.has_lock() {
            // Its thread was waiting for the lock.
            slot.set_has_lock(false);
        }
        slot.state() != State::Dead
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Returns all slots that were ever attached, with their numbers.
    fn numbered_slots(&self) -> impl Iterator<Item = (usize, &Slot<Arena<B, M, P, L>>)> {
        self.shared().into_iter().flat_map(|shared| shared.slots().enumerate())
    }

    /// Returns the words of the arenas of a slot. Without a busy flag they do not say whether a
    /// caller is inside: new ones do not, either.
    fn words<'a>(
        &'a self,
        number: usize,
        slot: &'a Slot<Arena<B, M, P, L>>,
    ) -> impl Iterator<Item = &'a SlotWord> {
        const { assert!(C::INTERRUPTED, "only a busy flag tells which arenas are whole") };
        (0..LEVELS).filter(|&level| level == 0 || slot.arena(level).is_some()).map(move |level| {
            self.cpu.word_of(number).filter(|_| level == 0).unwrap_or_else(|| slot.word(level))
        })
    }
}

fn arenas<B: Source, M: Map, P: Profile, L: RawLock>(
    slot: &Slot<Arena<B, M, P, L>>,
) -> impl Iterator<Item = &Arena<B, M, P, L>> {
    // SAFETY: an arena that is there stays; others see of it what a mailbox is.
    slot.arenas().map(|arena| unsafe { arena.as_ref() })
}

/// Abandons a slot as its user has left it: the next caller that needs memory tidies it up. A child
/// that needs none touches none of its pages.
fn abandon<B: Source, M: Map, P: Profile, L: RawLock>(slot: &Slot<Arena<B, M, P, L>>) {
    for level in 0..LEVELS {
        slot.word(level).clear();
    }
    slot.set_untidy(true);
    forget_claims(slot);
    slot.release(State::Abandoned);
}

/// Announces packets that a thread has claimed for this slot: it does not exist in the child, and
/// will never announce them.
fn forget_claims<B: Source, M: Map, P: Profile, L: RawLock>(slot: &Slot<Arena<B, M, P, L>>) {
    arenas(slot).for_each(|arena| arena.mailbox().packets.forget_claims());
}
