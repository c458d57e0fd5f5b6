//! Mappings, for large blocks (C15).

use core::ptr::{self, NonNull};

use brkalloc::{Map, MapError};

use super::refusal::{self, Refusal};
use crate::errno;
use crate::request::PAGE;

/// The last refusal of a mapping.
static REFUSAL: Refusal = Refusal::new();

/// Provider of mappings: `mmap`, `munmap` and `mremap`.
#[derive(Debug)]
pub(crate) struct Mappings;

// SAFETY: mappings are private, anonymous, readable and writable, and the kernel places none over
// another.
unsafe impl Map for Mappings {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        if REFUSAL.includes(len) {
            return Err(MapError::OutOfMemory);
        }
        map_anonymous(len).inspect_err(|_| REFUSAL.note(len))
    }

    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        // SAFETY: one mapping, no longer used: this method's own clause.
        let status = errno::preserving(|| unsafe { libc::munmap(start.as_ptr().cast(), len) });
        refusal::forget();
        if status == 0 { Ok(()) } else { Err(MapError::Refused) }
    }

    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError> {
        // SAFETY: one mapping: this method's own clause. The kernel moves it to unused addresses.
        let moved = errno::preserving(|| unsafe {
            libc::mremap(start.as_ptr().cast(), len, new_len, libc::MREMAP_MAYMOVE)
        });
        mapped(moved)
    }
}

/// Maps `len` bytes of readable, writable, zeroed memory.
fn map_anonymous(len: usize) -> Result<NonNull<u8>, MapError> {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: the kernel chooses unused addresses.
    let start =
        errno::preserving(|| unsafe { libc::mmap(ptr::null_mut(), len, protection, flags, -1, 0) });
    mapped(start)
}

fn mapped(start: *mut libc::c_void) -> Result<NonNull<u8>, MapError> {
    if start == libc::MAP_FAILED {
        return Err(MapError::OutOfMemory);
    }
    NonNull::new(start.cast()).ok_or(MapError::OutOfMemory)
}
