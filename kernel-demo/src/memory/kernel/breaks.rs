//! The kernel's breaks by name, and what is known of one.

use crate::memory::pool::Policy;
use crate::words::layout::{BREAK_STRIDE, BREAKS};

/// Breaks that can be in use at once.
pub const MAX_BREAKS: usize = 16;

const BREAK_NAMES: [&str; MAX_BREAKS] = [
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

/// Which break of the kernel.
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

    /// The name of its area.
    pub const fn name(self) -> &'static str {
        BREAK_NAMES[self.index()]
    }

    /// Where it starts.
    pub const fn base(self) -> u64 {
        BREAKS + self.0 as u64 * BREAK_STRIDE
    }

    /// The break that the address could belong to.
    pub(super) fn at(address: u64) -> Option<Self> {
        let number = address.checked_sub(BREAKS)? / BREAK_STRIDE;
        (number < MAX_BREAKS as u64).then_some(Self(number as u8))
    }
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
