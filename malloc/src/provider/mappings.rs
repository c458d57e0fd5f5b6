//! Mappings, for large blocks (C15).

use core::ptr::{self, NonNull};

use super::Refused;
use crate::errno;

/// Maps by `mmap`.
#[derive(Debug)]
pub(crate) struct Mappings;

impl Mappings {
    pub(super) fn map(&mut self, len: usize) -> Result<NonNull<u8>, Refused> {
        map_anonymous(len, libc::PROT_READ | libc::PROT_WRITE, 0)
    }

    /// # Safety
    ///
    /// It is one mapping, or a part of one, and nobody uses it any more.
    pub(super) unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), Refused> {
        // SAFETY: the caller's promise.
        let status = errno::unchanged(|| unsafe { libc::munmap(start.as_ptr().cast(), len) });
        if status == 0 { Ok(()) } else { Err(Refused) }
    }

    /// # Safety
    ///
    /// It is one mapping. After `Ok` only the new place is used.
    pub(super) unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, Refused> {
        // SAFETY: the caller's promise; it moves to where nothing is.
        let moved = errno::unchanged(|| unsafe {
            libc::mremap(start.as_ptr().cast(), len, new_len, libc::MREMAP_MAYMOVE)
        });
        if moved == libc::MAP_FAILED {
            Err(Refused)
        } else {
            NonNull::new(moved.cast()).ok_or(Refused)
        }
    }
}

/// A new mapping of memory that is nobody's, with this protection.
pub(super) fn map_anonymous(
    len: usize,
    protection: i32,
    more_flags: i32,
) -> Result<NonNull<u8>, Refused> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | more_flags;
    // SAFETY: where nothing is.
    let start =
        errno::unchanged(|| unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) });
    if start == libc::MAP_FAILED { Err(Refused) } else { NonNull::new(start.cast()).ok_or(Refused) }
}
