//! Slots of an [`ArenaHeap`](crate::ArenaHeap) as the arenas use them: [`Cpu`], and items that only
//! a provider inside this project needs.

use core::mem::offset_of;
use core::ptr::{self, NonNull};

use super::word::{BUSY, FREE};
use super::{Cpu, SlotWord};
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
/// * [`word_of`](Slots::word_of) returns the word of that slot or `None`. If
///   [`has_words`](Slots::has_words) is `false`, [`word`](Slots::word) returns `None`.
/// * [`with_words`](Slots::with_words) calls `run` once.
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

    /// `true` if the shortest path uses [`take_at_hand`](Slots::take_at_hand) instead of the
    /// [`word`](Slots::word): for a provider that needs fewer instructions for that.
    const AT_HAND: bool = false;

    /// Takes the pointer of the [`word`](Slots::word) and sets that to busy, if it is free and has
    /// a pointer. `None`: the caller takes a longer path.
    #[inline(always)]
    fn take_at_hand(&self) -> Option<NonNull<()>> {
        None
    }

    /// Sets the word to free after [`take_at_hand`](Slots::take_at_hand).
    #[inline(always)]
    fn put_back_at_hand(&self) {}

    /// Returns `true` if [`word`](Slots::word) may return a word.
    fn has_words(&self) -> bool {
        false
    }

    /// Returns the [`word`](Slots::word) of the thread with this slot, for another thread: one
    /// inside [`with_words`](Slots::with_words), or the forking thread, which holds the parent
    /// lock. The word stays valid until the caller leaves, or releases the lock, and in the child
    /// of the fork. `None`: the provider has no word for the slot, or does not know if it is valid.
    fn word_of(&self, _slot: usize) -> Option<&SlotWord> {
        None
    }

    /// Calls `run`, and keeps the words of other threads valid meanwhile; does nothing if it
    /// cannot. `run` does not use the heap; it calls [`word_of`](Slots::word_of) and
    /// [`barrier`](Slots::barrier). The caller holds no lock of the heap.
    fn with_words(&self, run: &mut dyn FnMut()) {
        run();
    }

    /// Makes every CPU fence: see [`Cpu::barrier`].
    fn barrier(&self) -> bool {
        false
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

    fn barrier(&self) -> bool {
        Cpu::barrier(self)
    }
}

// Here, because loom's atomics cannot be made at compile time: `tests/loom` compiles `word.rs`.
impl SlotWord {
    /// Offset of the state, of one byte, for a provider that takes the word itself: see
    /// [`Slots::take_at_hand`]. The pointer is at the start.
    pub const STATE: usize = offset_of!(Self, state);

    /// State of a word that can be taken.
    pub const FREE: u8 = FREE;

    /// State of a word that is taken.
    pub const BUSY: u8 = BUSY;

    /// Returns a word without a pointer.
    #[must_use]
    pub const fn new() -> Self {
        Self { what: AtomicPtr::new(ptr::null_mut()), state: AtomicU8::new(BUSY) }
    }
}
