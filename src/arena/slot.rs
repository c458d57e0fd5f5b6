//! A slot: which caller may enter an arena, without a lock.
//!
//! ```text
//!          attach                     abandon                  claim: another caller tidies up
//!   New ─────────────► Attached ─────────────────► Abandoned ◄──────────────────────────► Claimed
//!                       ▲    ▲                      │   ▲ ▲
//!                       │    └──────── attach ──────┘   │ └── around a fork ──► Held
//!                       ▼              abandon          │
//!                    Borrowed ──────────────────────► Orphaned       Dead: in the child (fork.rs)
//!
//!   word[level]:   free   no caller is in the arena: the one on the slot may take it
//!                  busy   a caller is inside, and was interrupted by the one that finds it so; or
//!                         the slot is not attached
//!                  held   no caller is inside, nor was since the forking thread marked the word
//! ```
//!
//! # Ordering
//!
//! The word is the *busy flag*. It is loaded and stored, never exchanged: only a caller on the slot
//! takes it, and an interrupt handler puts back what it took before the interrupted code goes on.
//! So between its load and its store there may be whole operations of handlers, but no unfinished
//! one; and once it is stored, every handler finds it taken. The compiler must not move accesses to
//! the arena out from between the two stores: a compiler fence each. The first level's word may be
//! the provider's ([`Slots::word`](crate::Cpu::word)). Where no caller is ever interrupted
//! ([`Slots::INTERRUPTED`](crate::Cpu::INTERRUPTED)) the flag is not needed.
//!
//! A caller that is not on the slot *borrows* it: it enters `Borrowed`, marks the words, makes
//! every CPU fence, and enters the arenas whose words are free then (`provider/word.rs` argues that
//! their owner stays out; `reclaim.rs` does it). The owner that finds its pointer taken out puts it
//! in again only while the slot is `Attached`. (A mark of the forking thread does not keep the
//! owner out for certain, and only informs the child: `fork.rs`.)
//!
//! `state` is for callers that are not on the slot: a claim and an attach acquire what the last
//! abandon, or the end of the last claim, released. The owner acquires what a borrower released.

use core::ptr::NonNull;

use super::sync::{
    AtomicBool, AtomicPtr, AtomicU8, AtomicUsize, Ordering, SlotWord, compiler_fence,
};

/// Number of arenas of a slot: one for its caller, one for handlers that interrupt it.
pub(super) const LEVELS: usize = 2;

/// State of a slot: which caller may use its arenas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// There are no arenas yet.
    New,
    /// The caller on the slot uses them.
    Attached,
    /// They have no owner.
    Abandoned,
    /// They have no owner, and one caller tidies them up; or the caller on the slot abandons or
    /// attaches them.
    Claimed,
    /// They have no owner, and the forking thread keeps it so until the process is copied.
    Held,
    /// A thread that is not in this process may have been in the middle of an operation there: no
    /// caller may use them again.
    Dead,
    /// They belong to the caller on the slot, but another caller is alone with those whose words it
    /// found free.
    Borrowed,
    /// They were borrowed when the caller on the slot abandoned them: the borrower abandons them.
    Orphaned,
}

impl State {
    /// All states, in the order of their numbers.
    const ALL: [Self; 8] = {
        use State::*;
        [New, Attached, Abandoned, Claimed, Held, Dead, Borrowed, Orphaned]
    };
}

/// A slot, and the arenas that belong to it.
///
/// # Invariants
///
/// * zeroed memory is a new slot
/// * an arena that is there stays
/// * a level's word leads to `arenas[level]` or nowhere if the slot is attached or borrowed, and is
///   not free otherwise
/// * a caller is alone with an arena if it took it out of a word and has not put it back, has
///   claimed the slot, or has borrowed the slot and found the word free
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Slot<T> {
    words: [SlotWord; LEVELS],
    arenas: [AtomicPtr<T>; LEVELS],
    state: AtomicU8,
    /// The caller on the slot holds the parent's lock, or is about to take it.
    has_lock: AtomicBool,
    /// The last user left it as it was, and it was not tidied up since. The next caller there
    /// should do so: the owner, if it is attached.
    is_untidy: AtomicBool,
    /// Number of the caller that has borrowed it, unique among callers at that time; 0: none.
    borrower: AtomicUsize,
}

impl<T> Slot<T> {
    /// Returns the word of a level, unless the provider has one for it.
    #[inline(always)]
    pub(super) const fn word(&self, level: usize) -> &SlotWord {
        &self.words[level]
    }

    /// Returns the arena of a level, as far as any caller may use it.
    pub(super) fn arena(&self, level: usize) -> Option<NonNull<T>> {
        NonNull::new(self.arenas[level].load(Ordering::Acquire))
    }

    /// Returns the arenas of the slot.
    pub(super) fn arenas(&self) -> impl Iterator<Item = NonNull<T>> {
        (0..LEVELS).filter_map(|level| self.arena(level))
    }

    /// Enters a new arena. Only for the caller that has begun to attach a new slot.
    pub(super) fn set_arena(&self, level: usize, arena: NonNull<T>) {
        self.arenas[level].store(arena.as_ptr(), Ordering::Release);
    }

    /// Returns the state, as far as the caller can know it. What was done before the state was
    /// entered happens before: a caller that has left has announced what it sent.
    pub(super) fn state(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Acquire))]
    }

    /// Changes the state, if it is `from`. What was done before that state was entered happens
    /// before what is done now; what was done before this happens before the next change.
    pub(super) fn change(&self, from: State, to: State) -> bool {
        self.state
            .compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Enters a state that lets other callers in. Only for a caller that is alone with the slot.
    pub(super) fn release(&self, to: State) {
        self.state.store(to as u8, Ordering::Release);
    }

    /// Returns whether the caller on the slot may enter its arenas. What a borrower did there
    /// happens before what is done now.
    pub(super) fn is_attached(&self) -> bool {
        self.state.load(Ordering::Acquire) == State::Attached as u8
    }

    /// Borrows the slot: if it is attached, or, to claim it, if it is abandoned.
    pub(super) fn borrow(&self, from: State, to: State, borrower: usize) -> bool {
        let is_borrowed = self.change(from, to);
        if is_borrowed {
            self.borrower.store(borrower, Ordering::Relaxed);
        }
        is_borrowed
    }

    /// Returns whether this caller has borrowed the slot.
    pub(super) fn is_borrowed_by(&self, borrower: usize) -> bool {
        matches!(self.state(), State::Borrowed | State::Orphaned | State::Claimed)
            && self.borrower.load(Ordering::Relaxed) == borrower
    }

    /// Gives a borrowed slot back: to its owner, or, if that has gone, to any caller.
    pub(super) fn end_borrowing(&self) {
        self.borrower.store(0, Ordering::Relaxed);
        if self.state() == State::Claimed {
            return self.release(State::Abandoned);
        }
        if !self.change(State::Borrowed, State::Attached) {
            self.set_untidy(true);
            self.release(State::Abandoned);
        }
    }

    /// Returns whether the slot was not tidied up since its last user left it.
    pub(super) fn is_untidy(&self) -> bool {
        self.is_untidy.load(Ordering::Relaxed)
    }

    /// Notes whether a caller should tidy it up, even if no block was freed there. Only for a
    /// caller that is alone with the slot.
    pub(super) fn set_untidy(&self, is_untidy: bool) {
        self.is_untidy.store(is_untidy, Ordering::Relaxed);
    }

    /// Returns whether the code that the caller interrupted on the slot may hold the parent's lock.
    pub(super) fn has_lock(&self) -> bool {
        self.has_lock.load(Ordering::Relaxed)
    }

    /// Notes that the caller on the slot is about to take the parent's lock, or has released it.
    pub(super) fn set_has_lock(&self, has_lock: bool) {
        compiler_fence(Ordering::SeqCst);
        self.has_lock.store(has_lock, Ordering::Relaxed);
        compiler_fence(Ordering::SeqCst);
    }
}
