//! RAII guards of a locked heap.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use super::Locked;
use crate::lock::RawLock;

/// RAII guard that derefs to the heap: see [`Locked::lock`].
///
/// A guard is `Send` and `Sync` only if the lock's guard and `&H` are:
///
/// ```compile_fail,E0277
/// fn share<T: Sync>() {}
/// share::<brkalloc::HeapGuard<'static, core::cell::Cell<u8>, brkalloc::Spin>>();
/// ```
#[must_use = "the heap is unlocked when the guard is dropped"]
pub struct HeapGuard<'lock, H, L: RawLock> {
    locked: &'lock Locked<H, L>,
    _held: L::Guard<'lock>,
    /// `locked` alone would make a guard `Sync` for every `H: Send`.
    heap: PhantomData<&'lock H>,
}

impl<'lock, H, L: RawLock> HeapGuard<'lock, H, L> {
    pub(super) fn new(locked: &'lock Locked<H, L>) -> Self {
        Self { locked, _held: locked.lock.lock(), heap: PhantomData }
    }
}

impl<H, L: RawLock> Deref for HeapGuard<'_, H, L> {
    type Target = H;

    fn deref(&self) -> &H {
        // SAFETY: the guard holds the lock, so by `RawLock`'s contract and the invariant of
        // `Locked` no other caller reaches the heap; the guard itself gives out shared references
        // only.
        unsafe { &*self.locked.heap.get() }
    }
}

impl<H: fmt::Debug, L: RawLock> fmt::Debug for HeapGuard<'_, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeapGuard").field(&**self).finish()
    }
}

/// RAII guard that derefs to the heap, mutably: see [`Locked::lock_mut`].
#[must_use = "the heap is unlocked when the guard is dropped"]
pub struct HeapMutGuard<'lock, H, L: RawLock> {
    guard: HeapGuard<'lock, H, L>,
    /// The guard is `Send` and `Sync` if `&mut H` is.
    heap: PhantomData<&'lock mut H>,
}

impl<'lock, H, L: RawLock> HeapMutGuard<'lock, H, L> {
    pub(super) fn new(locked: &'lock Locked<H, L>) -> Self {
        Self { guard: HeapGuard::new(locked), heap: PhantomData }
    }
}

impl<H, L: RawLock> Deref for HeapMutGuard<'_, H, L> {
    type Target = H;

    fn deref(&self) -> &H {
        &self.guard
    }
}

impl<H, L: RawLock> DerefMut for HeapMutGuard<'_, H, L> {
    fn deref_mut(&mut self) -> &mut H {
        // SAFETY: the guard holds the lock, so by `RawLock`'s contract and the invariant of
        // `Locked` no other caller reaches the heap; the guard is borrowed exclusively.
        unsafe { &mut *self.guard.locked.heap.get() }
    }
}

impl<H: fmt::Debug, L: RawLock> fmt::Debug for HeapMutGuard<'_, H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("HeapMutGuard").field(&**self).finish()
    }
}
