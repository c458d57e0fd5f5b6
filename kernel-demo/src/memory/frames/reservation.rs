//! Counting frames and promising them; frames that are refused on purpose; the errors of freeing.

use core::fmt;

use x86_64::structures::paging::PhysFrame;

use super::Frames;
use crate::words::OutOfFrames;
use crate::words::layout::{PAGE_SIZE, frame_at};

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
/// The sum over all reservations is [`Counts::reserved`]: only [`Frames`] changes the count, and
/// always both.
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

impl Frames<'_> {
    /// Promises `count` more frames to the holder of the reservation, and leaves `floor` available.
    ///
    /// # Errors
    ///
    /// Not that many are available, or a failure was injected among them.
    pub fn reserve(
        &mut self,
        reservation: &mut Reservation,
        count: usize,
        floor: usize,
    ) -> Result<(), OutOfFrames> {
        self.admit(count, floor)?;
        self.counts.reserved += count;
        reservation.frames += count;
        Ok(())
    }

    /// Takes back the promise of `count` frames.
    ///
    /// # Panics
    ///
    /// When the reservation holds fewer.
    pub fn unreserve(&mut self, reservation: &mut Reservation, count: usize) {
        assert!(
            count <= reservation.frames,
            "giving back {count} of {} reserved frames",
            reservation.frames
        );
        reservation.frames -= count;
        self.counts.reserved -= count;
    }

    /// Takes one promised frame. `None` if and only if the reservation is empty.
    pub fn allocate_reserved(&mut self, reservation: &mut Reservation) -> Option<PhysFrame> {
        reservation.frames = reservation.frames.checked_sub(1)?;
        self.counts.reserved -= 1;
        let block = self.take_block(0).expect("a reserved frame is free");
        Some(frame_at(u64::from(block) * PAGE_SIZE))
    }

    /// Promises one frame, which the holder of the reservation has just given back.
    ///
    /// # Panics
    ///
    /// When no frame is available.
    pub const fn restore(&mut self, reservation: &mut Reservation) {
        assert!(self.counts.available() > 0, "a frame was given back");
        self.counts.reserved += 1;
        reservation.frames += 1;
    }

    /// Makes the `n`-th frame asked for from now fail, once (`n` counts from 1; `None` disarms).
    /// Asking is what [`allocate`](Self::allocate) and [`reserve`](Self::reserve) do; a frame
    /// that was promised cannot fail any more.
    pub fn fail_nth(&mut self, n: Option<usize>) {
        self.fail_in = n;
    }

    /// How many more frames the request asked for that failed by injection: to refuse one of them
    /// is the same again.
    pub const fn refused_with_it(&self) -> usize {
        self.refused_with_it
    }

    /// Whether an injected failure is still waiting to happen.
    pub const fn failure_pending(&self) -> bool {
        self.fail_in.is_some()
    }

    /// Decides on a request for `asked` frames, before anything changes.
    pub(super) fn admit(&mut self, asked: usize, floor: usize) -> Result<(), OutOfFrames> {
        if let Some(n) = self.fail_in {
            if n <= asked {
                self.fail_in = None;
                self.refused_with_it = asked - n;
                return Err(self.refusal(asked, floor, true));
            }
            self.fail_in = Some(n - asked);
        }
        if self.counts.available().checked_sub(floor).is_none_or(|available| asked > available) {
            return Err(self.refusal(asked, floor, false));
        }
        Ok(())
    }

    pub(super) fn refusal(&self, asked: usize, floor: usize, injected: bool) -> OutOfFrames {
        OutOfFrames { asked, available: self.counts.available().saturating_sub(floor), injected }
    }
}
