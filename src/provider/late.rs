//! Late initialisation: a heap in a `static` exists before the kernel has read the memory map.

use core::ptr::{NonNull, null_mut};

use super::fixed::InitError;
use super::{Break, BreakError, FixedBreak};
use crate::sealed::Sealed;

/// A break that can be unset at first and set once: [`FixedBreak`], or an `Option` of any break.
///
/// A heap over an unset break answers out of memory, except from regions that were added to it.
/// [`Locked::empty`](crate::Locked::empty) and [`Locked::init`](crate::Locked::init) use this
/// trait. It is sealed: a kernel whose own break is known late uses `Option` of that break.
///
/// ```
/// use brkalloc::{FixedBreak, InitError, LateBreak};
///
/// let mut brk = FixedBreak::UNSET;
/// let [first, second] = [(); 2].map(|()| FixedBreak::from_array(Box::leak(Box::new([0; 4096]))));
/// assert!(brk.is_unset());
/// brk.set(first).unwrap();
/// assert_eq!(brk.set(second), Err(InitError::AlreadyInitialized));
/// ```
#[diagnostic::on_unimplemented(
    message = "the break `{Self}` cannot be set late",
    note = "late initialisation takes `FixedBreak`, or `Option` of a break of your own"
)]
pub trait LateBreak: Break + Sealed + Sized {
    /// The break that [`set`](LateBreak::set) takes.
    type Inner: Break + Into<Self>;

    /// The break before it is set: it grants nothing.
    const UNSET: Self;

    /// `true` until a break is set.
    fn is_unset(&self) -> bool;

    /// Sets the break.
    ///
    /// # Errors
    ///
    /// [`InitError::AlreadyInitialized`] if a break is set. That break stays.
    fn set(&mut self, brk: Self::Inner) -> Result<(), InitError> {
        if !self.is_unset() {
            return Err(InitError::AlreadyInitialized);
        }
        *self = brk.into();
        Ok(())
    }
}

impl Sealed for FixedBreak {}

impl LateBreak for FixedBreak {
    type Inner = Self;

    const UNSET: Self = Self::EMPTY;

    fn is_unset(&self) -> bool {
        self.base().is_null()
    }
}

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

    fn remaining(&self) -> usize {
        self.as_ref().map_or(0, B::remaining)
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

impl<B: Break> Sealed for Option<B> {}

impl<B: Break> LateBreak for Option<B> {
    type Inner = B;

    const UNSET: Self = None;

    fn is_unset(&self) -> bool {
        self.is_none()
    }
}
