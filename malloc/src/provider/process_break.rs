//! The break of the process, which other code moves as well (C14).
//!
//! ```text
//!   grow   sbrk(+n) ──(refused)──► the reserve, for good: the break has met a mapping or its limit
//! ```
//!
//! The calls go through libc, which caches the position of the break: other callers of `sbrk` see
//! every movement. They are made with the heap locked. Another thread must not call `sbrk` at the
//! same time: libc's `sbrk` is not thread-safe.

use core::ptr::NonNull;

use brkalloc::{Break, BreakError};

use super::reserve::Reserve;
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
}

// SAFETY: one heap owns it, behind a lock; the reserve is owned by this value.
unsafe impl Send for ProcessBreak {}

impl ProcessBreak {
    pub(crate) const fn new() -> Self {
        Self { highest: 0, reserve: None }
    }

    fn end_of_process(&self) -> *mut u8 {
        // SAFETY: an increment of 0 does not move the break.
        let end = errno::preserving(|| unsafe { libc::sbrk(0) }).cast::<u8>();
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
        if start.addr() == usize::MAX {
            return Err(BreakError::OutOfMemory);
        }
        self.highest = start.addr() + by;
        NonNull::new(start.cast()).ok_or(BreakError::OutOfMemory)
    }

    /// Switches to a reserve above all memory of the heap, whose regions are in ascending order.
    #[cold]
    fn begin_reserve(&mut self, by: usize) -> Result<NonNull<u8>, BreakError> {
        let mut reserve = Reserve::above(self.end_of_process().addr(), by)?;
        let start = reserve.grow(by)?;
        self.reserve = Some(reserve);
        Ok(start)
    }
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
        let start = match &mut self.reserve {
            Some(reserve) => reserve.grow(by)?,
            None => self.grow_process(by).or_else(|_| self.begin_reserve(by))?,
        };
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        if let Some(reserve) = &mut self.reserve {
            // SAFETY: this method's own clause.
            return unsafe { reserve.shrink(by) };
        }
        let step = isize::try_from(by).map_err(|_| BreakError::Refused)?;
        // SAFETY: the bytes below the break were granted and are no longer used.
        let before = errno::preserving(|| unsafe { libc::sbrk(-step) });
        if before.addr() == usize::MAX {
            return Err(BreakError::Refused);
        }
        self.highest = before.addr() - by;
        Ok(())
    }
}
