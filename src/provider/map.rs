//! The second way to get memory: whole mappings, for large blocks (C15).

use core::fmt;
use core::ptr::NonNull;

/// Maps, unmaps and remaps whole pages, as `mmap`, `munmap` and `mremap` do.
///
/// A large block on a mapping of its own goes back the moment it is freed. At the break it would
/// have to wait for every smaller block above it.
///
/// # Safety
///
/// An implementer guarantees:
///
/// * A mapping is readable and writable, starts at a multiple of [`granule`](Map::granule), is at
///   most `isize::MAX` bytes long, does not overlap anything else, and is the caller's until it is
///   unmapped.
/// * Remapping keeps the contents up to the shorter of both lengths.
/// * After an `Err` nothing has changed.
/// * If [`ZEROED`](Map::ZEROED) is true, every byte that a mapping gains reads as zero until it is
///   written.
pub unsafe trait Map {
    /// Whether there is anything behind this: `false` lets the heap leave out what it would need
    /// for mappings.
    const AVAILABLE: bool = true;

    /// Whether new memory reads as zero.
    const ZEROED: bool;

    /// The page size: a power of two. Lengths are multiples of it.
    fn granule(&self) -> usize;

    /// Makes a mapping of exactly `len` bytes, a multiple of the granule that is not 0.
    ///
    /// # Errors
    ///
    /// There is no memory, or there are no addresses.
    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError>;

    /// Takes a mapping back.
    ///
    /// # Errors
    ///
    /// The mapping is still the caller's.
    ///
    /// # Safety
    ///
    /// `[start, start + len)` is one mapping of this provider, and nobody uses it any more.
    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError>;

    /// Changes the length of a mapping, which may move. Returns where it starts.
    ///
    /// # Errors
    ///
    /// The mapping is where and as long as it was. A provider that cannot do this always says so.
    ///
    /// # Safety
    ///
    /// `[start, start + len)` is one mapping of this provider; after `Ok` only the new place is
    /// used. `new_len` is as for `map`.
    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError>;
}

/// Why there is no such mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MapError {
    /// No memory, or no addresses.
    OutOfMemory,
    /// The provider does not do this.
    Refused,
}

impl fmt::Display for MapError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OutOfMemory => "no memory for a mapping",
            Self::Refused => "the provider refused the mapping",
        })
    }
}

impl core::error::Error for MapError {}

/// For those who have only a break: every block comes from there.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMap;

// SAFETY: there is never a mapping to promise anything of.
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
