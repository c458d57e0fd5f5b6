//! The break of the process, which other code moves as well (C14).
//!
//! ```text
//!   grow   sbrk(+n) ──(refused)──► a reserve, for good: the break has met a mapping or its limit
//!          reserve  ──(used up)──► another one, above it
//! ```
//!
//! The calls go through libc, which caches the position of the break: other callers of `sbrk` see
//! every movement. They are made with the heap locked. Another thread must not call `sbrk` at the
//! same time: libc's `sbrk` is not thread-safe.

use core::ptr::{self, NonNull};

use brkalloc::{Break, BreakError};

use super::refusal::{self, Refusal};
use super::reserve::Reserve;
use super::{figures, mappings};
use crate::request::PAGE;
use crate::{errno, report};

/// The break of the process, then the reserve.
///
/// # Invariants
///
/// `highest` is the position of the break after its last movement by this value.
#[derive(Debug)]
pub(crate) struct ProcessBreak {
    highest: usize,
    reserve: Option<Reserve>,
    refusal: Refusal,
}

// SAFETY: one heap owns it, behind a lock; the reserve is owned by this value.
unsafe impl Send for ProcessBreak {}

impl ProcessBreak {
    pub(crate) const fn new() -> Self {
        Self { highest: 0, reserve: None, refusal: Refusal::new() }
    }

    /// Returns the break of the process; `highest` if the kernel does not tell it.
    fn end_of_process(&self) -> *mut u8 {
        let end = position();
        if end.addr() > isize::MAX as usize {
            return ptr::without_provenance_mut(self.highest);
        }
        if end.addr() < self.highest {
            report::die(format_args!(
                "the program moved the break down to {end:p}, below memory in use up to {:#x}",
                self.highest
            ));
        }
        end
    }

    fn grow_process(&mut self, by: usize) -> Result<NonNull<u8>, BreakError> {
        let step = isize::try_from(by).map_err(|_| BreakError::OutOfMemory)?;
        // SAFETY: moves the break up, over unused addresses.
        let start = errno::preserving(|| unsafe { libc::sbrk(step) });
        let end = start.addr().wrapping_add(by);
        // If a filter of system calls answers, libc takes its error number for the new break.
        if start.addr() == usize::MAX || position().addr() != end {
            return Err(BreakError::OutOfMemory);
        }
        self.highest = end;
        NonNull::new(start.cast()).ok_or(BreakError::OutOfMemory)
    }

    /// # Safety
    ///
    /// The bytes below the break were granted, and are no longer used.
    unsafe fn shrink_process(&mut self, by: usize) -> Result<(), BreakError> {
        let step = isize::try_from(by).map_err(|_| BreakError::Refused)?;
        // SAFETY: this method's own clause.
        let before = errno::preserving(|| unsafe { libc::sbrk(-step) });
        if before.addr() == usize::MAX || position().addr() != before.addr() - by {
            return Err(BreakError::Refused);
        }
        self.highest = before.addr() - by;
        Ok(())
    }

    /// Switches to a reserve above all memory of the heap, whose regions are in ascending order.
    #[cold]
    fn begin_reserve(&mut self, by: usize) -> Result<NonNull<u8>, BreakError> {
        if mappings::is_refused(by) {
            return Err(BreakError::OutOfMemory);
        }
        let reserve = Reserve::above(self.end().addr(), by);
        self.reserve.insert(reserve).grow(by)
    }

    fn grow_anywhere(&mut self, by: usize) -> Result<NonNull<u8>, BreakError> {
        let grown = match &mut self.reserve {
            Some(reserve) => reserve.grow(by),
            None => self.grow_process(by).map_err(|_| BreakError::OutOfAddresses),
        };
        match grown {
            Err(BreakError::OutOfAddresses) => self.begin_reserve(by),
            grown => grown,
        }
    }
}

/// Returns the position of the break that libc knows.
pub(crate) fn position() -> *mut u8 {
    // SAFETY: an increment of 0 does not move the break.
    errno::preserving(|| unsafe { libc::sbrk(0) }).cast()
}

// SAFETY: a grant lies between the old and the new break of the process, or in the reserve, which
// is mapped for this value alone; both are readable, writable, zeroed, and not used by other code.
unsafe impl Break for ProcessBreak {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE
    }

    fn end(&self) -> *mut u8 {
        match &self.reserve {
            Some(reserve) => reserve.end().as_ptr(),
            None => self.end_of_process(),
        }
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        if self.refusal.includes(by) {
            return Err(BreakError::OutOfMemory);
        }
        let start = self.grow_anywhere(by).inspect_err(|_| self.refusal.note(by))?;
        figures::BREAK.rise(by);
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        refusal::forget();
        match &mut self.reserve {
            // SAFETY: this method's own clause.
            Some(reserve) => unsafe { reserve.shrink(by) },
            // SAFETY: this method's own clause.
            None => unsafe { self.shrink_process(by) },
        }?;
        figures::BREAK.fall(by);
        Ok(())
    }
}
