//! Locks that a `fork` can hold for a bounded time: that of the heap, and that of the trace.
//!
//! ```text
//!   state     0 free    1 held    2 held, and a thread sleeps (FUTEX_WAIT) until it is free
//!   forking   0    no fork holds the lock
//!             id   the thread with this id holds it for its fork, and is outside the heap
//!             id|1 the same thread is inside the heap: a fork handler allocates
//! ```
//!
//! A process with one thread does not lock: glibc says whether it has one
//! (`__libc_single_threaded`). No code that runs with a lock held starts a thread.
//!
//! # Bounds
//!
//! The forking thread waits [`BOUND`] for a lock, and then forks without it. A thread that has
//! waited that long for a fork takes the lock over: the fork may wait for a lock of another library
//! that this thread has. In both cases the child may find the lock held by a thread that it does
//! not have. What the lock guards is then unusable in the child
//! ([`postfork_child`](ForkLock::postfork_child)).

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use crate::{clock, errno, thread};

const FREE: u32 = 0;
const HELD: u32 = 1;
const AWAITED: u32 = 2;

/// Number of polls before a thread goes to sleep: a lock is held for short times.
const POLLS: usize = 100;

/// Maximum time that a fork waits for a lock, and a thread for a fork, in milliseconds.
pub(crate) const BOUND: u64 = 300;

/// Bit of `forking`: the forking thread is inside the heap.
const INSIDE: usize = 1;

unsafe extern "C" {
    /// Not 0 while the process has one thread. The thread that starts a second one writes 0 first.
    static __libc_single_threaded: u8;
}

/// A lock that a fork can hold. Zeroed at first.
#[derive(Debug)]
pub(crate) struct ForkLock {
    state: AtomicU32,
    forking: AtomicUsize,
}

/// RAII guard: unlocks when it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    lock: &'static ForkLock,
    claim: Claim,
}

/// Right by which a thread is behind a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// The process has one thread.
    Alone,
    /// The thread holds the lock.
    Owner,
    /// The thread holds the lock for its fork.
    Fork,
}

impl ForkLock {
    const fn new() -> Self {
        Self { state: AtomicU32::new(FREE), forking: AtomicUsize::new(0) }
    }

    /// Waits until the lock is free, and takes it.
    #[inline]
    pub(crate) fn hold(&'static self) -> Held {
        let claim = if is_single_threaded() {
            Claim::Alone
        } else if self.try_take() {
            Claim::Owner
        } else {
            self.wait()
        };
        Held { lock: self, claim }
    }

    /// Takes the lock for a fork, if it becomes free within [`BOUND`]. Returns whether it did. The
    /// process has other threads.
    pub(crate) fn lock_for_fork(&self) -> bool {
        if !self.try_take() {
            let start = clock::milliseconds();
            // The wake-up that ends a sleep may be the only one: the release must pass it on.
            while self.state.swap(AWAITED, Ordering::Acquire) != FREE {
                if clock::milliseconds().saturating_sub(start) > BOUND {
                    return false;
                }
                self.sleep(1);
            }
        }
        self.forking.store(thread::id(), Ordering::Release);
        true
    }

    /// Releases the lock in the parent of a fork, unless another thread has taken it over.
    pub(crate) fn unlock_after_fork(&self) {
        let id = thread::id();
        if self.forking.compare_exchange(id, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.release();
        }
    }

    /// Releases the lock in the child of a fork. Returns `false` if a thread held it that does not
    /// exist in the child: it may have been in the middle of a change of what the lock guards.
    pub(crate) fn postfork_child(&self) -> bool {
        if self.state.load(Ordering::Relaxed) == FREE {
            return true;
        }
        let is_own = self.forking.swap(0, Ordering::Relaxed) & !INSIDE == thread::id();
        self.state.store(FREE, Ordering::Relaxed);
        is_own
    }

    fn try_take(&self) -> bool {
        self.state.compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[inline]
    fn release(&self) {
        if self.state.swap(FREE, Ordering::Release) == AWAITED {
            self.futex(libc::FUTEX_WAKE, 1, 0);
        }
    }

    /// Waits until the lock is free, and takes it.
    #[cold]
    fn wait(&self) -> Claim {
        let id = thread::id();
        let enter = |from, to| {
            self.forking.compare_exchange(from, to, Ordering::Acquire, Ordering::Relaxed).is_ok()
        };
        if enter(id, id | INSIDE) {
            return Claim::Fork;
        }
        for _ in 0..POLLS {
            if self.state.load(Ordering::Relaxed) == FREE && self.try_take() {
                return Claim::Owner;
            }
            core::hint::spin_loop();
        }
        while self.state.swap(AWAITED, Ordering::Acquire) != FREE {
            let forking = self.forking.load(Ordering::Relaxed);
            let is_over = !self.sleep(BOUND);
            if is_over && forking != 0 && forking & INSIDE == 0 && enter(forking, 0) {
                break;
            }
        }
        Claim::Owner
    }

    /// Sleeps until the lock is released, or for some milliseconds. Returns `false` after these.
    /// The caller has set the state to `AWAITED`.
    fn sleep(&self, milliseconds: u64) -> bool {
        self.futex(libc::FUTEX_WAIT, AWAITED, milliseconds) != libc::ETIMEDOUT
    }

    /// Calls `futex` on the state. Returns its error, or 0.
    fn futex(&self, operation: i32, value: u32, milliseconds: u64) -> i32 {
        let time = libc::timespec {
            tv_sec: (milliseconds / 1000) as libc::time_t,
            tv_nsec: (milliseconds % 1000 * 1_000_000) as libc::c_long,
        };
        let (word, operation) = (self.state.as_ptr(), operation | libc::FUTEX_PRIVATE_FLAG);
        errno::preserving(|| {
            // SAFETY: wakes threads, or sleeps while the word has the value. Callers look again
            // after any wake-up.
            let status =
                unsafe { libc::syscall(libc::SYS_futex, word, operation, value, &raw const time) };
            if status < 0 { errno::get() } else { 0 }
        })
    }
}

impl Drop for Held {
    #[inline]
    fn drop(&mut self) {
        match self.claim {
            Claim::Alone => {}
            Claim::Owner => self.lock.release(),
            Claim::Fork => self.lock.forking.store(thread::id(), Ordering::Release),
        }
    }
}

/// Returns whether the process has one thread.
pub(crate) fn is_single_threaded() -> bool {
    // SAFETY: glibc's variable exists as long as the process. While it is not 0, only this thread
    // can change it.
    let flag = unsafe { (&raw const __libc_single_threaded).read_volatile() };
    flag != 0
}

/// Lock of the heap that serves the process.
pub(crate) static HEAP: ForkLock = ForkLock::new();

/// Lock of the trace.
pub(crate) static TRACE: ForkLock = ForkLock::new();

/// [`HEAP`] as a type. All values are the same lock.
#[derive(Debug)]
pub(crate) struct HeapLock;

// SAFETY: the holder is the thread that changed the state from `FREE`, or to which the forking
// thread, outside the heap, lost it; a release synchronizes with the next acquire. In a process
// with one thread there is no other caller, and the heap does not call itself.
unsafe impl brkalloc::RawLock for HeapLock {
    const INIT: Self = Self;

    type Guard<'lock> = Held;

    #[inline]
    fn lock(&self) -> Held {
        HEAP.hold()
    }
}
