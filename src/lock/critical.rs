//! The program's critical section as a lock (feature `critical-section`).

use core::sync::atomic::{AtomicBool, Ordering};

use critical_section::RestoreState;

use super::{RawLock, held_by_caller};

/// The critical section that the program's processor or system crate provides.
///
/// With one CPU the critical section masks interrupts, so handlers may allocate. The crates
/// `cortex-m`, `riscv`, `rp2040-hal`, `esp-hal` and others provide one, mostly behind a feature
/// such as `critical-section-single-core`; without one the linker reports the missing
/// `_critical_section_1_0_acquire`.
///
/// Do not use it on a system with many CPUs: one critical section serves the whole program, so a
/// heap would wait for unrelated code.
///
/// Guards must be dropped in the reverse order of locking, so
/// [`Locked::lock`](crate::Locked::lock) does not exist for this lock;
/// [`Locked::inspect`](crate::Locked::inspect) and [`Locked::with`](crate::Locked::with) do.
#[derive(Debug, Default)]
pub struct CriticalSection {
    /// `true` while a guard lives. Changes only inside the critical section.
    held: AtomicBool,
}

/// RAII guard of a [`CriticalSection`].
#[derive(Debug)]
pub struct CriticalGuard<'lock> {
    held: &'lock AtomicBool,
    before: RestoreState,
}

// SAFETY: one caller at a time is in the critical section, which synchronizes callers. A holder
// that locks again, inside its own critical section, finds `held` set and does not return.
unsafe impl RawLock for CriticalSection {
    const INIT: Self = Self { held: AtomicBool::new(false) };

    type Guard<'lock> = CriticalGuard<'lock>;

    fn lock(&self) -> CriticalGuard<'_> {
        // SAFETY: the guard releases the critical section, and holders drop guards in the reverse
        // order of locking: the lock is not `AnyOrder`.
        let before = unsafe { critical_section::acquire() };
        if self.held.load(Ordering::Relaxed) {
            held_by_caller();
        }
        self.held.store(true, Ordering::Relaxed);
        CriticalGuard { held: &self.held, before }
    }
}

impl Drop for CriticalGuard<'_> {
    fn drop(&mut self) {
        self.held.store(false, Ordering::Relaxed);
        // SAFETY: `lock` acquired this state, and guards are dropped in the reverse order.
        unsafe { critical_section::release(self.before) };
    }
}
