//! A second break, in reserved addresses, for a process whose own break cannot move.

use core::ptr::NonNull;

use brkalloc::{BreakError, Map};

use super::Mappings;
use super::mappings::map_anonymous;
use crate::errno;

/// Lengths of the reservation to try, in bytes: addresses cost nothing unless they are limited.
const LENGTHS: [usize; 4] = [64 << 30, 4 << 30, 256 << 20, 16 << 20];

/// Reserved addresses, of which the lower part is granted.
///
/// # Invariants
///
/// * `[base, base + len)` is one mapping, owned by this value; `used ≤ len`
/// * memory above `base + used` reads as zero when it is granted
#[derive(Debug)]
pub(super) struct Reserve {
    base: NonNull<u8>,
    len: usize,
    used: usize,
}

impl Reserve {
    /// Reserves `least` bytes of addresses or more, all above `lowest`.
    pub(super) fn above(lowest: usize, least: usize) -> Result<Self, BreakError> {
        let mut lengths = LENGTHS.into_iter().filter(|&len| len >= least);
        lengths.find_map(|len| Self::with_len(len, lowest)).ok_or(BreakError::OutOfMemory)
    }

    fn with_len(len: usize, lowest: usize) -> Option<Self> {
        let base = map_anonymous(len, libc::MAP_NORESERVE).ok()?;
        if base.addr().get() > lowest {
            return Some(Self { base, len, used: 0 });
        }
        // SAFETY: the mapping is new and not used. If unmapping fails, its addresses are lost.
        let _ = unsafe { Mappings.unmap(base, len) };
        None
    }

    pub(super) fn end(&self) -> NonNull<u8> {
        // SAFETY: `used ≤ len`, so the result is inside the mapping, or its end.
        unsafe { self.base.add(self.used) }
    }

    pub(super) fn grow(&mut self, by: usize) -> Result<NonNull<u8>, BreakError> {
        if by > self.len - self.used {
            return Err(BreakError::OutOfMemory);
        }
        let start = self.end();
        self.used += by;
        Ok(start)
    }

    /// # Safety
    ///
    /// The `by` bytes below the end were granted, and are no longer used.
    pub(super) unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let used = self.used.checked_sub(by).ok_or(BreakError::Refused)?;
        // SAFETY: `used < len`, so `start` is inside the mapping, and so is all up to the end. The
        // kernel discards whole pages only, so it refuses a start inside a page.
        let status = errno::preserving(|| unsafe {
            libc::madvise(self.base.add(used).as_ptr().cast(), by, libc::MADV_DONTNEED)
        });
        if status != 0 {
            return Err(BreakError::Refused);
        }
        self.used = used;
        Ok(())
    }
}
