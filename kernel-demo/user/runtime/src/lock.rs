//! The lock of a heap that several processes share.

use core::fmt;

use brkalloc::RawLock;

use crate::system::process;

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
