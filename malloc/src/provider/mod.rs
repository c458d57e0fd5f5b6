//! The memory that Linux provides: the break of the process, mappings, guard pages.

pub(crate) mod figures;
mod guarded;
mod mappings;
mod process_break;
mod refusal;
mod reserve;

pub(crate) use guarded::GuardedPages;
pub(crate) use mappings::{Mappings, unmap, was_unmapped_last};
pub(crate) use process_break::ProcessBreak;
pub(crate) use process_break::position as break_position;
pub(crate) use refusal::forget as forget_refusals;
pub(crate) use reserve::ReservedBreak;

use core::ptr::NonNull;

use crate::errno;

/// Maps zeroed memory for the library itself.
pub(crate) fn map(len: usize) -> Option<NonNull<u8>> {
    mappings::map_anonymous(0, len, libc::PROT_READ | libc::PROT_WRITE, 0).ok()
}

/// Discards the contents of whole pages and keeps their addresses: they read as zero next.
///
/// # Safety
///
/// The pages are the heap's, and their contents are not needed.
pub(crate) unsafe fn discard(memory: NonNull<[u8]>) {
    refusal::forget();
    let start = memory.cast::<core::ffi::c_void>();
    // SAFETY: this function's own clause. If the kernel refuses, the pages stay as they are.
    errno::preserving(|| unsafe {
        libc::madvise(start.as_ptr(), memory.len(), libc::MADV_DONTNEED)
    });
}
