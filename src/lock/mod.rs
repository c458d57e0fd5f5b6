//! Locks: how one caller at a time gets at a heap.
//!
//! ```text
//!   Locked<H, L>  ──►  L: RawLock          one trait, three ways to it
//!                       ├─ Spin            the default                       spin.rs
//!                       ├─ R: RawMutex     anybody's, feature `lock_api`     raw_mutex.rs
//!                       └─ a kernel's own  say, one that masks interrupts
//! ```
//!
//! Rules of this folder: a lock knows nothing of what it protects. It does not allocate, or not from the heap behind it.

#[cfg(feature = "lock_api")]
mod raw_mutex;
mod spin;

pub use spin::Spin;

/// A lock without data: one holder at a time, and a guard that gives it back.
///
/// With the feature `lock_api` every [`RawMutex`](https://docs.rs/lock_api/latest/lock_api/trait.RawMutex.html) of that crate is one.
///
/// ```
/// use brkalloc::{FixedBreak, Heap, Locked, RawLock, Spin};
/// # mod cpu {
/// #     use std::cell::Cell;
/// #     std::thread_local!(pub static MASKED: Cell<bool> = const { Cell::new(false) });
/// #     pub fn mask_interrupts() -> bool { MASKED.replace(true) }
/// #     pub fn set_interrupts_masked(masked: bool) { MASKED.set(masked) }
/// # }
///
/// /// A spin lock whose holder no interrupt handler of this CPU interrupts.
/// struct Masking(Spin);
///
/// struct Masked<'lock> {
///     // Before the mask is restored, the lock is free.
///     _held: <Spin as RawLock>::Guard<'lock>,
///     _before: Restore,
/// }
///
/// struct Restore(bool);
///
/// impl Drop for Restore {
///     fn drop(&mut self) {
///         cpu::set_interrupts_masked(self.0);
///     }
/// }
///
/// // SAFETY: the spin lock inside has one holder at a time.
/// unsafe impl RawLock for Masking {
///     const INIT: Self = Self(Spin::INIT);
///     type Guard<'lock> = Masked<'lock>;
///
///     fn lock(&self) -> Masked<'_> {
///         let before = Restore(cpu::mask_interrupts());
///         Masked { _held: self.0.lock(), _before: before }
///     }
/// }
///
/// static mut ARENA: [u8; 64 << 10] = [0; 64 << 10];
/// // SAFETY: nobody else names ARENA.
/// static HEAP: Locked<Heap<FixedBreak>, Masking> =
///     Locked::<Heap<_>, _>::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 64 << 10) });
/// # assert!(HEAP.with(|_| cpu::MASKED.get()));
/// # assert!(!cpu::MASKED.get());
/// ```
///
/// # Safety
///
/// While a guard lives, `lock` returns to nobody else: to no other thread or CPU, nor to the holder again. What one holder did happens
/// before what the next one does.
pub unsafe trait RawLock {
    /// A lock that nobody holds.
    #[allow(clippy::declare_interior_mutable_const, reason = "a lock is made of it, never used through it")]
    const INIT: Self;

    /// Gives the lock back when it is dropped.
    type Guard<'lock>
    where
        Self: 'lock;

    /// Waits until nobody holds the lock, and takes it.
    fn lock(&self) -> Self::Guard<'_>;
}
