//! A break that may not be there yet: a heap in a `static` is there before the memory map has been
//! read.

use core::ptr::{NonNull, null_mut};

use super::{Break, BreakError};

/// Without a break nothing is granted: a heap over `None` answers that it is out of memory, and
/// serves once the break is there.
// SAFETY: a break that is there keeps the promises; `None` grants nothing.
unsafe impl<B: Break> Break for Option<B> {
    const ZEROED: bool = B::ZEROED;
    const SCATTERED: bool = B::SCATTERED;

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
        // SAFETY: the caller's promise.
        unsafe { brk.shrink(by) }
    }

    unsafe fn give_back(&mut self, piece: NonNull<[u8]>) {
        if let Some(brk) = self {
            // SAFETY: the caller's promise.
            unsafe { brk.give_back(piece) };
        }
    }
}
