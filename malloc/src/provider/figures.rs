//! How much the system has granted, now and at most.

use core::sync::atomic::{AtomicUsize, Ordering};

/// A number that rises and falls, and its maximum. Changed with the heap locked.
#[derive(Debug)]
pub(crate) struct Figure {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Figure {
    const fn new() -> Self {
        Self { now: AtomicUsize::new(0), most: AtomicUsize::new(0) }
    }

    pub(super) fn rise(&self, by: usize) {
        let now = self.now() + by;
        self.now.store(now, Ordering::Relaxed);
        self.most.fetch_max(now, Ordering::Relaxed);
    }

    pub(super) fn fall(&self, by: usize) {
        self.now.store(self.now().saturating_sub(by), Ordering::Relaxed);
    }

    /// Returns the present value.
    pub(crate) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Returns the maximum.
    pub(crate) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// Bytes granted at the break, or the reserve that stands for it.
pub(crate) static BREAK: Figure = Figure::new();

/// Number of mappings.
pub(crate) static MAPPINGS: Figure = Figure::new();

/// Bytes of mappings.
pub(crate) static MAPPED: Figure = Figure::new();
