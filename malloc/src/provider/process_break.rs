//! The break of the process, which others move as well (C14).
//!
//! ```text
//!   grow   sbrk(+n) ──(refused)──► the reserve, for good: the break of the process has come up to something, or to its limit
//! ```
//!
//! The calls are libc's, because libc remembers where the break is: who calls `sbrk` elsewhere is
//! told the truth. They are made with the heap locked. Who calls `sbrk` in another thread at the
//! same moment must not: libc's `sbrk` cannot do that, whoever calls it.

use core::ptr::NonNull;

use super::Refused;
use super::reserve::Reserve;
use crate::{errno, report};

/// # Invariants
///
/// `highest`: where the break stood when it was moved here last
#[derive(Debug)]
pub(crate) struct ProcessBreak {
    highest: usize,
    reserve: Option<Reserve>,
}

// SAFETY: there is one heap over it, behind a lock; the reserve is this value's alone.
unsafe impl Send for ProcessBreak {}

impl ProcessBreak {
    pub(crate) const fn new() -> Self {
        Self { highest: 0, reserve: None }
    }

    pub(super) fn end(&self) -> *mut u8 {
        match &self.reserve {
            Some(reserve) => reserve.end().as_ptr(),
            None => self.end_of_process(),
        }
    }

    fn end_of_process(&self) -> *mut u8 {
        // SAFETY: moves nothing.
        let end = errno::unchanged(|| unsafe { libc::sbrk(0) }).cast::<u8>();
        if end.addr() < self.highest {
            report::die(format_args!(
                "somebody moved the break down to {end:p}, below memory that is in use up to {:#x}",
                self.highest
            ));
        }
        end
    }

    pub(super) fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, Refused> {
        let start = match &mut self.reserve {
            Some(reserve) => reserve.grow(by)?,
            None => match self.grow_process(by) {
                Ok(start) => start,
                Err(Refused) => self.begin_reserve(by)?,
            },
        };
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    fn grow_process(&mut self, by: usize) -> Result<NonNull<u8>, Refused> {
        let step = isize::try_from(by).map_err(|_| Refused)?;
        // SAFETY: moves the break up: what lies above it is nobody's.
        let start = errno::unchanged(|| unsafe { libc::sbrk(step) });
        if start.addr() == usize::MAX {
            return Err(Refused);
        }
        self.highest = start.addr() + by;
        NonNull::new(start.cast()).ok_or(Refused)
    }

    /// The heap's next memory, and all from then on, lies above what it has: its regions are in
    /// ascending order.
    #[cold]
    fn begin_reserve(&mut self, by: usize) -> Result<NonNull<u8>, Refused> {
        let mut reserve = Reserve::above(self.end_of_process().addr(), by)?;
        let start = reserve.grow(by)?;
        self.reserve = Some(reserve);
        Ok(start)
    }

    /// # Safety
    ///
    /// The `by` bytes below the end were granted, and nobody uses them any more.
    pub(super) unsafe fn shrink(&mut self, by: usize) -> Result<(), Refused> {
        if let Some(reserve) = &mut self.reserve {
            // SAFETY: the caller's promise.
            return unsafe { reserve.shrink(by) };
        }
        let step = isize::try_from(by).map_err(|_| Refused)?;
        // SAFETY: the caller's promise.
        let before = errno::unchanged(|| unsafe { libc::sbrk(-step) });
        if before.addr() == usize::MAX {
            return Err(Refused);
        }
        self.highest = before.addr() - by;
        Ok(())
    }
}
