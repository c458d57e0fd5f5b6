//! A break of a process's own.

use core::ptr::{NonNull, null_mut};

use super::{map, page};
use crate::provider::{Break, BreakError};

/// Addresses that a break reserves, in bytes, and the fewest that it tries. They take no memory.
const RESERVED: usize = if usize::BITS == 64 { 1 << 36 } else { 1 << 28 };
const FEWEST: usize = 1 << 24;

/// A break for a process: it reserves 64 GiB of addresses (256 MiB on 32-bit) when it first grows,
/// and moves an end inside; less where the process has a limit of addresses. Linux backs a page
/// when it is first touched.
///
/// It is not the process's own `brk`, which the C library moves without a lock.
///
/// Do not use it for a process that forks and allocates in the child: another thread may have held
/// the heap's lock.
#[derive(Debug)]
pub struct LinuxBreak {
    start: Option<NonNull<u8>>,
    len: usize,
    used: usize,
    page: usize,
}

// SAFETY: the reserve belongs to this value alone.
unsafe impl Send for LinuxBreak {}

impl LinuxBreak {
    /// Returns a break that has reserved nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { start: None, len: 0, used: 0, page: 4096 }
    }

    /// Gives Linux the pages behind free memory. Its addresses stay, and read as zero next.
    ///
    /// # Safety
    ///
    /// The memory is whole pages that a break of this type granted, and its contents are not
    /// needed.
    pub(crate) unsafe fn discard(memory: NonNull<[u8]>) {
        debug_assert!(memory.addr().get() % page() == 0 && memory.len() % page() == 0);
        // SAFETY: this function's clause. If Linux refuses, the pages stay as they are.
        unsafe {
            libc::madvise(memory.cast().as_ptr(), memory.len(), libc::MADV_DONTNEED);
        }
    }

    /// Reserves addresses: the most that the process may have, by halves.
    fn reserve(&mut self) {
        self.page = page();
        self.len = RESERVED;
        while self.start.is_none() && self.len >= FEWEST {
            self.start = map(self.len, libc::PROT_NONE, libc::MAP_NORESERVE);
            if self.start.is_none() {
                self.len /= 2;
            }
        }
    }

    /// Changes the access to `len` bytes above `from` of the reserve.
    fn protect(&self, from: usize, len: usize, access: libc::c_int) -> bool {
        let start = self.start.map_or(null_mut(), NonNull::as_ptr).wrapping_add(from);
        // SAFETY: whole pages of the reserve, which belongs to this value; callers withdraw access
        // only from what the heap has given back.
        unsafe { libc::mprotect(start.cast(), len, access) == 0 }
    }
}

impl Default for LinuxBreak {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: grants are disjoint pages of the reserve, which belongs to this value alone; they are
// readable, writable and zeroed, because pages that are given back lose their contents. Nothing
// changes before the system call that can fail.
unsafe impl Break for LinuxBreak {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        self.page
    }

    fn end(&self) -> *mut u8 {
        self.start.map_or(null_mut(), NonNull::as_ptr).wrapping_add(self.used)
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        if self.start.is_none() {
            self.reserve();
        }
        let start = self.start.ok_or(BreakError::OutOfAddresses)?;
        let by = by.checked_next_multiple_of(self.page).ok_or(BreakError::OutOfAddresses)?;
        if by > self.len - self.used {
            return Err(BreakError::OutOfAddresses);
        }
        if !self.protect(self.used, by, libc::PROT_READ | libc::PROT_WRITE) {
            return Err(BreakError::OutOfMemory);
        }
        // SAFETY: `used ≤ len`, so the result is inside the reserve or one past its end.
        let granted = unsafe { start.add(self.used) };
        self.used += by;
        Ok(NonNull::slice_from_raw_parts(granted, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let used = self.used.checked_sub(by).ok_or(BreakError::OutOfAddresses)?;
        if by % self.page != 0 {
            // The rest of the page would keep its contents.
            return Err(BreakError::Refused);
        }
        let start = self.end().wrapping_sub(by).cast();
        // SAFETY: whole pages, which the caller has given up: this method's clause.
        if unsafe { libc::madvise(start, by, libc::MADV_DONTNEED) } != 0 {
            return Err(BreakError::Refused);
        }
        // Pages that stay accessible are empty all the same.
        let _ = self.protect(used, by, libc::PROT_NONE);
        self.used = used;
        Ok(())
    }
}
