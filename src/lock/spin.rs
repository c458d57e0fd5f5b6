//! The lock for those who name none.

use core::fmt;

use super::RawLock;

/// A spin lock: needs nothing of its surroundings. Whoever waits keeps a CPU busy.
pub struct Spin(spin::Mutex<()>);

/// The holder of a [`Spin`].
pub struct Guard<'lock> {
    _held: spin::MutexGuard<'lock, ()>,
}

// SAFETY: `spin::Mutex` has one guard at a time; taking it acquires what dropping it released.
unsafe impl RawLock for Spin {
    #[allow(clippy::declare_interior_mutable_const, reason = "as the trait says")]
    const INIT: Self = Self(spin::Mutex::new(()));

    type Guard<'lock> = Guard<'lock>;

    fn lock(&self) -> Guard<'_> {
        Guard { _held: self.0.lock() }
    }
}

impl fmt::Debug for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_locked() { "Spin(locked)" } else { "Spin(unlocked)" })
    }
}
