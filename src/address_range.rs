//! A range of addresses that callers look an address up in, without a lock, while another caller
//! sets it.

use core::sync::atomic::Ordering;

use crate::atomic::AtomicUsize;

/// Range of addresses, empty until it is set, once.
///
/// # Ordering
///
/// Setting stores the length last, and releases; a look-up loads it first, and acquires. A look-up
/// that finds a length therefore finds its start, and all that was done before the range was set.
#[derive(Debug, Default)]
pub(crate) struct AddressRange {
    pub(crate) start: AtomicUsize,
    pub(crate) len: AtomicUsize,
}

impl AddressRange {
    /// Sets the range.
    pub(crate) fn set(&self, start: usize, len: usize) {
        self.start.store(start, Ordering::Relaxed);
        self.len.store(len, Ordering::Release);
    }

    /// Returns whether the range is set.
    pub(crate) fn is_set(&self) -> bool {
        self.len.load(Ordering::Acquire) > 0
    }

    /// Returns the start of the range.
    pub(crate) fn start(&self) -> usize {
        self.start.load(Ordering::Relaxed)
    }

    /// Returns whether an address lies in the range. It takes a comparison.
    #[inline(always)]
    pub(crate) fn contains(&self, address: usize) -> bool {
        let len = self.len.load(Ordering::Acquire);
        address.wrapping_sub(self.start()) < len
    }
}
