//! Word of a slot: which caller may enter its arena, without an exchange.
//!
//! ```text
//!   state   free ──owner: take──► busy ──owner: put_back──► free
//!           free ──the forking thread: hold──► held ──let_go──► free
//!   what    arena ──another caller: mark──► null ──owner: resume──► arena
//! ```
//!
//! # Ordering
//!
//! Another caller keeps the owner out with two variables (Dekker's algorithm): it marks the word,
//! then looks whether the owner is inside; the owner announces that it is inside, then looks for
//! the mark. Each side needs a full fence between its store and its load. The owner's is a compiler
//! fence ([`light_fence`]), because the other caller has every CPU fence between its two steps
//! ([`Cpu::barrier`](super::Cpu::barrier)). For each owner one of two cases holds:
//!
//! * Its store of *busy* came before its CPU's fence. The other caller finds the word busy, and
//!   stays out.
//! * Its load of the pointer comes after its CPU's fence. It finds null, and stays out. The same
//!   holds for its look at the slot's state before it puts the pointer in again; if that came
//!   before the fence, the other caller finds the word busy, or, when the owner has left, the
//!   pointer.
//!
//! The owner releases the arena with its store of *free*, which the other caller's look acquires.

use core::ptr::{self, NonNull};
use core::sync::atomic::{Ordering, compiler_fence};

use crate::atomic::{AtomicPtr, AtomicU8, light_fence};

/// State of a word whose arena is in use, or that has no arena.
pub(super) const BUSY: u8 = 0;

/// State of a word whose arena the caller on the slot may take.
pub(super) const FREE: u8 = 1;

/// State of a word that the forking thread holds: its arena is not in use, and was not since.
const HELD: u8 = 2;

/// Word of a slot: the busy flag, and a pointer to the arena that it guards. See
/// [`Slots::word`](super::Slots::word).
///
/// # Invariants
///
/// * `what` is null or the slot's arena
/// * zeroed memory is a new word: busy, without a pointer
#[derive(Debug, Default)]
#[repr(C)]
pub struct SlotWord {
    // A pointer and a flag, and not one pointer that is null while it is taken: the next load of
    // the pointer would depend on the last store.
    pub(super) what: AtomicPtr<()>,
    pub(super) state: AtomicU8,
}

impl SlotWord {
    /// Takes the pointer and sets the word to busy; `None` if it is not free or has no pointer.
    /// Load and store are separate: see `arena/slot.rs`. If the caller is never `interrupted`, the
    /// state stays as it is, and the caller need not put the pointer back.
    #[inline(always)]
    pub(crate) fn take(&self, interrupted: bool) -> Option<NonNull<()>> {
        if !interrupted {
            return NonNull::new(self.what.load(Ordering::Relaxed));
        }
        if self.state.load(Ordering::Relaxed) != FREE {
            return None;
        }
        self.state.store(BUSY, Ordering::Relaxed);
        light_fence();
        self.what_or_put_back()
    }

    /// Returns the pointer of a word that the caller has set to busy. Sets the word to free again if
    /// it has none.
    #[inline(always)]
    fn what_or_put_back(&self) -> Option<NonNull<()>> {
        let what = NonNull::new(self.what.load(Ordering::Relaxed));
        if what.is_none() {
            self.put_back();
        }
        what
    }

    /// Puts the pointer in that another caller has taken out, and takes it, if `may` allows it;
    /// `None` if not, or if the word is not free. `may` acquires what that caller released.
    pub(crate) fn resume(
        &self,
        interrupted: bool,
        what: NonNull<()>,
        may: impl FnOnce() -> bool,
    ) -> Option<NonNull<()>> {
        if interrupted {
            if self.state.load(Ordering::Relaxed) != FREE {
                return None;
            }
            self.state.store(BUSY, Ordering::Relaxed);
            light_fence();
        }
        if may() {
            self.what.store(what.as_ptr(), Ordering::Relaxed);
            return Some(what);
        }
        if interrupted {
            self.put_back();
        }
        None
    }

    /// Takes the pointer of a free or held word, and sets the word to busy; `None` if it is busy or
    /// has no pointer.
    pub(crate) fn take_even_if_held(&self) -> Option<NonNull<()>> {
        // An exchange, because the forking thread may release a held word at the same time.
        if self.state.swap(BUSY, Ordering::Acquire) == BUSY {
            return None;
        }
        self.what_or_put_back()
    }

    /// Sets the word to free after [`take`](SlotWord::take), or for the first time.
    #[inline(always)]
    pub(crate) fn put_back(&self) {
        compiler_fence(Ordering::SeqCst);
        self.state.store(FREE, Ordering::Release);
    }

    /// Makes the word a new one. Only for a caller that is alone with the slot.
    pub(crate) fn clear(&self) {
        self.state.store(BUSY, Ordering::Relaxed);
        self.mark();
    }

    /// Takes the pointer out, so that the owner does not enter by [`take`](SlotWord::take) once its
    /// CPU has fenced.
    pub(crate) fn mark(&self) {
        self.what.store(ptr::null_mut(), Ordering::Relaxed);
    }

    /// Returns whether the owner is not inside, and does not enter before it
    /// [may](SlotWord::resume). What it did inside happened before. For a caller that has
    /// [marked](SlotWord::mark) the word, after a barrier.
    pub(crate) fn is_free(&self) -> bool {
        // The owner may have put the pointer in again after the mark, and left since.
        self.state.load(Ordering::Acquire) == FREE && self.what.load(Ordering::Relaxed).is_null()
    }

    /// Changes a free word to held. For the forking thread, which is not on the slot.
    pub(crate) fn hold(&self) -> Hold {
        match self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) | Err(HELD) => Hold::Held,
            Err(_) if self.what.load(Ordering::Relaxed).is_null() => Hold::Nothing,
            Err(_) => Hold::Busy,
        }
    }

    /// Returns `true` if the word was held at the time of the call.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.state.load(Ordering::Relaxed) == HELD
    }

    /// Changes a held word to free. Does nothing if it is not held.
    pub(crate) fn let_go(&self) {
        if self.is_held() {
            // If the exchange fails, the caller on the slot has taken the word since: nothing to
            // do.
            let _ = self.state.compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed);
        }
    }
}

/// Result of an attempt to hold a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// The word is held.
    Held,
    /// A caller on the slot uses the arena.
    Busy,
    /// The word has no pointer.
    Nothing,
}
