//! A second break, in reserved addresses, for a process whose own break cannot move.
//!
//! ```text
//!   base              granted: readable, writable           reserved: no access
//!   ├──────────────────────────────────────────────────────┼───────────────────────────────────┤
//! ```
//!
//! Reserved addresses have no access, so they cost no memory, not even where the process locks its
//! memory, and do not count where the system limits what it commits.

use core::ffi::c_int;
use core::ptr::{self, NonNull};

use brkalloc::{Break, BreakError};

use super::mappings::{self, map_anonymous};
use crate::errno;
use crate::request::PAGE;

/// Length of the reservation if the system allows it, in bytes.
const LEN: usize = 64 << 30;

/// Distances above the lowest address at which the kernel is asked to place a reservation, in
/// bytes: in some processes it places mappings below the break otherwise.
const DISTANCES: [usize; 3] = [1 << 30, 1 << 36, 1 << 42];

/// Reserved addresses, of which the lower part is granted.
///
/// # Invariants
///
/// * `[base, base + len)` is mapped, and owned by this value; `used ≤ len`
/// * if `len` is 0, the reserve has no addresses; they will lie above `base`, which is not the end
///   of other memory of the heap: no request can shrink that
/// * memory above `base + used` has no access, and reads as zero when it is granted
#[derive(Debug)]
pub(super) struct Reserve {
    base: NonNull<u8>,
    len: usize,
    used: usize,
}

impl Reserve {
    /// Reserves at least `least` bytes of addresses, all above `lowest`, if the system allows it;
    /// else none, until there is more.
    pub(super) fn above(lowest: usize, least: usize) -> Self {
        let mut lengths = [LEN, least.div_ceil(PAGE).saturating_mul(PAGE)].into_iter();
        lengths.find_map(|len| Self::with_len(len, lowest)).unwrap_or_else(|| {
            let base = ptr::without_provenance_mut(lowest.saturating_add(1));
            Self { base: NonNull::new(base).unwrap_or(NonNull::dangling()), len: 0, used: 0 }
        })
    }

    fn with_len(len: usize, lowest: usize) -> Option<Self> {
        for distance in DISTANCES {
            let hint = lowest.next_multiple_of(PAGE).checked_add(distance)?;
            // An error: the kernel refuses this length anywhere.
            let base = reserve(hint, len, 0).ok()?;
            if base.addr().get() > lowest {
                return Some(Self { base, len, used: 0 });
            }
            // SAFETY: the mapping is new and not used. If unmapping fails, its addresses are lost.
            unsafe { mappings::unmap(base, len) };
        }
        None
    }

    pub(super) fn end(&self) -> NonNull<u8> {
        // SAFETY: `used ≤ len`, so the result is inside the mapping, or its end.
        unsafe { self.base.add(self.used) }
    }

    /// # Errors
    ///
    /// `OutOfAddresses` if the reserve ends, and the addresses behind it are in use;
    /// `OutOfMemory` if the system has no more memory, or addresses.
    pub(super) fn grow(&mut self, by: usize) -> Result<NonNull<u8>, BreakError> {
        if mappings::is_refused(by) {
            return Err(BreakError::OutOfMemory);
        }
        self.extend(by)?;
        let start = self.end();
        if !permit(start, by) {
            mappings::note_refused(by);
            return Err(BreakError::OutOfMemory);
        }
        self.used += by;
        Ok(start)
    }

    /// Reserves more addresses behind the reserve, unless it has `by` bytes that are not granted.
    fn extend(&mut self, by: usize) -> Result<(), BreakError> {
        let more = by.saturating_sub(self.len - self.used).div_ceil(PAGE).saturating_mul(PAGE);
        if more > 0 && self.len == 0 {
            *self = Self::with_len(more, self.base.addr().get()).ok_or(BreakError::OutOfMemory)?;
        } else if more > 0 {
            let end = self.base.addr().get() + self.len;
            reserve(end, more, libc::MAP_FIXED_NOREPLACE).map_err(|error| match error {
                libc::EEXIST => BreakError::OutOfAddresses,
                _ => BreakError::OutOfMemory,
            })?;
            self.len += more;
        }
        Ok(())
    }

    /// # Safety
    ///
    /// The `by` bytes below the end were granted, and are no longer used.
    pub(super) unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let used = self.used.checked_sub(by).ok_or(BreakError::Refused)?;
        // SAFETY: `used < len`, so `start` is inside the mapping.
        let start = unsafe { self.base.add(used) };
        // The kernel refuses a start inside a page.
        if self.len < LEN {
            // Addresses are limited, so they go back, too.
            // SAFETY: all from `start` on is this reserve's, and not used.
            if !unsafe { mappings::unmap(start, self.len - used) } {
                return Err(BreakError::Refused);
            }
            self.len = used;
        } else {
            // A mapping without access takes the place of the pages.
            reserve(start.addr().get(), by, libc::MAP_FIXED).map_err(|_| BreakError::Refused)?;
        }
        self.used = used;
        Ok(())
    }
}

/// Maps addresses without access. With `MAP_FIXED`, they are a reserve's own.
pub(super) fn reserve(place: usize, len: usize, flags: c_int) -> Result<NonNull<u8>, c_int> {
    let start = map_anonymous(place, len, libc::PROT_NONE, libc::MAP_NORESERVE | flags)?;
    if flags & libc::MAP_FIXED_NOREPLACE != 0 && start.addr().get() != place {
        // An old kernel does not know the flag.
        // SAFETY: the mapping is new and not used. If unmapping fails, its addresses are lost.
        unsafe { mappings::unmap(start, len) };
        return Err(libc::EEXIST);
    }
    Ok(start)
}

/// Makes the pages of a reserve that hold these bytes readable and writable.
pub(super) fn permit(start: NonNull<u8>, len: usize) -> bool {
    let before = start.addr().get() % PAGE;
    let Some(pages) = (before + len).checked_next_multiple_of(PAGE) else { return false };
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: the pages are a reserve's own.
    let status = errno::preserving(|| unsafe {
        libc::mprotect(start.as_ptr().wrapping_sub(before).cast(), pages, protection)
    });
    status == 0
}

/// A reserve that begins with the first grant, as the only break of a heap.
#[derive(Debug)]
pub(crate) struct ReservedBreak(Option<Reserve>);

impl ReservedBreak {
    pub(crate) const fn new() -> Self {
        Self(None)
    }
}

// SAFETY: one heap owns it, behind a lock; the reserve is owned by this value.
unsafe impl Send for ReservedBreak {}

// SAFETY: a grant lies in the reserve, which is mapped for this value alone; it is readable,
// writable, zeroed, and not used by other code.
unsafe impl Break for ReservedBreak {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    fn end(&self) -> *mut u8 {
        self.0.as_ref().map_or(ptr::null_mut(), |reserve| reserve.end().as_ptr())
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let reserve = match &mut self.0 {
            Some(reserve) => reserve,
            none => none.insert(Reserve::above(0, by)),
        };
        Ok(NonNull::slice_from_raw_parts(reserve.grow(by)?, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        // SAFETY: this method's own clause.
        self.0.as_mut().map_or(Err(BreakError::Refused), |reserve| unsafe { reserve.shrink(by) })
    }
}
