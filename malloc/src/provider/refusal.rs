//! Memory of what the system refused: one request of a program makes several attempts, and each
//! would cost system calls.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::clock;
use crate::request::PAGE;

/// Time after which the system is asked again, in milliseconds: other code may have released
/// memory.
const VALID: u64 = 100;

/// Number of times that all refusals were forgotten.
static FORGOTTEN: AtomicUsize = AtomicUsize::new(0);

/// Forgets all refusals: memory was released, or a request of the program has ended.
pub(crate) fn forget() {
    FORGOTTEN.fetch_add(1, Ordering::Relaxed);
}

/// The smallest length that one system call refused lately.
#[derive(Debug)]
pub(super) struct Refusal {
    /// Length in pages.
    pages: AtomicUsize,
    /// `FORGOTTEN` at the time of the refusal.
    forgotten: AtomicUsize,
    /// Time until which the refusal is valid.
    until: AtomicU64,
}

impl Refusal {
    pub(super) const fn new() -> Self {
        Self {
            pages: AtomicUsize::new(usize::MAX),
            forgotten: AtomicUsize::new(0),
            until: AtomicU64::new(0),
        }
    }

    /// Returns whether the system refused this length, or a smaller one, and would do so again.
    pub(super) fn includes(&self, len: usize) -> bool {
        len.div_ceil(PAGE) >= self.pages.load(Ordering::Relaxed) && self.is_valid()
    }

    /// Notes that the system refused this length.
    pub(super) fn note(&self, len: usize) {
        let pages = len.div_ceil(PAGE);
        let least = if self.is_valid() { self.pages.load(Ordering::Relaxed) } else { pages };
        self.pages.store(least.min(pages), Ordering::Relaxed);
        self.forgotten.store(FORGOTTEN.load(Ordering::Relaxed), Ordering::Relaxed);
        self.until.store(clock::milliseconds() + VALID, Ordering::Relaxed);
    }

    fn is_valid(&self) -> bool {
        self.forgotten.load(Ordering::Relaxed) == FORGOTTEN.load(Ordering::Relaxed)
            && clock::milliseconds() < self.until.load(Ordering::Relaxed)
    }
}
