//! Breaks: the kernel's, and a process's. A break is an area whose end moves; a few fields change,
//! and that is all. Pages appear when they are touched.
//!
//! ```text
//!   base                 end            high water              limit
//!    │                    │                  │                    │
//!    ▼▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▼                  ▼                    ▼
//!    ├──── the area ──────┼── given back ────┼── never reached ───┤
//!      pages appear on      a touch is a       a touch is a
//!      first touch          fault              fault
//! ```
//!
//! The end is a byte address. The page it lies in belongs to the area as a whole.

use core::fmt;

use brkalloc::BreakError;

use super::{AddressSpace, AreaKind, Backing, Errno, Storage, Vma};
use crate::words::layout::{PAGE_SIZE, page_ceil};
use crate::words::{OutOfFrames, Permissions};

/// The fields of a break.
///
/// # Invariants
///
/// `base ≤ end ≤ high_water ≤ limit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Break {
    /// First address.
    pub base: u64,
    /// First byte that is not granted.
    pub end: u64,
    /// The highest end so far.
    pub high_water: u64,
    /// The end never goes above this.
    pub limit: u64,
    /// What its area is called.
    pub name: &'static str,
}

impl Break {
    /// A break that stands at its base.
    pub const fn new(name: &'static str, base: u64, limit: u64) -> Self {
        Self { base, end: base, high_water: base, limit, name }
    }
}

/// Why a break did not move. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveError {
    /// The new end lies below the base, or below address 0.
    BelowBase,
    /// The new end lies above the limit, or beyond the last address.
    BeyondLimit,
    /// Another area is in the way.
    Occupied,
    /// The frames could not be promised.
    OutOfFrames(OutOfFrames),
    /// The list of areas is full, or the work is not done: [`Errno::ERESTART`].
    List(Errno),
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowBase => f.write_str("the new break lies below its base"),
            Self::BeyondLimit => f.write_str("the new break lies above its limit"),
            Self::Occupied => f.write_str("another area is in the way"),
            Self::OutOfFrames(out) => write!(f, "out of frames: {out}"),
            Self::List(errno) => f.write_str(errno.text()),
        }
    }
}

impl From<OutOfFrames> for MoveError {
    fn from(out: OutOfFrames) -> Self {
        Self::OutOfFrames(out)
    }
}

impl From<Errno> for MoveError {
    fn from(errno: Errno) -> Self {
        Self::List(errno)
    }
}

impl From<MoveError> for BreakError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::BelowBase | MoveError::BeyondLimit => Self::OutOfAddresses,
            MoveError::Occupied | MoveError::List(_) => Self::Refused,
            MoveError::OutOfFrames(_) => Self::OutOfMemory,
        }
    }
}

impl<T: Storage, const N: usize> AddressSpace<T, N> {
    /// Moves the end of a break.
    ///
    /// In this order, as in Linux: the lower limit; the upper limit, on the exact address; both
    /// ends rounded up to pages; if these are equal, only the field changes; down is always
    /// possible, unless that would split an area and there is no room for the two; up, only if no
    /// area lies in what comes or within a page of it (within the guard gap, if it is a stack),
    /// and the list and the account allow it.
    ///
    /// Logarithmic in the number of areas, but for the pages that are unmapped.
    ///
    /// # Errors
    ///
    /// Says why the end stays where it is.
    ///
    /// # Panics
    ///
    /// When the break is not in use.
    pub fn move_break(
        &mut self,
        number: usize,
        to: u64,
        backing: &mut impl Backing,
    ) -> Result<(), MoveError> {
        let Break { base, end, limit, name, .. } = self.breaks[number].expect("a break in use");
        if to < base {
            return Err(MoveError::BelowBase);
        }
        if to > limit.min(self.bounds.end) {
            return Err(MoveError::BeyondLimit);
        }
        let (old, new) = (page_ceil(end), page_ceil(to));
        if new < old {
            self.take_out(new, old, backing)?;
        }
        if new > old {
            let at = self.areas.gap(old, new + PAGE_SIZE).ok_or(MoveError::Occupied)?;
            let heap =
                Vma::private(old, new, Permissions::READ | Permissions::WRITE, AreaKind::Heap);
            self.enter_at::<MoveError>(at, Vma { name, ..heap }, backing)?;
        }
        let Break { end, high_water, .. } = self.breaks[number].as_mut().expect("as above");
        (*end, *high_water) = (to, to.max(*high_water));
        Ok(())
    }
}

impl AddressSpace {
    /// Moves the process's break to the address, and returns where it stands afterwards: `to`, or
    /// the old break when that cannot be, for the reasons of [`move_break`](Self::move_break) or
    /// because of the data limit.
    ///
    /// # Errors
    ///
    /// `ERESTART` only.
    pub fn brk(&mut self, to: u64, backing: &mut impl Backing) -> Result<u64, Errno> {
        let old = self.current_brk();
        let pages = page_ceil(to.min(self.bounds.end)).saturating_sub(page_ceil(old)) / PAGE_SIZE;
        if !self.data_may_change(0, pages) {
            return Ok(old);
        }
        match self.move_break(0, to, backing) {
            Ok(()) => Ok(to),
            Err(MoveError::List(Errno::ERESTART)) => Err(Errno::ERESTART),
            Err(_) => Ok(old),
        }
    }

    /// Where the process's break stands.
    pub const fn current_brk(&self) -> u64 {
        match &self.breaks[0] {
            Some(brk) => brk.end,
            None => 0,
        }
    }
}
