//! An optional break: a heap in a `static` exists before the kernel has read the memory map.

use core::ptr::{NonNull, null_mut};

use super::{Break, BreakError};

/// `None` grants nothing: a heap over it answers out of memory, and serves once the break is set.
// SAFETY: `Some` forwards to a break, which keeps the contract. `None` grants nothing, takes
// nothing back, and returns an error without a change.
unsafe impl<B: Break> Break for Option<B> {
    const ZEROED: bool = B::ZEROED;

    fn granule(&self) -> usize {
        self.as_ref().map_or(1, B::granule)
    }

    fn end(&self) -> *mut u8 {
        self.as_ref().map_or(null_mut(), B::end)
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        self.as_mut().ok_or(BreakError::OutOfMemory)?.grow(by)
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        let brk = self.as_mut().ok_or(BreakError::Refused)?;
        // SAFETY: the caller upholds `shrink` for the `by` bytes below the end of this break.
        unsafe { brk.shrink(by) }
    }
}
