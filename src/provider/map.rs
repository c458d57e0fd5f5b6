//! The second way to get memory: whole mappings, for large blocks (C15).

use core::ptr::NonNull;

use crate::texts::texts;

/// Maps, unmaps and remaps whole pages, as `mmap`, `munmap` and `mremap` do.
///
/// A large block with a mapping of its own goes back to the system when it is freed. At the break
/// it would have to wait for every smaller block above it.
///
/// # Time
///
/// The time bounds of a heap count each call as one step.
///
/// # Safety
///
/// An implementer guarantees:
///
/// * A mapping is readable and writable, starts at a multiple of [`granule`](Map::granule), is at
///   most `isize::MAX` bytes long, overlaps no other memory, and belongs to the caller until it is
///   unmapped.
/// * Remapping keeps the contents, up to the shorter of both lengths.
/// * After an `Err` nothing has changed.
/// * If [`ZEROED`](Map::ZEROED) is true, every byte that a mapping gains reads as zero until it is
///   written.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not provide mappings",
    label = "needs an implementation of `brkalloc::Map`",
    note = "a heap without mappings takes `NoMap`; an own provider implements `Map`"
)]
pub unsafe trait Map {
    /// `false` lets the heap leave out everything that it needs for mappings.
    const AVAILABLE: bool = true;

    /// `true` if new memory reads as zero.
    const ZEROED: bool;

    /// Page size, in bytes: a power of two, at least four words. Lengths are multiples of it.
    fn granule(&self) -> usize;

    /// Makes a mapping of exactly `len` bytes, a multiple of the granule that is not 0.
    ///
    /// # Errors
    ///
    /// No memory or no addresses are left.
    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError>;

    /// Takes a mapping back.
    ///
    /// # Errors
    ///
    /// The mapping still belongs to the caller.
    ///
    /// # Safety
    ///
    /// `[start, start + len)` is one mapping of this provider, and is no longer used.
    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError>;

    /// Changes the length of a mapping, which may move. Returns its start.
    ///
    /// # Errors
    ///
    /// The mapping is unchanged. A provider that cannot remap always returns an error.
    ///
    /// # Safety
    ///
    /// `[start, start + len)` is one mapping of this provider. After `Ok` only the returned mapping
    /// is used. `new_len` is as for `map`.
    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError>;
}

texts! {
    /// Cause of a refused mapping.
    pub enum MapError;

    /// No memory or no addresses are left.
    OutOfMemory = "no memory for a mapping",
    /// The provider does not support the operation.
    Refused = "the provider refused the mapping",
}

impl core::error::Error for MapError {}

/// No provider of mappings: every block comes from the break.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMap;

// SAFETY: every method returns an error and changes nothing, so no mapping exists.
unsafe impl Map for NoMap {
    const AVAILABLE: bool = false;
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        1
    }

    fn map(&mut self, _len: usize) -> Result<NonNull<u8>, MapError> {
        Err(MapError::Refused)
    }

    unsafe fn unmap(&mut self, _start: NonNull<u8>, _len: usize) -> Result<(), MapError> {
        Err(MapError::Refused)
    }

    unsafe fn remap(
        &mut self,
        _start: NonNull<u8>,
        _len: usize,
        _new_len: usize,
    ) -> Result<NonNull<u8>, MapError> {
        Err(MapError::Refused)
    }
}
