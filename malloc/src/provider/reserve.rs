//! A break of our own, for when that of the process cannot move: in addresses that are mapped for
//! nothing else.

use core::ptr::NonNull;

use super::mappings::map_anonymous;
use super::{Mappings, Refused};
use crate::errno;

/// Lengths to ask for, in bytes: addresses cost nothing, unless they are limited.
const LENGTHS: [usize; 4] = [64 << 30, 4 << 30, 256 << 20, 16 << 20];

/// Reserved addresses, of which the lower part is granted.
///
/// # Invariants
///
/// * `[base, base + len)` is one mapping of this value's; `used ≤ len`
/// * what lies above `base + used` is zero when it is granted
#[derive(Debug)]
pub(super) struct Reserve {
    base: NonNull<u8>,
    len: usize,
    used: usize,
}

impl Reserve {
    /// Reserves addresses, all above `lowest`, for `least` bytes or more.
    pub(super) fn above(lowest: usize, least: usize) -> Result<Self, Refused> {
        let mut lengths = LENGTHS.into_iter().filter(|&len| len >= least);
        lengths.find_map(|len| Self::of(len, lowest).ok()).ok_or(Refused)
    }

    fn of(len: usize, lowest: usize) -> Result<Self, Refused> {
        let base = map_anonymous(len, libc::PROT_READ | libc::PROT_WRITE, libc::MAP_NORESERVE)?;
        if base.addr().get() > lowest {
            return Ok(Self { base, len, used: 0 });
        }
        // SAFETY: a new mapping that nobody has seen.
        unsafe { Mappings.unmap(base, len) }?;
        Err(Refused)
    }

    pub(super) fn end(&self) -> NonNull<u8> {
        // SAFETY: inside the mapping, or its end.
        unsafe { self.base.add(self.used) }
    }

    pub(super) fn grow(&mut self, by: usize) -> Result<NonNull<u8>, Refused> {
        if by > self.len - self.used {
            return Err(Refused);
        }
        let start = self.end();
        self.used += by;
        Ok(start)
    }

    /// # Safety
    ///
    /// The `by` bytes below the end were granted, and nobody uses them any more.
    pub(super) unsafe fn shrink(&mut self, by: usize) -> Result<(), Refused> {
        let used = self.used.checked_sub(by).ok_or(Refused)?;
        // SAFETY: inside the mapping.
        let start = unsafe { self.base.add(used) };
        // SAFETY: nobody uses it. Of what is not a whole page the kernel forgets nothing, so it
        // refuses if `start` is not aligned to one.
        let status = errno::unchanged(|| unsafe {
            libc::madvise(start.as_ptr().cast(), by, libc::MADV_DONTNEED)
        });
        if status != 0 {
            return Err(Refused);
        }
        self.used = used;
        Ok(())
    }
}
