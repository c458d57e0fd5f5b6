//! A lock whose holder no interrupt handler interrupts: the simple way to use a heap in handlers.

use core::fmt;
use core::marker::PhantomData;

use super::RawLock;

/// Masks the interrupts of the CPU that runs, and restores what was before.
///
/// # Safety
///
/// Between `mask` and the `restore` of what it returned, no handler that uses what is locked runs
/// on this CPU, and the code stays on it.
pub unsafe trait Interrupts {
    /// Whether interrupts were masked before, in whatever form the CPU says so.
    type Before;

    /// Masks the interrupts.
    fn mask() -> Self::Before;

    /// Restores what was before.
    fn restore(before: Self::Before);
}

/// Another lock, taken with interrupts masked. Whoever waits for it has them masked too.
///
/// A handler cannot come while the lock is held on its CPU, so it may take the lock itself. What it
/// costs is time in which nothing else is served, up to the longest operation: `ArenaHeap` does
/// without.
///
/// ```
/// use brkalloc::{FixedBreak, Heap, Interrupts, Locked, MaskInterrupts, Spin};
/// # mod cpu {
/// #     use std::cell::Cell;
/// #     std::thread_local!(pub static MASKED: Cell<bool> = const { Cell::new(false) });
/// #     pub fn mask_interrupts() -> bool { MASKED.replace(true) }
/// #     pub fn set_interrupts_masked(masked: bool) { MASKED.set(masked) }
/// # }
///
/// struct Cpu;
///
/// // SAFETY: with the flag cleared no handler runs, and nobody is moved to another CPU.
/// unsafe impl Interrupts for Cpu {
///     type Before = bool;
///
///     fn mask() -> bool {
///         cpu::mask_interrupts()
///     }
///
///     fn restore(before: bool) {
///         cpu::set_interrupts_masked(before);
///     }
/// }
///
/// static mut ARENA: [u8; 64 << 10] = [0; 64 << 10];
/// // SAFETY: nobody else names ARENA.
/// static HEAP: Locked<Heap<FixedBreak>, MaskInterrupts<Spin, Cpu>> =
///     Locked::<Heap<_>, _>::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 64 << 10) });
/// # assert!(HEAP.with(|_| cpu::MASKED.get()));
/// # assert!(!cpu::MASKED.get());
/// ```
pub struct MaskInterrupts<L, I> {
    lock: L,
    interrupts: PhantomData<fn() -> I>,
}

/// The holder of a [`MaskInterrupts`]. Fields are dropped in this order: before the interrupts come
/// again, the lock is free.
pub struct Guard<'lock, L: RawLock + 'lock, I: Interrupts> {
    _held: L::Guard<'lock>,
    _before: Restore<I>,
}

/// What was before, until it is dropped.
struct Restore<I: Interrupts>(Option<I::Before>);

impl<I: Interrupts> Drop for Restore<I> {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            I::restore(before);
        }
    }
}

// SAFETY: the lock inside has one holder at a time, and a guard holds it as long as it lives.
unsafe impl<L: RawLock, I: Interrupts> RawLock for MaskInterrupts<L, I> {
    #[allow(clippy::declare_interior_mutable_const, reason = "as the trait says")]
    const INIT: Self = Self { lock: L::INIT, interrupts: PhantomData };

    type Guard<'lock>
        = Guard<'lock, L, I>
    where
        Self: 'lock;

    fn lock(&self) -> Guard<'_, L, I> {
        let before = Restore(Some(I::mask()));
        Guard { _held: self.lock.lock(), _before: before }
    }
}

impl<L, I> fmt::Debug for MaskInterrupts<L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskInterrupts").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lock::Spin;
    use std::cell::{Cell, RefCell};
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::vec::Vec;

    std::thread_local! {
        static MASKED: Cell<bool> = const { Cell::new(false) };
        static EVENTS: RefCell<Vec<&'static str>> = const { RefCell::new(Vec::new()) };
    }

    fn note(event: &'static str) {
        EVENTS.with_borrow_mut(|events| events.push(event));
    }

    struct Flag;

    // SAFETY: there are no interrupts.
    unsafe impl Interrupts for Flag {
        type Before = bool;

        fn mask() -> bool {
            note("mask");
            MASKED.replace(true)
        }

        fn restore(before: bool) {
            note("restore");
            MASKED.set(before);
        }
    }

    /// A spin lock that tells what is done with it.
    struct Telling(Spin);

    struct Told<'lock>(#[allow(dead_code, reason = "is held")] <Spin as RawLock>::Guard<'lock>);

    impl Drop for Told<'_> {
        fn drop(&mut self) {
            note("unlock");
        }
    }

    // SAFETY: the spin lock inside.
    unsafe impl RawLock for Telling {
        const INIT: Self = Self(Spin::INIT);
        type Guard<'lock> = Told<'lock>;

        fn lock(&self) -> Told<'_> {
            note("lock");
            Told(self.0.lock())
        }
    }

    #[test]
    fn interrupts_are_masked_before_the_lock_is_taken_and_come_again_after_it_is_free() {
        let lock = MaskInterrupts::<Telling, Flag>::INIT;
        drop(lock.lock());
        assert_eq!(EVENTS.take(), ["mask", "lock", "unlock", "restore"]);
        assert!(!MASKED.get());
    }

    #[test]
    fn what_was_masked_before_stays_masked() {
        let (outer, inner) =
            (MaskInterrupts::<Spin, Flag>::INIT, MaskInterrupts::<Spin, Flag>::INIT);
        let held = outer.lock();
        drop(inner.lock());
        assert!(MASKED.get());
        drop(held);
        assert!(!MASKED.get());
    }

    #[test]
    fn who_panics_leaves_no_interrupts_masked() {
        let lock = MaskInterrupts::<Spin, Flag>::INIT;
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _held = lock.lock();
            panic!("on purpose");
        }));
        assert!(panic.is_err() && !MASKED.get());
        drop(lock.lock());
    }
}
