//! The pages of UEFI's boot services (feature `uefi`).

use core::ptr::NonNull;

use uefi::boot::{self, AllocateType, MemoryType};
use uefi::table;

use super::{BreakError, Segments};

/// Page size of UEFI, in bytes, on every processor.
const PAGE: usize = 4096;

/// Minimum length of a segment, in bytes: firmware keeps a list of what it grants.
const LEAST: usize = 64 << 10;

/// Pages of UEFI's boot services as segments: `AllocatePages` and `FreePages`, of the type
/// `LOADER_DATA`. [`SegmentBreak`](crate::SegmentBreak) makes a heap's provider of them.
///
/// Before `uefi` knows the system table, and after `ExitBootServices`, each request is refused.
///
/// Do not use it for a heap that goes on after `ExitBootServices` and must grow then.
///
/// ```no_run
/// use brkalloc::{LockedHeap, SegmentBreak, UefiPages};
///
/// #[global_allocator]
/// static HEAP: LockedHeap<SegmentBreak<UefiPages>> = LockedHeap::new(SegmentBreak::new(UefiPages));
/// # fn main() {}
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct UefiPages;

/// Returns whether the boot services can be called.
fn is_active() -> bool {
    // SAFETY: a system table that `uefi` knows is valid as long as the program.
    table::system_table_raw()
        .is_some_and(|table| unsafe { !table.as_ref().boot_services.is_null() })
}

// SAFETY: firmware grants whole pages that nothing else uses, and changes nothing if it refuses.
unsafe impl Segments for UefiPages {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        PAGE
    }

    fn take(&mut self, least: usize) -> Result<NonNull<[u8]>, BreakError> {
        if !is_active() {
            return Err(BreakError::Refused);
        }
        let pages = |len: usize| {
            let pages = len.div_ceil(PAGE);
            let kind = MemoryType::LOADER_DATA;
            let start = boot::allocate_pages(AllocateType::AnyPages, kind, pages).ok()?;
            Some(NonNull::slice_from_raw_parts(start, pages * PAGE))
        };
        if least > isize::MAX as usize - PAGE {
            return Err(BreakError::OutOfAddresses);
        }
        pages(least.max(LEAST)).or_else(|| pages(least)).ok_or(BreakError::OutOfMemory)
    }

    unsafe fn give_back(&mut self, segment: NonNull<[u8]>) {
        if is_active() {
            // SAFETY: the whole result of one `take`, no longer used: this method's clause. If
            // firmware refuses, the pages stay what they are.
            let _ = unsafe { boot::free_pages(segment.cast(), segment.len() / PAGE) };
        }
    }
}

#[cfg(test)]
mod tests;
