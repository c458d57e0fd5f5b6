//! Every raw mutex of the crate lock_api is a lock (feature `lock_api`).

use core::fmt;
use core::marker::PhantomData;

use lock_api::RawMutex;

use super::{AnyOrder, RawLock};

/// RAII guard of a raw mutex.
pub struct RawMutexGuard<'lock, R: RawMutex> {
    mutex: &'lock R,
    /// `Send` only if another thread may unlock the mutex.
    marker: PhantomData<R::GuardMarker>,
}

// SAFETY: `RawMutex` guarantees one holder at a time, and that unlocking synchronizes with the next
// locking. The guard unlocks once, when it is dropped.
unsafe impl<R: RawMutex> RawLock for R {
    const INIT: Self = <R as RawMutex>::INIT;

    type Guard<'lock>
        = RawMutexGuard<'lock, R>
    where
        R: 'lock;

    fn lock(&self) -> RawMutexGuard<'_, R> {
        RawMutex::lock(self);
        RawMutexGuard { mutex: self, marker: PhantomData }
    }
}

// SAFETY: `lock_api::Mutex` gives out guards that safe code drops in any order, so a raw mutex must
// allow that.
unsafe impl<R: RawMutex> AnyOrder for R {}

impl<R: RawMutex> Drop for RawMutexGuard<'_, R> {
    fn drop(&mut self) {
        // SAFETY: this guard's `lock` locked the mutex, in this context or in one that the marker
        // allows.
        unsafe { self.mutex.unlock() };
    }
}

impl<R: RawMutex> fmt::Debug for RawMutexGuard<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RawMutexGuard")
    }
}
