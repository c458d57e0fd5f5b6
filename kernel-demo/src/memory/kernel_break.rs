//! The kernel's breaks, for a heap ([`KernelBreak`]) and by hand ([`RawBreak`]).
//!
//! All of them are handles on a break of the memory manager. A handle holds no state, so it does
//! not matter how many there are and who moves the break between two calls of another.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use brkalloc::{Break, BreakError};

use super::{BreakId, BreakInfo, Policy, with};
use crate::address_space::MoveError;
use crate::words::layout::PAGE_SIZE;

/// `sbrk`, for one break.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawBreak(BreakId);

impl RawBreak {
    /// The first address that is not granted: `sbrk(0)`.
    ///
    /// # Panics
    ///
    /// When the break is not in use any more. So do the other methods.
    pub fn position(self) -> u64 {
        self.info().end
    }

    /// Everything about the break.
    pub fn info(self) -> BreakInfo {
        with(|memory| memory.break_info(self.0)).expect("the break is in use")
    }

    /// The name of its region.
    pub const fn name(self) -> &'static str {
        self.0.name()
    }

    /// Moves the break by so many bytes, up or down, and returns where it was.
    ///
    /// # Errors
    ///
    /// Says why the break stays where it is. Nothing has changed.
    ///
    /// # Safety
    ///
    /// Nobody uses the memory that a negative step takes away.
    pub unsafe fn sbrk(self, by: isize) -> Result<u64, MoveError> {
        with(|memory| {
            let end = memory.break_info(self.0).expect("the break is in use").end;
            let overflow = if by < 0 { MoveError::BelowBase } else { MoveError::BeyondLimit };
            memory.move_break(self.0, end.checked_add_signed(by as i64).ok_or(overflow)?)
        })
    }
}

/// A break of the kernel, for a heap; released when dropped, with all that was mapped in it.
pub struct KernelBreak(BreakId);

impl KernelBreak {
    /// The handle for the kernel's own heap, its only user.
    pub(crate) const fn of_kernel_heap() -> Self {
        Self(BreakId::KERNEL_HEAP)
    }

    /// Claims a break that nobody uses, for an experiment; it stands at its base. `None` when all
    /// are in use.
    pub fn claim(policy: Policy) -> Option<Self> {
        with(|memory| BreakId::scratch().find(|id| memory.claim_break(*id, policy)).map(Self))
    }

    /// The same break by hand: for looking at it, and for playing somebody else who moves it. Valid
    /// until it is released.
    pub const fn raw(&self) -> RawBreak {
        RawBreak(self.0)
    }
}

impl Drop for KernelBreak {
    fn drop(&mut self) {
        with(|memory| memory.release_break(self.0));
    }
}

// SAFETY: the memory manager grants each address of a break once until it is taken back, backs it
// with zeroed memory on first touch, and changes nothing when it refuses. A break has `isize::MAX`
// addresses at most.
unsafe impl Break for KernelBreak {
    const ZEROED: bool = true;

    fn granule(&self) -> usize {
        PAGE_SIZE as usize
    }

    fn end(&self) -> *mut u8 {
        ptr::with_exposed_provenance_mut(self.raw().position() as usize)
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let by_signed = isize::try_from(by).map_err(|_| BreakError::OutOfAddresses)?;
        // SAFETY: the step is not negative.
        let start = unsafe { self.raw().sbrk(by_signed) }?;
        let start = NonNull::new(ptr::with_exposed_provenance_mut(start as usize));
        Ok(NonNull::slice_from_raw_parts(start.ok_or(BreakError::Refused)?, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let by = isize::try_from(by).map_err(|_| BreakError::OutOfAddresses)?;
        // SAFETY: the caller no longer uses these bytes.
        unsafe { self.raw().sbrk(-by) }?;
        Ok(())
    }
}
