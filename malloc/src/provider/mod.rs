//! What Linux offers to a heap: the break of the process, and mappings.
//!
//! The allocator is linked twice, with and without its profile `checked`; each of the two has
//! traits of its own, which mean the same.

mod mappings;
mod process_break;
mod reserve;

pub(crate) use mappings::Mappings;
pub(crate) use process_break::ProcessBreak;

use core::ptr::NonNull;

use crate::errno;
use crate::request::PAGE;

/// Why there is no memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Refused;

/// Gives the pages of some memory back, and keeps the addresses: what is read there next is zero.
///
/// # Safety
///
/// It is whole pages of the heap's, and nobody needs what is in them.
pub(crate) unsafe fn forget(memory: NonNull<[u8]>) {
    let start = memory.cast::<core::ffi::c_void>();
    // SAFETY: the caller's promise. If it is refused, the pages stay.
    errno::unchanged(|| unsafe {
        libc::madvise(start.as_ptr(), memory.len(), libc::MADV_DONTNEED)
    });
}

/// Makes the providers those of one of the two.
macro_rules! provide_for {
    ($library:ident) => {
        // SAFETY: what `grow` grants lies between the old and the new break of the process, or in
        // the reserve, which is mapped for this alone; both are readable, writable, and zero, and
        // nobody else uses them. Their ends only move as they say.
        unsafe impl $library::Break for ProcessBreak {
            const ZEROED: bool = true;

            fn granule(&self) -> usize {
                PAGE
            }

            fn end(&self) -> *mut u8 {
                Self::end(self)
            }

            fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, $library::BreakError> {
                Self::grow(self, by).map_err(|Refused| $library::BreakError::OutOfMemory)
            }

            unsafe fn shrink(&mut self, by: usize) -> Result<(), $library::BreakError> {
                // SAFETY: the caller's promise.
                unsafe { Self::shrink(self, by) }.map_err(|Refused| $library::BreakError::Refused)
            }
        }

        // SAFETY: mappings are private, anonymous, readable and writable; the kernel lays none over
        // another.
        unsafe impl $library::Map for Mappings {
            const ZEROED: bool = true;

            fn granule(&self) -> usize {
                PAGE
            }

            fn map(&mut self, len: usize) -> Result<NonNull<u8>, $library::MapError> {
                Self::map(self, len).map_err(|Refused| $library::MapError::OutOfMemory)
            }

            unsafe fn unmap(
                &mut self,
                start: NonNull<u8>,
                len: usize,
            ) -> Result<(), $library::MapError> {
                // SAFETY: the caller's promise.
                unsafe { Self::unmap(self, start, len) }
                    .map_err(|Refused| $library::MapError::Refused)
            }

            unsafe fn remap(
                &mut self,
                start: NonNull<u8>,
                len: usize,
                new_len: usize,
            ) -> Result<NonNull<u8>, $library::MapError> {
                // SAFETY: the caller's promise.
                unsafe { Self::remap(self, start, len, new_len) }
                    .map_err(|Refused| $library::MapError::OutOfMemory)
            }
        }
    };
}

provide_for!(brkalloc);
provide_for!(brkalloc_checked);
