//! Locks: how one caller at a time gets at a heap.
//!
//! ```text
//!   Locked<H, L>  ──►  L: RawLock          one trait, three ways to it
//!                       ├─ Spin            the default                       spin.rs
//!                       ├─ R: RawMutex     anybody's, feature `lock_api`     raw_mutex.rs
//!                       └─ a kernel's own  say, one that masks interrupts
//! ```
//!
//! Rules of this folder: a lock knows nothing of what it protects. It does not allocate, or not
//! from the heap behind it.

mod mask;
#[cfg(feature = "lock_api")]
mod raw_mutex;
mod spin;

pub use mask::{Interrupts, MaskInterrupts};
pub use spin::Spin;

/// A lock without data: one holder at a time, and a guard that gives it back.
///
/// With the feature `lock_api` every [`RawMutex`](https://docs.rs/lock_api/latest/lock_api/trait.RawMutex.html) of that crate is one.
///
/// [`MaskInterrupts`] makes one of another and a way to mask interrupts.
///
/// # Safety
///
/// While a guard lives, `lock` returns to nobody else: to no other thread or CPU, nor to the holder
/// again. What one holder did happens before what the next one does.
pub unsafe trait RawLock {
    /// A lock that nobody holds.
    #[allow(
        clippy::declare_interior_mutable_const,
        reason = "a lock is made of it, never used through it"
    )]
    const INIT: Self;

    /// Gives the lock back when it is dropped.
    type Guard<'lock>
    where
        Self: 'lock;

    /// Waits until nobody holds the lock, and takes it.
    fn lock(&self) -> Self::Guard<'_>;
}
