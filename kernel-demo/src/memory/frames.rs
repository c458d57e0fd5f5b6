//! The page allocator: a binary buddy system with one small record a frame.
//!
//! ```text
//!  order 2   [ 0  1  2  3 ]              free blocks of 2^k frames, each starting at a multiple of 2^k,
//!  order 1   [ 4  5 ]    [ 10 11 ]       on one doubly linked list an order
//!  order 0   [ 7 ]
//!                                        two free buddies (block XOR 2^k) never stand side by side:
//!  table     F2 I  I  I  F1 I  U0 F0 …   they are one block of the next order
//! ```
//!
//! The links live in the table, as indices: no frame is touched while it is free, and the code
//! needs no `unsafe`.
//!
//! Time: [`allocate`](Frames::allocate) and [`free`](Frames::free) take at most [`MAX_ORDER`]
//! splits or merges of constant cost each, whatever is free or used: logarithmic in the size of the
//! largest block, constant in the size of memory. The tests count. [`add`](Frames::add) is linear
//! in the frames added.
//!
//! **Owners.** A single frame can have several owners, who each [`release`](Frames::release) it;
//! the last one frees it.
//!
//! **Reservations.** Frames can be promised before they are needed. A promise is a [`Reservation`];
//! frames promised are still free (`reserved ≤ free` always holds), but
//! [`allocate`](Frames::allocate) does not take them. So taking a frame *out of* a reservation
//! cannot fail: the frame is there.

mod account;
mod blocks;
mod owners;

use x86_64::structures::paging::PhysFrame;

pub use self::account::{Counts, FreeError, OutOfFrames, Reservation};
use super::layout::{PAGE_SIZE, frame_at};

/// The largest block is `2^MAX_ORDER` frames (4 MiB).
pub const MAX_ORDER: u8 = 10;

const ORDERS: usize = MAX_ORDER as usize + 1;

/// The end of a list.
const NONE: u32 = u32::MAX;

/// What the page allocator knows of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    state: State,
    next: u32,
    prev: u32,
}

impl Frame {
    /// A frame that the allocator does not manage. The table starts out full of these.
    pub const FOREIGN: Self = Self { state: State::Foreign, next: NONE, prev: NONE };
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Never given to the allocator.
    Foreign,
    /// Part of a block that begins at a lower frame.
    Inside,
    /// First frame of a free block of this order; `next` and `prev` link the order's list.
    Free(u8),
    /// First frame of a block of this order that is in use; `next` counts its owners.
    Used(u8),
}

/// The page allocator.
///
/// # Invariants
///
/// * Frame `i` of the table is physical frame `i`. Every managed frame is the head of exactly one
///   block (`Free(k)` or `Used(k)`), or `Inside` one.
/// * `next` of a block that is `Used` is the number of its owners, one or more.
/// * A block of order `k` begins at a multiple of `2^k` and lies in the table.
/// * `heads[k]` lists exactly the blocks that are `Free(k)`; bit `k` of `nonempty` is set iff the
///   list is not empty.
/// * No two blocks that are buddies of an order below [`MAX_ORDER`] are both free.
/// * `counts.reserved ≤ counts.free ≤ counts.total`, and `counts.free` is the sum of the lists.
pub struct Frames<'t> {
    table: &'t mut [Frame],
    heads: [u32; ORDERS],
    nonempty: u16,
    counts: Counts,
    fail_in: Option<usize>,
    refused_with_it: usize,
    /// How often a block was put on a list or taken off one.
    #[cfg(test)]
    list_steps: usize,
}

impl<'t> Frames<'t> {
    /// An allocator without frames that can come to manage as many as the table has records.
    pub fn new(table: &'t mut [Frame]) -> Self {
        assert!(table.len() < NONE as usize, "frame numbers must fit 32 bits");
        table.fill(Frame::FOREIGN);
        Self {
            table,
            heads: [NONE; ORDERS],
            nonempty: 0,
            counts: Counts::default(),
            fail_in: None,
            refused_with_it: 0,
            #[cfg(test)]
            list_steps: 0,
        }
    }

    /// How many frames there are, of each kind.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes over the physical memory `[start, end)`, both multiples of the page size. Linear in
    /// its size.
    ///
    /// # Panics
    ///
    /// When a frame of it lies outside the table or is managed already.
    pub fn add(&mut self, start: u64, end: u64) {
        let (mut first, end) = (start / PAGE_SIZE, end / PAGE_SIZE);
        for frame in &mut self.table[first as usize..end as usize] {
            assert!(
                frame.state == State::Foreign,
                "memory {start:#x}..{end:#x} is managed already"
            );
            frame.state = State::Inside;
        }
        while first < end {
            let aligned = first.trailing_zeros().min(MAX_ORDER.into());
            let order = aligned.min((end - first).ilog2()) as u8;
            self.counts.total += 1 << order;
            self.put_block(first as u32, order);
            first += 1 << order;
        }
    }

    /// Allocates a block of `2^order` frames, which holds what its last owner left in it.
    ///
    /// # Errors
    ///
    /// Not that many frames are available side by side, or the failure was injected.
    pub fn allocate(&mut self, order: u8) -> Result<PhysFrame, OutOfFrames> {
        self.allocate_above(order, 0)
    }

    /// The same, for a caller that must leave `floor` frames available.
    ///
    /// # Errors
    ///
    /// As for [`allocate`](Self::allocate).
    pub fn allocate_above(&mut self, order: u8, floor: usize) -> Result<PhysFrame, OutOfFrames> {
        let asked = 1_usize.checked_shl(order.into()).unwrap_or(usize::MAX);
        self.admit(asked, floor)?;
        let block = self.take_block(order).ok_or_else(|| self.refusal(asked, floor, false))?;
        Ok(frame_at(u64::from(block) * PAGE_SIZE))
    }

    /// Gives back a block of `2^order` frames.
    ///
    /// # Errors
    ///
    /// No block of that order is in use there, or it has other owners.
    pub fn free(&mut self, frame: PhysFrame, order: u8) -> Result<(), FreeError> {
        let address = frame.start_address().as_u64();
        let index = address / PAGE_SIZE;
        match self.table.get(index as usize).map(|frame| frame.state) {
            None | Some(State::Foreign) => Err(FreeError::Foreign(address)),
            Some(State::Inside | State::Free(_)) => Err(FreeError::NotInUse(address)),
            Some(State::Used(expected)) if expected != order => {
                Err(FreeError::WrongOrder { address, expected, found: order })
            }
            Some(State::Used(_)) if self.table[index as usize].next != 1 => {
                Err(FreeError::Shared { address, owners: self.table[index as usize].next })
            }
            Some(State::Used(_)) => {
                self.put_block(index as u32, order);
                Ok(())
            }
        }
    }

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
    fn admit(&mut self, asked: usize, floor: usize) -> Result<(), OutOfFrames> {
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

    fn refusal(&self, asked: usize, floor: usize, injected: bool) -> OutOfFrames {
        OutOfFrames { asked, available: self.counts.available().saturating_sub(floor), injected }
    }
}

#[cfg(test)]
mod tests;
