//! The lock of the heap that serves the process: one lock for all heaps, which `fork` can hold.
//!
//! ```text
//!   state   0 free    1 held    2 held, and a thread sleeps (FUTEX_WAIT) until it is free
//! ```
//!
//! A process with one thread does not lock: glibc says whether it has one
//! (`__libc_single_threaded`). No code that runs with the lock held starts a thread.
//!
//! Other libraries may have fork handlers that allocate. Those registered after ours run while the
//! lock is not held, but a library whose constructor came first may have registered before. So the
//! forking thread has the heap to itself, and may use it.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::thread;

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// Number of polls before a thread goes to sleep: the lock is held for short times.
const POLLS: usize = 100;

static STATE: AtomicU32 = AtomicU32::new(FREE);

/// [`thread::id`] of the thread that holds the lock for its fork, or 0. Only that thread finds
/// its own id in it.
static FORKING: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// Not 0 while the process has one thread. The thread that starts a second one writes 0 first.
    static __libc_single_threaded: u8;
}

/// The lock. All values of the type are the same lock.
#[derive(Debug)]
pub(crate) struct HeapLock;

/// RAII guard: unlocks when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    /// `false` if there is one thread, or if the thread held the lock already.
    is_locked: bool,
}

impl HeapLock {
    /// Waits until the lock is free, and takes it.
    #[inline]
    pub(crate) fn hold() -> Held {
        Held { is_locked: !is_single_threaded() && Self::acquire() }
    }

    /// Takes the lock for a fork, unless the process has one thread. Returns whether it did. The
    /// same thread, or its copy in the child, calls
    /// [`unlock_after_fork`](HeapLock::unlock_after_fork) before another thread can start.
    pub(crate) fn lock_for_fork() -> bool {
        let is_shared = !is_single_threaded();
        if is_shared {
            Self::acquire();
            FORKING.store(thread::id(), Ordering::Relaxed);
        }
        is_shared
    }

    /// Returns whether the calling thread holds the lock for its fork.
    pub(crate) fn is_held_for_callers_fork() -> bool {
        FORKING.load(Ordering::Relaxed) == thread::id()
    }

    /// Releases the lock if [`lock_for_fork`](HeapLock::lock_for_fork) took it. If it did not, no
    /// other thread exists that could have it.
    pub(crate) fn unlock_after_fork() {
        if STATE.load(Ordering::Relaxed) != FREE {
            FORKING.store(0, Ordering::Relaxed);
            Self::release();
        }
    }

    /// Takes the lock. Returns `false` if the thread holds it already.
    #[inline]
    fn acquire() -> bool {
        STATE.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() || wait()
    }

    #[inline]
    fn release() {
        if STATE.swap(FREE, Ordering::Release) == AWAITED {
            // SAFETY: wakes a thread that sleeps on this word.
            unsafe {
                libc::syscall(
                    libc::SYS_futex,
                    STATE.as_ptr(),
                    libc::FUTEX_WAKE | libc::FUTEX_PRIVATE_FLAG,
                    1,
                )
            };
        }
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        if self.is_locked {
            HeapLock::release();
        }
    }
}

fn is_single_threaded() -> bool {
    // SAFETY: glibc's variable exists as long as the process. While it is not 0, only this thread
    // can change it.
    let flag = unsafe { (&raw const __libc_single_threaded).read_volatile() };
    flag != 0
}

/// Waits until the lock is free, and takes it. Returns `false` if the thread holds it already.
#[cold]
fn wait() -> bool {
    if HeapLock::is_held_for_callers_fork() {
        return false;
    }
    for _ in 0..POLLS {
        if STATE.load(Ordering::Relaxed) == FREE
            && STATE.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return true;
        }
        core::hint::spin_loop();
    }
    crate::errno::preserving(|| {
        while STATE.swap(AWAITED, Ordering::Acquire) != FREE {
            let (operation, forever) =
                (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, core::ptr::null::<libc::timespec>());
            // SAFETY: sleeps while the word is `AWAITED`. The loop looks again after any wake-up.
            unsafe { libc::syscall(libc::SYS_futex, STATE.as_ptr(), operation, AWAITED, forever) };
        }
    });
    true
}

// SAFETY: the holder is the thread that changed `STATE` from `FREE`; a release synchronizes with
// the next acquire. In a process with one thread there is no other caller, and the heap does not
// call itself.
unsafe impl brkalloc::RawLock for HeapLock {
    const INIT: Self = Self;

    type Guard<'lock> = Held;

    #[inline]
    fn lock(&self) -> Held {
        Self::hold()
    }
}
