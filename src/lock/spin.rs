//! The default lock.

use core::fmt;

use super::{AnyOrder, RawLock};

/// A spin lock: needs nothing but atomics. A waiting caller keeps its CPU busy.
pub struct Spin(spin::Mutex<()>);

/// RAII guard of a [`Spin`].
pub struct SpinGuard<'lock> {
    _held: spin::MutexGuard<'lock, ()>,
}

// SAFETY: a `spin::Mutex` has one guard at a time. Locking acquires what the last guard released.
unsafe impl RawLock for Spin {
    #[allow(clippy::declare_interior_mutable_const, reason = "as in the trait")]
    const INIT: Self = Self(spin::Mutex::new(()));

    type Guard<'lock> = SpinGuard<'lock>;

    fn lock(&self) -> SpinGuard<'_> {
        SpinGuard { _held: self.0.lock() }
    }
}

// SAFETY: dropping a guard stores to this mutex, and touches nothing else.
unsafe impl AnyOrder for Spin {}

impl Default for Spin {
    fn default() -> Self {
        Self::INIT
    }
}

impl fmt::Debug for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_locked() { "Spin(locked)" } else { "Spin(unlocked)" })
    }
}

impl fmt::Debug for SpinGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpinGuard")
    }
}
