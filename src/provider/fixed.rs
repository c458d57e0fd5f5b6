//! A break that moves inside one fixed region.

use core::ptr::{NonNull, null_mut};

use super::{Break, BreakError};
use crate::texts::texts;

/// A break over a fixed region: a static array, or a range that a boot loader left free.
///
/// The heap leaves memory above the break untouched. Memory that the heap gives back can be granted
/// again.
///
/// ```
/// use brkalloc::FixedBreak;
///
/// let memory = Box::leak(Box::new([0; 4096]));
/// let base = memory.as_mut_ptr();
/// let brk = FixedBreak::from_array(memory);
/// assert_eq!((brk.base(), brk.len(), brk.remaining()), (base, 4096, 4096));
/// ```
///
/// # Invariants
///
/// * `used ≤ len`; the break is at `base + used`
/// * `base = None ⟹ len = 0`: the break is unset
/// * `[base, base + len)` belongs to this value alone, and does not wrap
#[derive(Debug, Default)]
pub struct FixedBreak {
    base: Option<NonNull<u8>>,
    len: usize,
    used: usize,
}

// SAFETY: the region belongs to this value alone, and the value has no other shared state, so both
// can move to another thread.
unsafe impl Send for FixedBreak {}

#[allow(clippy::len_without_is_empty, reason = "`EMPTY` is one value, not every region of 0 bytes")]
impl FixedBreak {
    /// A break without a region, for a heap in a `static` that is
    /// [initialised](crate::Locked::init) later. It grants nothing.
    pub const EMPTY: Self = Self { base: None, len: 0, used: 0 };

    /// Returns a break over the `len` bytes at `base`. It starts at `base`, with nothing granted.
    ///
    /// # Panics
    ///
    /// If `base` is null, or if the region is longer than `isize::MAX` bytes (in a `static`: a
    /// compile-time error). [`try_from_raw`](FixedBreak::try_from_raw) returns an error instead.
    ///
    /// # Safety
    ///
    /// The region is valid for reads and writes and does not wrap around the address space. Nothing
    /// else uses it as long as this value, or a block in memory that it granted, is in use.
    #[must_use]
    pub const unsafe fn from_raw(base: *mut u8, len: usize) -> Self {
        assert!(len <= isize::MAX as usize, "a region of more than isize::MAX bytes");
        match NonNull::new(base) {
            Some(base) => Self { base: Some(base), len, used: 0 },
            None => panic!("a region at address null"),
        }
    }

    /// Returns a break over the `len` bytes at `base`, if they can be a region.
    ///
    /// # Errors
    ///
    /// `base` is null, the region is longer than `isize::MAX` bytes, or it wraps around the address
    /// space.
    ///
    /// # Safety
    ///
    /// If the region is neither at null nor too long nor wraps: as for
    /// [`from_raw`](FixedBreak::from_raw).
    pub unsafe fn try_from_raw(base: *mut u8, len: usize) -> Result<Self, InitError> {
        let base = NonNull::new(base).ok_or(InitError::Null)?;
        if isize::try_from(len).is_err() {
            return Err(InitError::TooLong);
        }
        if base.addr().checked_add(len).is_none() {
            return Err(InitError::Wraps);
        }
        Ok(Self { base: Some(base), len, used: 0 })
    }

    /// Returns a break over an array that lives forever.
    #[must_use]
    pub const fn from_array<const N: usize>(array: &'static mut [u8; N]) -> Self {
        // SAFETY: an exclusive reference with lifetime `'static` is valid for reads and writes,
        // does not wrap, and excludes other uses.
        unsafe { Self::from_raw(array.as_mut_ptr(), N) }
    }

    /// Returns the start of the region; null if the break is [`EMPTY`](FixedBreak::EMPTY).
    #[must_use]
    pub const fn base(&self) -> *mut u8 {
        match self.base {
            Some(base) => base.as_ptr(),
            None => null_mut(),
        }
    }

    /// Returns the length of the region, in bytes: granted memory and the rest.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns the bytes that can still be granted.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.len - self.used
    }
}

// SAFETY: grants are disjoint parts of the region, which belongs to this value alone: `used` moves
// up past the granted bytes, and down by the bytes that the caller gives up. Both methods return an
// error before they change anything.
unsafe impl Break for FixedBreak {
    const ZEROED: bool = false;

    fn granule(&self) -> usize {
        4096
    }

    fn end(&self) -> *mut u8 {
        self.base().wrapping_add(self.used)
    }

    fn remaining(&self) -> usize {
        self.remaining()
    }

    fn grow(&mut self, by: usize) -> Result<NonNull<[u8]>, BreakError> {
        let base = self.base.ok_or(BreakError::OutOfMemory)?;
        if by > self.remaining() {
            return Err(BreakError::OutOfAddresses);
        }
        // SAFETY: `used ≤ len`, so the result is inside the region or one past its end.
        let start = unsafe { base.add(self.used) };
        self.used += by;
        Ok(NonNull::slice_from_raw_parts(start, by))
    }

    unsafe fn shrink(&mut self, by: usize) -> Result<(), BreakError> {
        self.used = self.used.checked_sub(by).ok_or(BreakError::OutOfAddresses)?;
        Ok(())
    }
}

texts! {
    /// Cause of a failed late initialisation. The heap has not changed.
    pub enum InitError;

    /// The heap has a break.
    AlreadyInitialized = "the heap is initialised already",
    /// The region begins at address null.
    Null = "a region at address null",
    /// The region is longer than `isize::MAX` bytes.
    TooLong = "a region of more than isize::MAX bytes",
    /// The region wraps around the address space.
    Wraps = "a region that wraps around the address space",
}

impl core::error::Error for InitError {}
