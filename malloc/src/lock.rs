//! The lock around whatever heap serves the process: one for all, so that `fork` can hold it.
//!
//! ```text
//!   state   0 free    1 held    2 held, and somebody sleeps (FUTEX_WAIT) until it is free
//! ```
//!
//! A process of one thread does not lock: glibc knows whether it is one (`__libc_single_threaded`).
//! Nothing within the lock begins a thread.
//!
//! Around a `fork` others may have handlers that allocate. Those that were entered after ours run
//! while we do not hold the lock; but a library's constructor may have been faster. So whoever
//! forks has the heap to itself, and may use it.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::thread;

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// How often somebody looks again before going to sleep: what is done with the lock held is short.
const LOOKS: usize = 100;

static STATE: AtomicU32 = AtomicU32::new(FREE);

/// The thread that forks and has the lock for that; 0: there is none. No thread but that one finds
/// itself here.
static FORKING: AtomicUsize = AtomicUsize::new(0);

unsafe extern "C" {
    /// Not 0: the process has one thread. Whoever begins a second one writes 0 before.
    static __libc_single_threaded: u8;
}

/// The one lock, wherever it stands.
#[derive(Debug)]
pub(crate) struct HeapLock;

/// Gives the lock back.
#[derive(Debug)]
pub(crate) struct Held {
    /// False: there was nobody to lock out, or they were locked out already.
    is_locked: bool,
}

impl HeapLock {
    /// Waits until nobody has the lock, and takes it.
    #[inline]
    pub(crate) fn hold() -> Held {
        Held { is_locked: !is_single_threaded() && Self::take() }
    }

    /// Takes the lock, and keeps it, unless the process has one thread. Whether it did. For `fork`:
    /// [`give_back_if_taken`](HeapLock::give_back_if_taken) belongs to it, called by the same
    /// thread, or by its copy in the child, before another thread can begin.
    pub(crate) fn take_if_shared() -> bool {
        let is_shared = !is_single_threaded();
        if is_shared {
            Self::take();
            FORKING.store(thread::id(), Ordering::Relaxed);
        }
        is_shared
    }

    /// Whether the calling thread forks, and has the lock for that.
    pub(crate) fn is_callers_fork() -> bool {
        FORKING.load(Ordering::Relaxed) == thread::id()
    }

    /// Gives back what [`take_if_shared`](HeapLock::take_if_shared) took, if it did: else nobody is
    /// there who could have the lock.
    pub(crate) fn give_back_if_taken() {
        if STATE.load(Ordering::Relaxed) != FREE {
            FORKING.store(0, Ordering::Relaxed);
            Self::give_back();
        }
    }

    /// False: the caller has it already.
    #[inline]
    fn take() -> bool {
        STATE.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok() || wait()
    }

    #[inline]
    fn give_back() {
        if STATE.swap(FREE, Ordering::Release) == AWAITED {
            // SAFETY: wakes one of those who sleep on this word; it fails for nobody.
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
            HeapLock::give_back();
        }
    }
}

fn is_single_threaded() -> bool {
    // SAFETY: glibc's variable is there for the life of the process. It changes only by what this
    // thread does, if it is not 0.
    let flag = unsafe { (&raw const __libc_single_threaded).read_volatile() };
    flag != 0
}

/// Waits for the lock, and takes it. False: the caller has it already.
#[cold]
fn wait() -> bool {
    if HeapLock::is_callers_fork() {
        return false;
    }
    for _ in 0..LOOKS {
        if STATE.load(Ordering::Relaxed) == FREE
            && STATE.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return true;
        }
        core::hint::spin_loop();
    }
    crate::errno::unchanged(|| {
        while STATE.swap(AWAITED, Ordering::Acquire) != FREE {
            let (operation, forever) =
                (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG, core::ptr::null::<libc::timespec>());
            // SAFETY: sleeps while the word says so. Whoever is woken looks again, for whatever
            // reason it was.
            unsafe { libc::syscall(libc::SYS_futex, STATE.as_ptr(), operation, AWAITED, forever) };
        }
    });
    true
}

// SAFETY: who holds it is told apart by `STATE`: whoever changes it from FREE. In a process of one
// thread there is nobody else, and the heap is not called from within the heap.
unsafe impl brkalloc::RawLock for HeapLock {
    const INIT: Self = Self;

    type Guard<'lock> = Held;

    #[inline]
    fn lock(&self) -> Held {
        Self::hold()
    }
}

// SAFETY: as above.
unsafe impl brkalloc_checked::RawLock for HeapLock {
    const INIT: Self = Self;

    type Guard<'lock> = Held;

    fn lock(&self) -> Held {
        Self::hold()
    }
}
