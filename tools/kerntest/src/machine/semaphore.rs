//! Bounds how many emulated machines run at a time. Each keeps a processor busy, even while it
//! waits for its disk: more of them than there are processors make each other slower by more than
//! their number.

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// A counting semaphore.
pub(super) struct Semaphore {
    taken: Mutex<usize>,
    given_back: Condvar,
}

/// RAII guard: one permit, released when this is dropped.
pub(super) struct Permit<'a>(&'a Semaphore);

impl Semaphore {
    /// None is taken.
    pub const fn new() -> Self {
        Self { taken: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Waits for a permit; there are as many as processors.
    pub fn acquire(&self) -> Permit<'_> {
        self.acquire_of(thread::available_parallelism().map_or(1, Into::into))
    }

    /// Waits until fewer than `most` are taken.
    fn acquire_of(&self, most: usize) -> Permit<'_> {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = self
            .given_back
            .wait_while(taken, |taken| *taken >= most)
            .unwrap_or_else(PoisonError::into_inner);
        *taken += 1;
        Permit(self)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.given_back.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_than_so_many_at_a_time_and_everybody_in_the_end() {
        let (semaphore, now, most, all) =
            (Semaphore::new(), AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let _permit = semaphore.acquire_of(2);
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(20));
                    now.fetch_sub(1, Ordering::SeqCst);
                    all.fetch_add(1, Ordering::SeqCst);
                });
            }
        });
        assert_eq!((most.into_inner(), all.into_inner()), (2, 8));
    }
}
