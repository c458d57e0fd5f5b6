//! The lock of the C library's list of streams, which `fork` takes.
//!
//! A thread may have the lock of a stream, allocate its buffer, and wait for the heap's lock;
//! another one may have the list's lock and wait for that stream. `fork` takes the list's lock
//! after all handlers. So it is taken before the heap's, as in glibc, whose `fork` takes those of
//! its own heap later.

use core::sync::atomic::{AtomicBool, Ordering};

/// The forking thread has the lock. Written with the lock held.
static IS_HELD: AtomicBool = AtomicBool::new(false);

unsafe extern "C" {
    fn _IO_list_lock();
    fn _IO_list_unlock();
    fn _IO_list_resetlock();
}

/// Takes the lock before a fork of a process with other threads. glibc's `fork` waits for the same
/// threads.
pub(crate) fn prefork() {
    // SAFETY: glibc's function, which has no preconditions. The lock is recursive.
    unsafe { _IO_list_lock() };
    IS_HELD.store(true, Ordering::Relaxed);
}

/// Releases the lock in the parent, if [`prefork`] took it.
pub(crate) fn postfork_parent() {
    if IS_HELD.swap(false, Ordering::Relaxed) {
        // SAFETY: the calling thread has the lock.
        unsafe { _IO_list_unlock() };
    }
}

/// Releases the lock in the child, if [`prefork`] took it.
pub(crate) fn postfork_child() {
    if IS_HELD.swap(false, Ordering::Relaxed) {
        // SAFETY: the child has one thread, which does not use the list now.
        unsafe { _IO_list_resetlock() };
    }
}
