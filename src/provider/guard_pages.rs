//! Provider of pages that can be protected one by one, for a heap that is sampled.

use core::ptr::NonNull;

use super::MapError;

/// Reserves addresses, and makes pages among them accessible and inaccessible.
///
/// [`Sampled`](crate::Sampled) calls it with its lock held, and never from two callers at a time.
/// The implementer must not allocate from that heap.
///
/// # Time
///
/// The time bounds of a heap count each call as one step.
///
/// # Safety
///
/// An implementer guarantees:
///
/// * The reserved addresses start at a multiple of [`granule`](GuardPages::granule), belong to the
///   caller for ever, and have no access: a load or a store there faults.
/// * Open pages are readable and writable, and have any contents. Closed pages have no access
///   again.
/// * After an `Err` nothing has changed.
pub unsafe trait GuardPages {
    /// Page size, in bytes: a power of two. Addresses and lengths are multiples of it.
    fn granule(&self) -> usize;

    /// Reserves `len` bytes of addresses without access. Called once, unless it fails.
    ///
    /// # Errors
    ///
    /// No addresses are left.
    fn reserve(&mut self, len: usize) -> Result<NonNull<u8>, MapError>;

    /// Makes pages readable and writable.
    ///
    /// # Errors
    ///
    /// No memory is left.
    ///
    /// # Safety
    ///
    /// The pages are reserved, and closed.
    unsafe fn open(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError>;

    /// Takes the access to pages away, and the memory behind them back.
    ///
    /// # Errors
    ///
    /// The pages are still open.
    ///
    /// # Safety
    ///
    /// The pages were opened by one call, and are no longer used.
    unsafe fn close(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError>;
}
