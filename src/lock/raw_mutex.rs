//! Every raw mutex of the crate lock_api is a lock (feature `lock_api`).

use core::marker::PhantomData;

use lock_api::RawMutex;

use super::RawLock;

/// The holder of a raw mutex.
pub struct Guard<'lock, R: RawMutex> {
    mutex: &'lock R,
    /// Whether another thread may give the mutex back.
    marker: PhantomData<R::GuardMarker>,
}

// SAFETY: a raw mutex promises the same.
unsafe impl<R: RawMutex> RawLock for R {
    const INIT: Self = <R as RawMutex>::INIT;

    type Guard<'lock>
        = Guard<'lock, R>
    where
        R: 'lock;

    fn lock(&self) -> Guard<'_, R> {
        RawMutex::lock(self);
        Guard { mutex: self, marker: PhantomData }
    }
}

impl<R: RawMutex> Drop for Guard<'_, R> {
    fn drop(&mut self) {
        // SAFETY: `lock` took it for this guard.
        unsafe { self.mutex.unlock() };
    }
}
