//! Slots of an [`ArenaHeap`](crate::ArenaHeap) as the arenas use them: [`Cpu`], and items that only
//! a provider inside this project needs.

use core::ptr::{self, NonNull};
use core::sync::atomic::{Ordering, compiler_fence};

use super::Cpu;
use crate::atomic::{AtomicPtr, AtomicU8};

/// Source of slots for an [`ArenaHeap`](crate::ArenaHeap). Implement [`Cpu`] instead.
///
/// # Safety
///
/// The clauses of [`Cpu`], except that [`arrive`](Slots::arrive) and [`missed`](Slots::missed) may
/// use the heap, and:
///
/// * If [`INTERRUPTED`](Slots::INTERRUPTED) is `false`, no other caller gets a slot, not even an
///   interrupt or signal handler, from an `enter` that returns it to the `leave`.
/// * A [`word`](Slots::word) belongs to its slot only, does not move, and only the heap writes to
///   it.
/// * [`word_of`](Slots::word_of) returns the word of that slot or `None`.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not tell on which CPU a caller is",
    label = "this is no `Cpu`",
    note = "implement `brkalloc::Cpu` for it, or use `SingleCpu`"
)]
pub unsafe trait Slots {
    /// `true` if interrupt handlers allocate on the same slot: see [`Cpu::NESTS`].
    const NESTS: bool;

    /// `true` if an interrupt or signal handler may use the heap during a caller's operation on the
    /// slot. If `false`, the heap needs no busy flag, and every operation is some instructions
    /// shorter.
    const INTERRUPTED: bool = true;

    /// Returns the number of slots: see [`Cpu::slots`].
    fn slots(&self) -> usize;

    /// Gives the caller a slot if it has none. The heap calls it before [`enter`](Slots::enter) on
    /// every path except the fast path, which requires an arena. The caller is on no slot and holds
    /// no lock of the heap. The method may use the heap if it prevents recursion.
    #[inline(always)]
    fn arrive(&self) {}

    /// Returns the caller's slot: see [`Cpu::enter`].
    fn enter(&self) -> usize;

    /// Returns the word of the slot that the caller has entered: a variable of the thread or of the
    /// CPU, which is [new](SlotWord::new) when another thread gets the slot. It makes every
    /// operation some instructions shorter. `None`: the heap uses its own word.
    #[inline(always)]
    fn word(&self) -> Option<&SlotWord> {
        None
    }

    /// Returns the [`word`](Slots::word) for the shortest path, or one that is never free: the
    /// caller then takes a longer path.
    #[inline(always)]
    fn word_at_hand(&self) -> Option<&SlotWord> {
        self.word()
    }

    /// Returns the [`word`](Slots::word) of the thread with this slot, for the forking thread. The
    /// forking thread holds the parent lock: the word stays valid until it releases the lock, and
    /// in the child. `None`: the provider has no word for the slot, or does not know if it is
    /// valid.
    fn word_of(&self, _slot: usize) -> Option<&SlotWord> {
        None
    }

    /// Waits for a short time. The heap calls it repeatedly, without a lock, while a caller needs
    /// memory and the forking thread holds its arena. `_turn` counts the calls. Returns `false`
    /// when the caller should continue without the fork; the child then loses the arena's memory.
    #[inline]
    fn wait_for_fork(&self, _turn: usize) -> bool {
        false
    }

    /// Allows the caller to go to another slot: see [`Cpu::leave`].
    #[inline]
    fn leave(&self) {}

    /// Does periodic work, such as giving unused memory back. The heap calls it after an allocation
    /// that the cache did not serve, at most once in a few dozen of them. The caller is on no slot
    /// and holds no lock of the heap. The method may use the heap.
    #[inline(always)]
    fn missed(&self) {}
}

// SAFETY: the clauses of `Cpu` hold for `C`; `INTERRUPTED` is `true`, and there are no words.
unsafe impl<C: Cpu> Slots for C {
    const NESTS: bool = C::NESTS;

    #[inline(always)]
    fn slots(&self) -> usize {
        Cpu::slots(self)
    }

    #[inline(always)]
    fn enter(&self) -> usize {
        Cpu::enter(self)
    }

    #[inline(always)]
    fn leave(&self) {
        Cpu::leave(self);
    }
}

/// State of a word whose arena is in use, or that has no arena.
const BUSY: u8 = 0;

/// State of a word whose arena the caller on the slot may take.
const FREE: u8 = 1;

/// State of a word that the forking thread holds: its arena is not in use, and was not since.
const HELD: u8 = 2;

/// Word of a slot: the busy flag, and a pointer to the arena that it guards. See [`Slots::word`].
///
/// # Invariants
///
/// * if `state` is free or held, `what` is the last pointer that was put in, and not null
/// * zeroed memory is a new word: busy, without a pointer
#[derive(Debug, Default)]
#[repr(C)]
pub struct SlotWord {
    // A pointer and a flag, and not one pointer that is null while it is taken: the next load of
    // the pointer would depend on the last store.
    what: AtomicPtr<()>,
    state: AtomicU8,
}

impl SlotWord {
    /// Returns a word without a pointer.
    #[must_use]
    pub const fn new() -> Self {
        Self { what: AtomicPtr::new(ptr::null_mut()), state: AtomicU8::new(BUSY) }
    }

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
        compiler_fence(Ordering::SeqCst);
        // SAFETY: the word was free, so the pointer is not null: the type's invariant.
        Some(unsafe { NonNull::new_unchecked(self.what.load(Ordering::Relaxed)) })
    }

    /// Takes the pointer of a free or held word, and sets the word to busy; `None` if it is busy.
    pub(crate) fn take_even_if_held(&self) -> Option<NonNull<()>> {
        // An exchange, because the forking thread may release a held word at the same time.
        if self.state.swap(BUSY, Ordering::Acquire) == BUSY {
            None
        } else {
            NonNull::new(self.what.load(Ordering::Relaxed))
        }
    }

    /// Sets the word to free after [`take`](SlotWord::take).
    #[inline(always)]
    pub(crate) fn put_back(&self) {
        compiler_fence(Ordering::SeqCst);
        self.state.store(FREE, Ordering::Relaxed);
    }

    /// Stores a pointer and sets the word to free.
    pub(crate) fn put_in(&self, what: NonNull<()>) {
        self.what.store(what.as_ptr(), Ordering::Relaxed);
        self.put_back();
    }

    /// Takes the pointer out of a free or held word for good; `None` if the word is busy.
    pub(crate) fn clear(&self) -> Option<NonNull<()>> {
        let what = self.take_even_if_held()?;
        self.what.store(ptr::null_mut(), Ordering::Relaxed);
        Some(what)
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
