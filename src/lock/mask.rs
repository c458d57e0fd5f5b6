//! A lock whose holder no interrupt handler interrupts: the simple way to use a heap in handlers.

use core::fmt;
use core::marker::PhantomData;

use super::RawLock;

/// Masks the interrupts of the current CPU, and restores the state before.
///
/// # Safety
///
/// Between a `mask` and the `restore` of the value that it returned, no handler that uses the
/// locked data runs on this CPU, and the code is not moved to another CPU. Callers pair them like
/// brackets: the last `mask` is restored first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot mask interrupts",
    label = "does not implement `brkalloc::Interrupts`",
    note = "implement `Interrupts` for a type of your kernel: `mask` and `restore`"
)]
pub unsafe trait Interrupts {
    /// Interrupt state before `mask`, in the CPU's form.
    type Before;

    /// Masks the interrupts.
    fn mask() -> Self::Before;

    /// Restores the state before `mask`.
    fn restore(before: Self::Before);
}

/// Another lock, taken with interrupts masked. They are masked while the caller waits, too.
///
/// A handler cannot run while its CPU holds the lock, so handlers may take the lock themselves. The
/// cost is interrupt latency, up to the longest operation. `ArenaHeap` does not mask interrupts.
///
/// Guards must be dropped in the reverse order of locking, so [`Locked::lock`](crate::Locked::lock)
/// does not exist for this lock; [`Locked::inspect`](crate::Locked::inspect) and
/// [`Locked::with`](crate::Locked::with) do.
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
/// // SAFETY: with the flag cleared, no handler runs and the scheduler moves no code.
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
/// static HEAP: Locked<Heap<FixedBreak>, MaskInterrupts<Spin, Cpu>> = Locked::empty();
/// # HEAP.inspect(|_| assert!(cpu::MASKED.get()));
/// # assert!(!cpu::MASKED.get());
/// ```
pub struct MaskInterrupts<L, I> {
    lock: L,
    interrupts: PhantomData<fn() -> I>,
}

/// RAII guard of a [`MaskInterrupts`]. Fields are dropped in this order: the lock is free before
/// the interrupts are restored.
pub struct MaskGuard<'lock, L: RawLock + 'lock, I: Interrupts> {
    _held: L::Guard<'lock>,
    _before: Restore<I>,
}

/// Restores the interrupts when it is dropped.
struct Restore<I: Interrupts>(Option<I::Before>);

impl<I: Interrupts> Drop for Restore<I> {
    fn drop(&mut self) {
        if let Some(before) = self.0.take() {
            I::restore(before);
        }
    }
}

// SAFETY: the inner lock has one holder at a time and synchronizes them. A guard contains a guard
// of the inner lock.
unsafe impl<L: RawLock, I: Interrupts> RawLock for MaskInterrupts<L, I> {
    const INIT: Self = Self { lock: L::INIT, interrupts: PhantomData };

    type Guard<'lock>
        = MaskGuard<'lock, L, I>
    where
        Self: 'lock;

    fn lock(&self) -> MaskGuard<'_, L, I> {
        let before = Restore(Some(I::mask()));
        MaskGuard { _held: self.lock.lock(), _before: before }
    }
}

impl<L: RawLock, I: Interrupts> Default for MaskInterrupts<L, I> {
    fn default() -> Self {
        Self::INIT
    }
}

impl<L, I> fmt::Debug for MaskInterrupts<L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MaskInterrupts").finish_non_exhaustive()
    }
}

impl<L: RawLock, I: Interrupts> fmt::Debug for MaskGuard<'_, L, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MaskGuard")
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

    // SAFETY: a host test has no interrupts.
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

    /// A spin lock that records its calls.
    struct Recording(Spin);

    struct Recorded<'lock>(
        #[allow(dead_code, reason = "an RAII guard")] <Spin as RawLock>::Guard<'lock>,
    );

    impl Drop for Recorded<'_> {
        fn drop(&mut self) {
            note("unlock");
        }
    }

    // SAFETY: the inner spin lock has one holder at a time; the guard contains its guard.
    unsafe impl RawLock for Recording {
        const INIT: Self = Self(Spin::INIT);
        type Guard<'lock> = Recorded<'lock>;

        fn lock(&self) -> Recorded<'_> {
            note("lock");
            Recorded(self.0.lock())
        }
    }

    #[test]
    fn interrupts_are_masked_before_locking_and_restored_after_unlocking() {
        let lock = MaskInterrupts::<Recording, Flag>::INIT;
        drop(lock.lock());
        assert_eq!(EVENTS.take(), ["mask", "lock", "unlock", "restore"]);
        assert!(!MASKED.get());
    }

    #[test]
    fn interrupts_masked_before_locking_stay_masked() {
        let (outer, inner) =
            (MaskInterrupts::<Spin, Flag>::INIT, MaskInterrupts::<Spin, Flag>::INIT);
        let held = outer.lock();
        drop(inner.lock());
        assert!(MASKED.get());
        drop(held);
        assert!(!MASKED.get());
    }

    #[test]
    fn a_panic_restores_interrupts_and_unlocks() {
        let lock = MaskInterrupts::<Spin, Flag>::INIT;
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _held = lock.lock();
            panic!("on purpose");
        }));
        assert!(panic.is_err() && !MASKED.get());
        drop(lock.lock());
    }
}
