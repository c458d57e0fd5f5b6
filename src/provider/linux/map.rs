//! Mappings of a process.

use core::ptr::NonNull;

use super::{map, page};
use crate::provider::{Map, MapError};

/// Mappings for large blocks: `mmap`, `munmap` and `mremap`.
///
/// Do not use it in a program that keeps tens of thousands of large blocks: Linux limits the number
/// of mappings of a process (`vm.max_map_count`, 65,530 by default).
#[derive(Clone, Copy, Debug, Default)]
pub struct LinuxMap;

// SAFETY: mappings are private, anonymous, readable and writable, and the kernel places none over
// another. `mremap` keeps the contents, and changes nothing if it fails.
unsafe impl Map for LinuxMap {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        page()
    }

    fn map(&mut self, len: usize) -> Result<NonNull<u8>, MapError> {
        map(len, libc::PROT_READ | libc::PROT_WRITE, 0).ok_or(MapError::OutOfMemory)
    }

    unsafe fn unmap(&mut self, start: NonNull<u8>, len: usize) -> Result<(), MapError> {
        // SAFETY: one mapping, no longer used: this method's clause.
        if unsafe { libc::munmap(start.as_ptr().cast(), len) } == 0 {
            Ok(())
        } else {
            Err(MapError::Refused)
        }
    }

    unsafe fn remap(
        &mut self,
        start: NonNull<u8>,
        len: usize,
        new_len: usize,
    ) -> Result<NonNull<u8>, MapError> {
        // SAFETY: one mapping: this method's clause. The kernel moves it to unused addresses.
        let moved =
            unsafe { libc::mremap(start.as_ptr().cast(), len, new_len, libc::MREMAP_MAYMOVE) };
        if moved == libc::MAP_FAILED {
            return Err(MapError::OutOfMemory);
        }
        NonNull::new(moved.cast()).ok_or(MapError::OutOfMemory)
    }
}
