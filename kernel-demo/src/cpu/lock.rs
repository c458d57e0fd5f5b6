//! A lock that knows its owner: another CPU's is waited for, its own is a mistake.

use core::cell::UnsafeCell;
use core::hint::spin_loop;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicU32, Ordering};

use brkalloc::{Interrupts, RawLock, X86_64Interrupts};

use super::{number, request};

/// No CPU's number.
const FREE: u32 = u32::MAX;

/// A spin lock that is held with interrupts disabled.
pub struct Lock<T: ?Sized> {
    owner: AtomicU32,
    value: UnsafeCell<T>,
}

// SAFETY: one CPU at a time owns the lock, and only with it the value is reached.
unsafe impl<T: ?Sized + Send> Sync for Lock<T> {}

impl<T> Lock<T> {
    /// A lock that is free.
    pub const fn new(value: T) -> Self {
        Self { owner: AtomicU32::new(FREE), value: UnsafeCell::new(value) }
    }
}

impl<T: ?Sized> Lock<T> {
    /// Takes the lock, and waits while another CPU has it. Interrupts are disabled meanwhile.
    ///
    /// # Panics
    ///
    /// When this CPU has it.
    #[inline]
    pub fn lock(&self) -> Guard<'_, T> {
        self.lock_unless_owned().unwrap_or_else(|| panic!("the lock is taken by its owner again"))
    }

    /// Takes the lock, and waits while another CPU has it. `None` when this CPU has it.
    #[inline]
    pub fn lock_unless_owned(&self) -> Option<Guard<'_, T>> {
        let restore = Restore(X86_64Interrupts::mask());
        // Not `then_some`: a guard that is made is dropped.
        self.take().then(|| Guard { lock: self, _restore: restore, _stays: PhantomData })
    }

    /// Takes the lock, and waits while another CPU has it. `false` when this CPU has it. Interrupts
    /// are disabled.
    #[inline]
    fn take(&self) -> bool {
        let this = number() as u32;
        match self.owner.compare_exchange(FREE, this, Ordering::Acquire, Ordering::Relaxed) {
            Ok(_) => true,
            Err(owner) if owner == this => false,
            Err(_) => {
                self.wait(this);
                true
            }
        }
    }

    /// Waits until this CPU has the lock.
    #[cold]
    fn wait(&self, this: u32) {
        let weak =
            || self.owner.compare_exchange_weak(FREE, this, Ordering::Acquire, Ordering::Relaxed);
        while weak().is_err() {
            while self.owner.load(Ordering::Relaxed) != FREE {
                request::answer();
                spin_loop();
            }
        }
    }

    /// Frees the lock whoever has it.
    ///
    /// # Safety
    ///
    /// The owner will not run again.
    pub unsafe fn seize(&self) {
        self.owner.store(FREE, Ordering::Release);
    }
}

/// Whoever has this has the lock.
pub struct Guard<'lock, T: ?Sized> {
    lock: &'lock Lock<T>,
    _restore: Restore,
    /// It stays on its CPU.
    _stays: PhantomData<*mut ()>,
}

impl<T: ?Sized> Guard<'_, T> {
    /// Runs the closure while the lock is free. Interrupts are disabled when it begins and when it
    /// returns.
    #[inline]
    pub fn unlocked<R>(&mut self, closure: impl FnOnce() -> R) -> R {
        self.lock.owner.store(FREE, Ordering::Release);
        let result = closure();
        assert!(self.lock.take(), "the closure has kept the lock");
        result
    }
}

impl<T: ?Sized> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: the lock is this guard's.
        unsafe { &*self.lock.value.get() }
    }
}

impl<T: ?Sized> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the lock is this guard's, which is borrowed mutably.
        unsafe { &mut *self.lock.value.get() }
    }
}

impl<T: ?Sized> Drop for Guard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.lock.owner.store(FREE, Ordering::Release);
    }
}

/// Interrupts become what they were. It is dropped when the lock is free.
struct Restore(u64);

impl Drop for Restore {
    #[inline]
    fn drop(&mut self) {
        X86_64Interrupts::restore(self.0);
    }
}

/// The lock as a heap's: a CPU that waits for it answers requests.
pub struct HeapLock(Lock<()>);

// SAFETY: `Lock` has one owner at a time and synchronizes them; taking it again panics.
unsafe impl RawLock for HeapLock {
    #[allow(clippy::declare_interior_mutable_const, reason = "as in the trait")]
    const INIT: Self = Self(Lock::new(()));

    type Guard<'lock> = Guard<'lock, ()>;

    fn lock(&self) -> Guard<'_, ()> {
        self.0.lock()
    }
}
