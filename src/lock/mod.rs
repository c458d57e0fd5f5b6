//! Locks: one caller at a time uses a heap.
//!
//! ```text
//!   Locked<H, L>  ──►  L: RawLock                one trait, and whatever implements it
//!                       ├─ Spin                  the default                       spin.rs
//!                       ├─ MaskInterrupts<L, I>  another lock, interrupts masked   mask.rs
//!                       │                   I: the flags of common processors      interrupts.rs
//!                       ├─ CriticalSection       the program's, feature `critical-section`
//!                       ├─ R: RawMutex           a foreign one, feature `lock_api` raw_mutex.rs
//!                       └─ a kernel's own
//! ```
//!
//! Rules of this folder: a lock does not know what it protects. It does not allocate, or not from
//! the heap behind it.

#![allow(
    clippy::declare_interior_mutable_const,
    reason = "the initial values of locks, not locks themselves"
)]

#[cfg(feature = "critical-section")]
mod critical;
mod interrupts;
mod mask;
#[cfg(feature = "lock_api")]
mod raw_mutex;
mod spin;

#[cfg(feature = "critical-section")]
pub use critical::CriticalSection;
pub use interrupts::{
    Aarch64Interrupts, CortexMInterrupts, RiscvMachineInterrupts, RiscvSupervisorInterrupts,
    X86_64Interrupts,
};
pub use mask::{Interrupts, MaskInterrupts};
pub use spin::Spin;

/// A lock without data: one holder at a time, and an RAII guard that unlocks.
///
/// With the feature `lock_api`, every `RawMutex` of that crate implements it. [`MaskInterrupts`]
/// wraps a lock so that its holder is not interrupted.
///
/// # Safety
///
/// While a guard lives, `lock` does not return: neither to another thread or CPU, nor to the holder
/// again. Dropping a guard synchronizes with the `lock` that returns next.
#[cfg_attr(
    feature = "lock_api",
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a lock for a heap",
        label = "implements neither `brkalloc::RawLock` nor `lock_api::RawMutex` 0.4",
        note = "a mutex of another crate often implements `lock_api::RawMutex` behind a feature of \
                its own, named `lock_api` in `spin`",
        note = "`brkalloc::Spin` needs no other crate"
    )
)]
#[cfg_attr(
    not(feature = "lock_api"),
    diagnostic::on_unimplemented(
        message = "`{Self}` is not a lock for a heap",
        label = "does not implement `brkalloc::RawLock`",
        note = "for a mutex of another crate, turn on the feature `lock_api` of `brkalloc`: then \
                every `lock_api::RawMutex` is a lock",
        note = "`brkalloc::Spin` needs no feature and no other crate"
    )
)]
pub unsafe trait RawLock {
    /// An unlocked lock.
    const INIT: Self;

    /// RAII guard: unlocks when it is dropped.
    type Guard<'lock>
    where
        Self: 'lock;

    /// Waits until the lock is free, and takes it.
    fn lock(&self) -> Self::Guard<'_>;
}

/// A lock whose guards may be dropped in any order relative to the guards of other locks.
/// [`Locked::lock`](crate::Locked::lock) requires it.
///
/// [`Spin`] and every `lock_api::RawMutex` are such locks. [`MaskInterrupts`] is not: of two
/// guards, the one taken first restores the interrupts that the other still needs masked.
///
/// # Safety
///
/// Dropping a guard unlocks this lock and affects no other guard, whichever of them was taken
/// first.
#[diagnostic::on_unimplemented(
    message = "the guards of `{Self}` must be dropped in the reverse order of locking",
    label = "does not implement `brkalloc::AnyOrder`",
    note = "`Locked::inspect` and `Locked::with` run a closure with the heap locked, for every lock"
)]
pub unsafe trait AnyOrder: RawLock {}

/// Reports that the code which waits for a lock holds it, and stops.
///
/// A panic must not unwind out of a global allocator: leaving an `extern "C"` function, it aborts.
#[cfg(any(debug_assertions, feature = "critical-section"))]
#[cold]
#[inline(never)]
#[allow(improper_ctypes_definitions, reason = "no other language calls it")]
extern "C" fn held_by_caller() -> ! {
    panic!(
        "the heap is used while it is locked: by the code that has locked it, its panic included, \
         or by a handler that has interrupted that code"
    );
}

#[cfg(test)]
mod tests;
