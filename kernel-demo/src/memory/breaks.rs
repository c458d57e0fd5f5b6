//! The fields of a break, and the rules for moving it. Moving a break changes these fields, and
//! that is all it does.
//!
//! ```text
//!   base                 end            high water              limit
//!    │                    │                  │                    │
//!    ▼▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▒▼                  ▼                    ▼
//!    ├──── the region ────┼── given back ────┼── never reached ───┤
//!      pages appear on      a touch is a       a touch is a
//!      first touch          fault              fault
//! ```
//!
//! The end is a byte address. The page it lies in belongs to the region as a whole.
//!
//! What happens when memory runs out *after* addresses were granted is decided by the break's
//! [`Policy`].

use core::fmt;

use brkalloc::BreakError;

use super::frames::OutOfFrames;
use super::layout::{BREAK_LIMIT, BREAK_STRIDE, BREAKS, PAGE_SIZE, page_ceil};
use super::pool::{Account, Policy};
use super::space::Space;

/// Breaks that can be in use at once.
pub const MAX_BREAKS: usize = 16;

const NAMES: [&str; MAX_BREAKS] = [
    "kernel heap",
    "scratch 1",
    "scratch 2",
    "scratch 3",
    "scratch 4",
    "scratch 5",
    "scratch 6",
    "scratch 7",
    "scratch 8",
    "scratch 9",
    "scratch 10",
    "scratch 11",
    "scratch 12",
    "scratch 13",
    "scratch 14",
    "scratch 15",
];

/// Which break.
///
/// # Invariants
///
/// The number is below [`MAX_BREAKS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakId(u8);

impl BreakId {
    /// The break of the kernel's own heap.
    pub const KERNEL_HEAP: Self = Self(0);

    /// All breaks but the kernel heap's.
    pub fn scratch() -> impl Iterator<Item = Self> {
        (1..MAX_BREAKS as u8).map(Self)
    }

    /// Its place in a table of breaks.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// The name of its region.
    pub const fn name(self) -> &'static str {
        NAMES[self.index()]
    }

    /// Where it starts.
    pub const fn base(self) -> u64 {
        BREAKS + self.0 as u64 * BREAK_STRIDE
    }
}

/// Why a break did not move. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MoveError {
    /// The new end lies below the base, or below address 0.
    BelowBase,
    /// The new end lies above the limit, or beyond the last address.
    BeyondLimit,
    /// The region of this name is in the way.
    Occupied(&'static str),
    /// The policy is strict, and there are not enough frames.
    OutOfFrames(OutOfFrames),
}

impl fmt::Display for MoveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BelowBase => f.write_str("the new break lies below its base"),
            Self::BeyondLimit => f.write_str("the new break lies above its limit"),
            Self::Occupied(name) => write!(f, "{name} is in the way"),
            Self::OutOfFrames(out) => write!(f, "out of frames: {out}"),
        }
    }
}

impl From<MoveError> for BreakError {
    fn from(error: MoveError) -> Self {
        match error {
            MoveError::BelowBase | MoveError::BeyondLimit => Self::OutOfAddresses,
            MoveError::Occupied(_) => Self::Refused,
            MoveError::OutOfFrames(_) => Self::OutOfMemory,
        }
    }
}

/// What moving a break takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Only the end changes: it stays in its page.
    SamePage,
    /// The region gets more pages, which can need this many frames in all.
    Grow(usize),
    /// The region loses pages, and this many frames less can be needed.
    Shrink(usize),
}

/// Where a break stands, for those who look on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakInfo {
    /// First address.
    pub base: u64,
    /// First byte that is not granted.
    pub end: u64,
    /// The end never goes above this.
    pub limit: u64,
    /// The highest end since the break was claimed.
    pub high_water: u64,
    /// When frames must be there.
    pub policy: Policy,
    /// Pages mapped.
    pub pages: usize,
    /// Page tables in use for them.
    pub tables: usize,
    /// Page faults served.
    pub faults: u64,
    /// Frames reserved.
    pub reserved: usize,
}

/// A break.
///
/// # Invariants
///
/// * `base ≤ end ≤ high_water ≤ limit`.
/// * `pages + tables` frames are in use for the region, and no page at or above `page_ceil(end)` is
///   mapped.
/// * Under [`Policy::Strict`], `reservation + pages + tables = cost(base, end)`; under
///   [`Policy::Overcommit`] the reservation is empty.
pub struct BreakRegion {
    pub(super) end: u64,
    pub(super) high_water: u64,
    pub(super) account: Account,
    pub(super) pages: usize,
    pub(super) tables: usize,
    pub(super) faults: u64,
    id: BreakId,
}

impl BreakRegion {
    /// A break that stands at its base.
    pub fn new(id: BreakId, policy: Policy) -> Self {
        let (end, high_water) = (id.base(), id.base());
        Self {
            end,
            high_water,
            account: Account::new(policy, 0),
            pages: 0,
            tables: 0,
            faults: 0,
            id,
        }
    }

    /// Which break this is.
    pub const fn id(&self) -> BreakId {
        self.id
    }

    /// When frames must be there.
    pub const fn policy(&self) -> Policy {
        self.account.policy()
    }

    /// First address.
    pub const fn base(&self) -> u64 {
        self.id.base()
    }

    /// The end never goes above this.
    pub const fn limit(&self) -> u64 {
        self.id.base() + BREAK_LIMIT
    }

    /// Where the break stands.
    pub const fn info(&self) -> BreakInfo {
        let Self { end, high_water, pages, tables, faults, .. } = *self;
        let (policy, reserved) = (self.account.policy(), self.account.reserved());
        let (base, limit) = (self.base(), self.limit());
        BreakInfo { base, end, limit, high_water, policy, pages, tables, faults, reserved }
    }

    /// What moving the end to `new` takes, if it can be done. The order of the checks is Linux's:
    /// lower limit, upper limit on the exact address, round both to pages, done if equal, down
    /// is always possible, up only if no other region lies in the way or within a page of it.
    ///
    /// # Errors
    ///
    /// Says why the end must stay where it is. ([`MoveError::OutOfFrames`] is not known here.)
    pub fn plan(&self, new: u64, space: &Space) -> Result<Move, MoveError> {
        if new < self.base() {
            return Err(MoveError::BelowBase);
        }
        if new > self.limit() {
            return Err(MoveError::BeyondLimit);
        }
        let (old_page, new_page) = (page_ceil(self.end), page_ceil(new));
        if new_page == old_page {
            return Ok(Move::SamePage);
        }
        let (old_cost, new_cost) = (cost(self.base(), old_page), cost(self.base(), new_page));
        if new_page < old_page {
            return Ok(Move::Shrink(old_cost - new_cost));
        }
        match space.overlapping(old_page, new_page + PAGE_SIZE) {
            Some(other) => Err(MoveError::Occupied(other.name)),
            None => Ok(Move::Grow(new_cost - old_cost)),
        }
    }
}

/// Frames that `[base, end)` takes when every page of it is mapped: the pages, and the page tables
/// of three levels above them (the level-4 table is there anyway). Constant time.
pub const fn cost(base: u64, end: u64) -> usize {
    /// Bits of an address below those that tell pages, level-1, level-2 and level-3 tables apart.
    const SHIFTS: [u32; 4] = [12, 21, 30, 39];
    if end <= base {
        return 0;
    }
    let (mut frames, mut level) = (0, 0);
    while level < SHIFTS.len() {
        frames += ((end - 1) >> SHIFTS[level]) - (base >> SHIFTS[level]) + 1;
        level += 1;
    }
    frames as usize
}

#[cfg(test)]
mod tests;
