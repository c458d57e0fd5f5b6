//! The default lock.

use core::fmt;

use super::{AnyOrder, RawLock};

/// A spin lock: needs nothing but atomics. A waiting caller keeps its CPU busy.
///
/// Do not use it if interrupt handlers use the heap: a handler that has interrupted the holder
/// waits forever. [`MaskInterrupts`](crate::MaskInterrupts) and `CriticalSection` exclude that.
///
/// A build with debug assertions panics after a wait of seconds, which only a caller that
/// waits for itself has, and says so.
#[derive(Default)]
pub struct Spin(spin::Mutex<()>);

/// Number of attempts after which a caller waits for itself: seconds of spinning.
#[cfg(debug_assertions)]
const PATIENCE: u32 = if cfg!(test) { 1 << 22 } else { 1 << 27 };

/// RAII guard of a [`Spin`].
#[derive(Debug)]
pub struct SpinGuard<'lock> {
    _held: spin::MutexGuard<'lock, ()>,
}

// SAFETY: a `spin::Mutex` has one guard at a time. Locking acquires what the last guard released.
unsafe impl RawLock for Spin {
    const INIT: Self = Self(spin::Mutex::new(()));

    type Guard<'lock> = SpinGuard<'lock>;

    #[cfg(not(debug_assertions))]
    fn lock(&self) -> SpinGuard<'_> {
        SpinGuard { _held: self.0.lock() }
    }

    #[cfg(debug_assertions)]
    fn lock(&self) -> SpinGuard<'_> {
        for _ in 0..PATIENCE {
            if let Some(held) = self.0.try_lock() {
                return SpinGuard { _held: held };
            }
            core::hint::spin_loop();
        }
        super::held_by_caller()
    }
}

// SAFETY: dropping a guard stores to this mutex, and touches nothing else.
unsafe impl AnyOrder for Spin {}

impl fmt::Debug for Spin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_locked() { "Spin(locked)" } else { "Spin(unlocked)" })
    }
}
