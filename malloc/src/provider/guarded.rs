//! Pages for sampled blocks: reserved addresses, of which some are accessible for a while.

use core::ptr::NonNull;

use brkalloc::{GuardPages, MapError};

use super::reserve;
use crate::request::PAGE;

/// Provider of pages that can be protected: `mmap` and `mprotect`.
#[derive(Debug)]
pub(crate) struct GuardedPages;

// SAFETY: the reserved addresses are a mapping without access that stays. Open pages are readable
// and writable; a mapping without access takes the place of closed ones.
unsafe impl GuardPages for GuardedPages {
    fn granule(&self) -> usize {
        PAGE
    }

    fn reserve(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        reserve::reserve(0, len, 0).map_err(|_| MapError::OutOfMemory)
    }

    unsafe fn open(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        if reserve::permit(start, len) { Ok(()) } else { Err(MapError::OutOfMemory) }
    }

    unsafe fn close(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        let closed = reserve::reserve(start.addr().get(), len, libc::MAP_FIXED);
        closed.map(|_| ()).map_err(|_| MapError::Refused)
    }
}
