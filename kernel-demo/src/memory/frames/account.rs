//! Counting frames, promising them, and the errors of taking and freeing them.

use core::fmt;

/// How many frames there are, of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Managed in all.
    pub total: usize,
    /// Not in use.
    pub free: usize,
    /// Free, but promised to the holder of a [`Reservation`].
    pub reserved: usize,
}

impl Counts {
    /// Frames in use.
    pub const fn used(&self) -> usize {
        self.total - self.free
    }

    /// Frames that anybody may still ask for.
    pub const fn available(&self) -> usize {
        self.free - self.reserved
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { total, free, reserved } = self;
        write!(f, "{total} frames: {} used, {free} free, {reserved} of these reserved", self.used())
    }
}

/// A promise of frames. Dropping one that is not empty loses the promised frames for good, so give
/// it back with [`Frames::unreserve`](super::Frames::unreserve) first.
///
/// # Invariants
///
/// The sum over all reservations is [`Counts::reserved`]: only [`Frames`](super::Frames) changes
/// the count, and always both.
#[derive(Debug, Default)]
#[must_use]
pub struct Reservation {
    pub(super) frames: usize,
}

impl Reservation {
    /// A reservation of nothing.
    pub const EMPTY: Self = Self { frames: 0 };

    /// Frames promised and not yet taken.
    pub const fn frames(&self) -> usize {
        self.frames
    }
}

/// A request for frames that was not met. Nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfFrames {
    /// Frames asked for.
    pub asked: usize,
    /// Frames that were free and not promised to others.
    pub available: usize,
    /// Whether the failure was made to happen by [`Frames::fail_nth`](super::Frames::fail_nth).
    pub injected: bool,
}

impl fmt::Display for OutOfFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "asked for {} frames, {} available", self.asked, self.available)?;
        if self.injected { f.write_str(" (failure injected)") } else { Ok(()) }
    }
}

/// A frame that was offered for freeing and is not what its owner takes it for. Nothing has
/// changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreeError {
    /// The physical address is not one that this allocator manages.
    Foreign(u64),
    /// The block at the physical address is free already, or no block begins there.
    NotInUse(u64),
    /// The block at the physical address was allocated with another order.
    WrongOrder {
        /// Physical address of the block.
        address: u64,
        /// Order it was allocated with.
        expected: u8,
        /// Order it was offered with.
        found: u8,
    },
    /// The block at the physical address belongs to others as well.
    Shared {
        /// Physical address of the block.
        address: u64,
        /// How many owners it has.
        owners: u32,
    },
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(address) => {
                write!(f, "frame {address:#x} is not managed by the page allocator")
            }
            Self::NotInUse(address) => {
                write!(f, "frame {address:#x} is not in use: freed twice, or never allocated")
            }
            Self::WrongOrder { address, expected, found } => {
                write!(
                    f,
                    "block {address:#x} has order {expected}, but is freed with order {found}"
                )
            }
            Self::Shared { address, owners } => {
                write!(f, "block {address:#x} has {owners} owners, but is freed by one of them")
            }
        }
    }
}
