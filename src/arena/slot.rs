//! A slot: whose turn it is to use an arena, without a lock.
//!
//! ```text
//!            attach                       abandon                    claim: another one tidies up
//!   New ───────────────► Attached ───────────────────► Abandoned ◄─────────────────────────────► Claimed
//!                         ▲    ▲                        │   ▲ ▲
//!                         │    └──────── attach ────────┘   │ └── around a fork ──► Held         Dead: in the child (fork.rs)
//!                         ▼              abandon            │
//!                      Borrowed ──────────────────────► Orphaned
//!
//!   word[level]:   free        nobody is in the arena: whoever is on the slot may take it, and is in it then
//!                  busy        somebody is, and was interrupted by whoever finds it so; or the slot is not attached
//!                  held        nobody is in it, nor has been since somebody who forks has said so
//! ```
//!
//! # Ordering
//!
//! The word is the *busy flag*. It is loaded and stored, never exchanged: only a caller on the slot
//! takes it, and an interrupter puts back what it took before the interrupted one goes on. So
//! between its load and its store there may be whole operations of others, but none that is
//! unfinished; and once it is stored, whoever comes finds it taken. What is left to be done is to
//! keep the compiler from moving accesses to the arena out from between the two stores: a compiler
//! fence each. The first level's word may be the provider's ([`Slots::word`](crate::Cpu::word)).
//! Where nobody is ever interrupted ([`Slots::INTERRUPTED`](crate::Cpu::INTERRUPTED)) the flag is
//! not needed.
//!
//! A caller that is not on the slot *borrows* it: it enters `Borrowed`, marks the words, has every
//! CPU fence, and enters the arenas whose words are free then (`provider/word.rs` argues that their
//! owner stays out; `reclaim.rs` does it). The owner that finds its pointer taken out puts it in
//! again only while the slot is `Attached`. (What the forking thread writes into a word keeps
//! nobody out for certain, and only tells the child: `fork.rs`.)
//!
//! `state` is for those who are not on the slot: whoever claims or attaches acquires what was
//! released by whoever abandoned, or gave up the claim. The owner acquires what a borrower
//! released.

use core::ptr::NonNull;

use super::sync::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, SlotWord, compiler_fence,
};

/// Arenas of a slot: one for those who are there, one for those who interrupt them.
pub(super) const LEVELS: usize = 2;

/// What may be done with a slot's arenas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// There is none yet.
    New,
    /// They are for the caller on the slot.
    Attached,
    /// They are nobody's.
    Abandoned,
    /// They are nobody's, and somebody tidies them up; or the caller on the slot abandons or
    /// attaches them.
    Claimed,
    /// They are nobody's, and somebody who forks sees to it that this is so as long as the process
    /// is copied.
    Held,
    /// Somebody who is not in this process may have been in the middle of something there: nobody
    /// may ever look at them.
    Dead,
    /// They are for the caller on the slot, but another caller is alone with those whose words it
    /// has found free.
    Borrowed,
    /// They were borrowed when the caller on the slot abandoned them: the borrower abandons them.
    Orphaned,
}

impl State {
    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::New,
            1 => Self::Attached,
            2 => Self::Abandoned,
            3 => Self::Claimed,
            4 => Self::Held,
            5 => Self::Dead,
            6 => Self::Borrowed,
            _ => Self::Orphaned,
        }
    }
}

/// A slot, and the arenas that belong to it.
///
/// # Invariants
///
/// * zeroed memory is a new slot
/// * an arena that is there stays
/// * a level's word leads to `arenas[level]` or nowhere if the slot is attached or borrowed, and is
///   not free otherwise
/// * whoever took an arena out of a word and has not put it back, has claimed the slot, or has
///   borrowed it and found the word free, is alone with the arena
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Slot<T> {
    words: [SlotWord; LEVELS],
    arenas: [AtomicPtr<T>; LEVELS],
    state: AtomicU8,
    /// The caller on the slot has the parent's lock, or is about to take it.
    has_lock: AtomicBool,
    /// It was left as its last user had it: nobody has tidied it up since. The next caller there
    /// should, who is the owner if it is attached.
    is_untidy: AtomicBool,
    /// Who has borrowed it, if somebody has: a number that no other caller has at the same time.
    borrower: AtomicUsize,
}

impl<T> Slot<T> {
    /// The word of a level, unless the provider has one for it.
    #[inline(always)]
    pub(super) const fn word(&self, level: usize) -> &SlotWord {
        &self.words[level]
    }

    /// The arena of a level, for whatever may be done with it by anybody.
    pub(super) fn arena(&self, level: usize) -> Option<NonNull<T>> {
        NonNull::new(self.arenas[level].load(Ordering::Acquire))
    }

    /// Enters a new arena. Only for the caller that has begun to attach a new slot.
    pub(super) fn set_arena(&self, level: usize, arena: NonNull<T>) {
        self.arenas[level].store(arena.as_ptr(), Ordering::Release);
    }

    /// What may be done with the slot, as far as the caller can know. What was done before the
    /// state was entered happens before: a caller that has left has announced what it sent.
    pub(super) fn state(&self) -> State {
        State::from_number(self.state.load(Ordering::Acquire))
    }

    /// Goes from one state to another, if it is in the one. What was done before the state was
    /// entered happens before what is done now.
    pub(super) fn change(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    /// Goes to a state that lets others in. Only for a caller that is alone with the slot.
    pub(super) fn release(&self, to: State) {
        self.state.store(to as u8, Ordering::Release);
    }

    /// Whether the caller on the slot may enter its arenas. What a borrower did there happens
    /// before what is done now.
    pub(super) fn is_attached(&self) -> bool {
        self.state.load(Ordering::Acquire) == State::Attached as u8
    }

    /// Borrows the slot, if it is attached.
    pub(super) fn borrow(&self, borrower: usize) -> bool {
        let is_borrowed = self.change(State::Attached, State::Borrowed);
        if is_borrowed {
            self.borrower.store(borrower, Ordering::Relaxed);
        }
        is_borrowed
    }

    /// Borrows the slot, if it is abandoned: claims it.
    pub(super) fn borrow_abandoned(&self, borrower: usize) -> bool {
        let is_claimed = self.change(State::Abandoned, State::Claimed);
        if is_claimed {
            self.borrower.store(borrower, Ordering::Relaxed);
        }
        is_claimed
    }

    /// Whether this caller has borrowed the slot.
    pub(super) fn is_borrowed_by(&self, borrower: usize) -> bool {
        matches!(self.state(), State::Borrowed | State::Orphaned | State::Claimed)
            && self.borrower.load(Ordering::Relaxed) == borrower
    }

    /// Gives a borrowed slot back: to its owner, or, if that has gone, to anybody.
    pub(super) fn end_borrowing(&self) {
        self.borrower.store(0, Ordering::Relaxed);
        if self.state() == State::Claimed {
            return self.release(State::Abandoned);
        }
        let back = self.state.compare_exchange(
            State::Borrowed as u8,
            State::Attached as u8,
            Ordering::Release,
            Ordering::Acquire,
        );
        if back.is_err() {
            self.set_untidy(true);
            self.release(State::Abandoned);
        }
    }

    /// Leaves an attached slot to its borrower, if it is borrowed.
    pub(super) fn orphan(&self) -> bool {
        self.state
            .compare_exchange(
                State::Borrowed as u8,
                State::Orphaned as u8,
                Ordering::Release,
                Ordering::Relaxed,
            )
            .is_ok()
    }

    /// Whether nobody has tidied up what the last user has left.
    pub(super) fn is_untidy(&self) -> bool {
        self.is_untidy.load(Ordering::Relaxed)
    }

    /// Notes whether somebody should tidy it up, even if nothing is given back there. Only for a
    /// caller that is alone with the slot.
    pub(super) fn set_untidy(&self, is_untidy: bool) {
        self.is_untidy.store(is_untidy, Ordering::Relaxed);
    }

    /// Whether the caller that was on the slot before, and was interrupted, may have the parent's
    /// lock.
    pub(super) fn has_lock(&self) -> bool {
        self.has_lock.load(Ordering::Relaxed)
    }

    /// Notes that the caller on the slot is about to take the parent's lock, or has given it back.
    pub(super) fn set_has_lock(&self, has_lock: bool) {
        compiler_fence(Ordering::SeqCst);
        self.has_lock.store(has_lock, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }
}
