//! A break that moves inside one fixed piece of memory.

use core::ptr::NonNull;

use super::{Break, BreakError};

/// A break over a fixed region: a static array, or a range that a boot loader left free.
///
/// The heap on it behaves as on any other break, up to the region's end: what it has not asked for
/// yet is untouched, and what it gives back can be granted again.
///
/// # Invariants
///
/// * `used ≤ len`; the break is at `base + used`
/// * `[base, base + len)` is this value's alone, and does not wrap
#[derive(Debug)]
pub struct FixedBreak {
    base: NonNull<u8>,
    len: usize,
    used: usize,
}

// SAFETY: the region is this value's alone, so it may move to another thread together with the
// value.
unsafe impl Send for FixedBreak {}

impl FixedBreak {
    /// A break over the `len` bytes at `base`. It starts at `base`, with nothing granted.
    ///
    /// # Panics
    ///
    /// If `base` is null, or the region is longer than `isize::MAX` bytes (in a `static`: a
    /// compile-time error).
    ///
    /// # Safety
    ///
    /// The region is valid for reads and writes and is used by nobody else for as long as this
    /// value, or anything that was granted by it, is in use.
    #[must_use]
    pub const unsafe fn from_raw(base: *mut u8, len: usize) -> Self {
        assert!(len <= isize::MAX as usize, "a region of more than isize::MAX bytes");
        match NonNull::new(base) {
            Some(base) => Self { base, len, used: 0 },
            None => panic!("a region at address null"),
        }
    }

    /// A break over an array that lives for ever.
    #[must_use]
    pub const fn from_array<const N: usize>(array: &'static mut [u8; N]) -> Self {
        // SAFETY: an exclusive reference for ever is what `from_raw` asks for.
        unsafe { Self::from_raw(array.as_mut_ptr(), N) }
    }

    /// Bytes that can still be granted.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.len - self.used
    }
}

// SAFETY: grants are disjoint parts of the region, which is this value's alone: `used` only moves
// past what is granted, and back by what the caller gives up. Both methods check before they change
// anything.
unsafe impl Break for FixedBreak {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        4096
    }

    fn end(&self) -> *mut u8 {
        self.base.as_ptr().wrapping_add(self.used)
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        if by > self.remaining() {
            return Err(BreakError::OutOfAddresses);
        }
        // SAFETY: `used ≤ len`, so the result is inside the region or one past its end.
        let start = unsafe { self.base.add(self.used) };
        self.used += by;
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        self.used = self.used.checked_sub(by).ok_or(BreakError::OutOfAddresses)?;
        Ok(())
    }
}
