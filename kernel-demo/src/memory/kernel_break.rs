//! The kernel's breaks, for a heap ([`KernelBreak`], [`ScratchBreak`]) and by hand ([`RawBreak`]).
//!
//! All of them are handles on a break of the memory manager. A handle holds no state, so it does
//! not matter how many there are and who moves the break between two calls of another.
#![allow(unsafe_code)]

use core::ptr::{self, NonNull};

use brkalloc::{Break, BreakError};

use super::layout::PAGE_SIZE;
use super::{BreakId, BreakInfo, MoveError, Policy, with};

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

    fn grow(self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let by_signed = isize::try_from(by).map_err(|_| BreakError::OutOfAddresses)?;
        // SAFETY: the step is not negative.
        let start = unsafe { self.sbrk(by_signed) }?;
        let start = NonNull::new(ptr::with_exposed_provenance_mut(start as usize))
            .ok_or(BreakError::Refused)?;
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    /// # Safety
    ///
    /// Nobody uses the `by` bytes below the break.
    unsafe fn shrink(self, by: usize) -> Result<(), BreakError> {
        let by_signed = isize::try_from(by).map_err(|_| BreakError::OutOfAddresses)?;
        // SAFETY: the caller says so.
        unsafe { self.sbrk(-by_signed) }?;
        Ok(())
    }
}

/// The break of the kernel's own heap.
pub struct KernelBreak {
    _made_here: (),
}

impl KernelBreak {
    /// The handle for the kernel's heap, its only user.
    pub(crate) const fn kernel_heap() -> Self {
        Self { _made_here: () }
    }

    /// The same break by hand.
    pub const fn raw(&self) -> RawBreak {
        RawBreak(BreakId::KERNEL_HEAP)
    }
}

/// A break for an experiment: released when dropped, with all that was mapped in it.
pub struct ScratchBreak(BreakId);

impl ScratchBreak {
    /// Claims a break that nobody uses; it stands at its base. `None` when all are in use.
    pub fn claim(policy: Policy) -> Option<Self> {
        with(|memory| BreakId::scratch().find(|id| memory.claim_break(*id, policy)).map(Self))
    }

    /// The same break by hand: for looking at it, and for playing somebody else who moves it. Valid
    /// until it is released.
    pub const fn raw(&self) -> RawBreak {
        RawBreak(self.0)
    }
}

impl Drop for ScratchBreak {
    fn drop(&mut self) {
        with(|memory| memory.release_break(self.0));
    }
}

/// Implements [`Break`] for a handle with a method `raw`.
macro_rules! impl_break {
    ($handle:ty) => {
        // SAFETY: the memory manager grants each address of a break once until it is taken back,
        // backs it with zeroed memory on first touch, and changes nothing when it refuses. A break
        // has `isize::MAX` addresses at most.
        unsafe impl Break for $handle {
            const ZEROED: bool = true;

            fn granule(&self) -> usize {
                PAGE_SIZE as usize
            }

            fn end(&self) -> *mut u8 {
                ptr::with_exposed_provenance_mut(self.raw().position() as usize)
            }

            fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
                self.raw().grow(by)
            }

            unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
                // SAFETY: the caller no longer uses these bytes.
                unsafe { self.raw().shrink(by) }
            }
        }
    };
}

impl_break!(KernelBreak);
impl_break!(ScratchBreak);
