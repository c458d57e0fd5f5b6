//! Locks: of a heap that several processes share, and of one that several threads share.

use core::fmt;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use brkalloc::RawLock;

use crate::system::process;
use crate::system::thread::{futex_wait, futex_wake};

/// A lock whose waiters let others run: with one processor, whoever holds it is one of them.
pub struct Yielding(spin::Mutex<()>);

// SAFETY: `spin::Mutex` has one guard at a time; taking it acquires what dropping it released. It
// is atomic operations on its own memory, so processes that share that memory are to it as threads.
unsafe impl RawLock for Yielding {
    #[allow(clippy::declare_interior_mutable_const, reason = "as the trait says")]
    const INIT: Self = Self(spin::Mutex::new(()));

    type Guard<'lock> = spin::MutexGuard<'lock, ()>;

    fn lock(&self) -> Self::Guard<'_> {
        loop {
            if let Some(guard) = self.0.try_lock() {
                return guard;
            }
            process::sched_yield();
        }
    }
}

impl fmt::Debug for Yielding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_locked() { "Yielding(locked)" } else { "Yielding(unlocked)" })
    }
}

/// A lock whose waiters sleep in the kernel until who holds it wakes them. It counts.
///
/// ```text
///   FREE ── lock ──► TAKEN ── another has to wait ──► WANTED
///    ▲                 │                                │
///    └──── unlock ─────┴──────── unlock, wakes one ─────┘
/// ```
#[derive(Debug)]
pub struct Sleeping(AtomicU32);

const FREE: u32 = 0;
const TAKEN: u32 = 1;
const WANTED: u32 = 2;

static LOCKED: AtomicUsize = AtomicUsize::new(0);
static WAITED: AtomicUsize = AtomicUsize::new(0);

/// How often any [`Sleeping`] lock was taken, and how often a thread had to wait for one.
pub fn counts() -> (usize, usize) {
    (LOCKED.load(Ordering::Relaxed), WAITED.load(Ordering::Relaxed))
}

// SAFETY: who changes the state from FREE has the lock, and acquires what the one before released.
unsafe impl RawLock for Sleeping {
    #[allow(clippy::declare_interior_mutable_const, reason = "as the trait says")]
    const INIT: Self = Self(AtomicU32::new(FREE));

    type Guard<'lock> = SleepingGuard<'lock>;

    fn lock(&self) -> Self::Guard<'_> {
        LOCKED.fetch_add(1, Ordering::Relaxed);
        let free = self.0.compare_exchange(FREE, TAKEN, Ordering::Acquire, Ordering::Relaxed);
        if free.is_err() {
            WAITED.fetch_add(1, Ordering::Relaxed);
            // Who comes out of here does not know whether others wait, and leaves it wanted.
            while self.0.swap(WANTED, Ordering::Acquire) != FREE {
                // Woken, or changed meanwhile: try again.
                let _ = futex_wait(&self.0, WANTED);
            }
        }
        SleepingGuard(self)
    }
}

/// See [`Sleeping`].
#[derive(Debug)]
pub struct SleepingGuard<'lock>(&'lock Sleeping);

impl Drop for SleepingGuard<'_> {
    fn drop(&mut self) {
        if self.0.0.swap(FREE, Ordering::Release) == WANTED {
            futex_wake(&self.0.0, 1);
        }
    }
}
