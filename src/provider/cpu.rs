//! Who is calling: a CPU, or a thread, each with a slot of its own.

use core::ptr::{self, NonNull};
use core::sync::atomic::{Ordering, compiler_fence};

use crate::atomic::{AtomicPtr, AtomicU8};

/// Which slot am I on, and how do I stay on it.
///
/// A slot is what an arena belongs to: one for each CPU in a kernel, one for each thread in a
/// process. There may be more callers than slots: who has none shares what is behind the lock.
///
/// ```
/// use brkalloc::{ArenaHeap, Cpu, FixedBreak};
/// # mod kernel {
/// #     pub fn disable_preemption() {}
/// #     pub fn enable_preemption() {}
/// #     pub fn cpu_number() -> usize { 0 }
/// #     pub const CPUS: usize = 4;
/// # }
///
/// /// The CPUs of a kernel whose threads move between them, but not while preemption is disabled.
/// struct Cpus;
///
/// // SAFETY: with preemption disabled only interrupt handlers run on this CPU, and they return before the thread goes on.
/// unsafe impl Cpu for Cpus {
///     const NESTS: bool = true;
///
///     fn slots(&self) -> usize {
///         kernel::CPUS
///     }
///
///     fn enter(&self) -> usize {
///         kernel::disable_preemption();
///         kernel::cpu_number()
///     }
///
///     fn leave(&self) {
///         kernel::enable_preemption();
///     }
/// }
///
/// static mut MEMORY: [u8; 1 << 20] = [0; 1 << 20];
/// // SAFETY: nobody else names MEMORY.
/// static HEAP: ArenaHeap<FixedBreak, Cpus> =
///     ArenaHeap::new(unsafe { FixedBreak::from_raw((&raw mut MEMORY).cast(), 1 << 20) }, Cpus);
/// ```
///
/// # Safety
///
/// An implementer guarantees:
///
/// * From an `enter` that answers with a slot to its `leave` nobody else is told the same slot,
///   except somebody who *interrupts* the caller there, and leaves before the caller goes on: an
///   interrupt handler, a signal handler. (Not another thread that is scheduled in between.) If it
///   is not [`INTERRUPTED`](Cpu::INTERRUPTED), nobody else at all.
/// * What is done on a slot before a `leave` happens before what is done on it after the next
///   `enter`.
/// * `slots` is always the same.
/// * If there is a [`word`](Cpu::word), it is the slot's own, stays where it is, and nobody else
///   writes to it. [`word_of`](Cpu::word_of) answers with that one, or not at all.
/// * No method unwinds. None uses the heap, but [`arrive`](Cpu::arrive) and
///   [`missed`](Cpu::missed).
pub unsafe trait Cpu {
    /// Whether somebody who interrupts the caller may allocate in the middle of an operation on the
    /// same slot, and must not be refused for that. Each slot has a second, small arena then.
    const NESTS: bool;

    /// Whether anybody, an interrupt handler or a signal handler, may use the heap in the middle of
    /// the caller's operation on the slot. If it is certain that nobody does, the busy flag is
    /// not needed, and every operation is some instructions shorter.
    const INTERRUPTED: bool = true;

    /// How many slots there are: `0..slots()`.
    fn slots(&self) -> usize;

    /// The caller may get a slot now, if it has none. Called before [`enter`](Cpu::enter) wherever
    /// there is time for it: on every way but the shortest, on which there must be an arena
    /// already. The caller is on no slot, holds no lock of the heap's, and may use the heap, if
    /// it has seen to it that it is not called once more by that.
    #[inline(always)]
    fn arrive(&self) {}

    /// The caller's slot, on which it stays until [`leave`](Cpu::leave). Any other number: it has
    /// none.
    fn enter(&self) -> usize;

    /// A word of the slot that the caller has entered, for this heap's use: a variable of the
    /// thread, or of the CPU, which is [new](SlotWord::new) when somebody else gets the slot.
    /// It makes every operation some instructions shorter. `None`: the heap has its own.
    #[inline(always)]
    fn word(&self) -> Option<&SlotWord> {
        None
    }

    /// The [`word`](Cpu::word) of whoever has the slot with this number. For one who forks, who has
    /// the parent's lock: it stays where it is at least until the lock is given back, and in
    /// the child. `None`: the provider has none, does not know, or is not certain that it is there.
    fn word_of(&self, _slot: usize) -> Option<&SlotWord> {
        None
    }

    /// Called again and again by a caller who needs memory, and whose arena is held by one who
    /// forks, on no lock: waits a little. False: that took long enough. Then the caller goes
    /// on, and what is in its arena is lost to the child.
    #[inline]
    fn wait_for_fork(&self, _turn: usize) -> bool {
        false
    }

    /// The caller may go to another slot.
    #[inline]
    fn leave(&self) {}

    /// Called after an allocation that the front cache did not serve: every few dozen of them at
    /// most. The caller is on no slot, holds no lock of the heap's, and may use the heap. For
    /// what is to be done now and then, such as to give unused memory back.
    #[inline(always)]
    fn missed(&self) {}
}

/// Somebody is in there; or there is nothing.
const BUSY: u8 = 0;

/// Whoever is on the slot may take it.
const FREE: u8 = 1;

/// Nobody is in there, and nobody has been since one who forks has said so.
const HELD: u8 = 2;

/// What a heap keeps for a slot, so that it is found with the slot: the busy flag, and what it
/// guards. See [`Cpu::word`].
///
/// # Invariants
///
/// If it is free or held, `what` is what was put in last, and not null. In zeroed memory it is new:
/// busy.
#[derive(Debug, Default)]
#[repr(C)]
pub struct SlotWord {
    // Two words, not one that is null while it is taken: what is read next would wait for what was
    // stored last.
    what: AtomicPtr<()>,
    state: AtomicU8,
}

impl SlotWord {
    /// A word in which there is nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self { what: AtomicPtr::new(ptr::null_mut()), state: AtomicU8::new(BUSY) }
    }

    /// Takes out what is there. (Not by one instruction: see `arena/slot.rs`.) A caller that is
    /// never `interrupted` need not put it back: it stays there.
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
        // SAFETY: the type's invariant: it was free.
        Some(unsafe { NonNull::new_unchecked(self.what.load(Ordering::Relaxed)) })
    }

    /// Takes out what is there, held or not.
    pub(crate) fn take_even_if_held(&self) -> Option<NonNull<()>> {
        // An exchange, for one who holds it may let go of it at the same time.
        if self.state.swap(BUSY, Ordering::Acquire) == BUSY {
            None
        } else {
            NonNull::new(self.what.load(Ordering::Relaxed))
        }
    }

    /// Puts back what was taken out.
    #[inline(always)]
    pub(crate) fn put_back(&self) {
        compiler_fence(Ordering::SeqCst);
        self.state.store(FREE, Ordering::Relaxed);
    }

    /// Puts something in.
    pub(crate) fn put_in(&self, what: NonNull<()>) {
        self.what.store(what.as_ptr(), Ordering::Relaxed);
        self.put_back();
    }

    /// Takes out what is there for good.
    pub(crate) fn clear(&self) -> Option<NonNull<()>> {
        let what = self.take_even_if_held()?;
        self.what.store(ptr::null_mut(), Ordering::Relaxed);
        Some(what)
    }

    /// Holds it, for one who forks and is not on the slot, if nobody is in there.
    pub(crate) fn hold(&self) -> Hold {
        match self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) | Err(HELD) => Hold::Held,
            Err(_) if self.what.load(Ordering::Relaxed).is_null() => Hold::Nothing,
            Err(_) => Hold::Busy,
        }
    }

    /// Whether it is held, as far as the caller can know.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.state.load(Ordering::Relaxed) == HELD
    }

    /// Lets go of it, if it is still held.
    pub(crate) fn let_go(&self) {
        if self.is_held() {
            // Whoever is on the slot may have gone in meanwhile: all the same then.
            let _ = self.state.compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed);
        }
    }
}

/// What came of an attempt to hold a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It is held.
    Held,
    /// Somebody is in there.
    Busy,
    /// There is nothing in it.
    Nothing,
}

/// For those who have only one CPU, or one thread.
#[derive(Debug)]
pub struct SingleCpu(());

impl SingleCpu {
    /// The only CPU.
    ///
    /// # Safety
    ///
    /// No operation of a heap that has it begins while another has not ended, but in an interrupt
    /// handler, which ends before the other goes on. On a CPU that switches between threads,
    /// none is switched to in the middle of an operation.
    #[must_use]
    pub const unsafe fn new() -> Self {
        Self(())
    }
}

// SAFETY: what `new` was promised.
unsafe impl Cpu for SingleCpu {
    const NESTS: bool = true;

    fn slots(&self) -> usize {
        1
    }

    #[inline]
    fn enter(&self) -> usize {
        0
    }
}
