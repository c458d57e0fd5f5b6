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

mod owners;
mod reservation;

use x86_64::structures::paging::PhysFrame;

pub use self::reservation::{Counts, FreeError, Reservation};
pub use crate::words::OutOfFrames;
use crate::words::layout::{PAGE_SIZE, frame_at};

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

    /// The number of free blocks of an order, which is counted up to `most`.
    pub fn free_blocks(&self, order: u8, most: usize) -> usize {
        let first = self.heads[usize::from(order)];
        let frame = |block: u32| self.table.get(block as usize);
        core::iter::successors(frame(first), |block| frame(block.next)).take(most).count()
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
        let asked = 1_usize.checked_shl(order.into()).unwrap_or(usize::MAX);
        self.admit(asked, 0)?;
        let block = self.take_block(order).ok_or_else(|| self.refusal(asked, 0, false))?;
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

    /// Cuts a block of the order out of the smallest free block that holds one.
    fn take_block(&mut self, order: u8) -> Option<u32> {
        let fitting = self.nonempty.checked_shr(order.into())?;
        if fitting == 0 {
            return None;
        }
        let mut have = order + fitting.trailing_zeros() as u8;
        let block = self.heads[have as usize];
        self.unlink(block, have);
        while have > order {
            have -= 1;
            self.link(block + (1 << have), have);
        }
        self.table[block as usize] = Frame { state: State::Used(order), next: 1, prev: NONE };
        self.counts.free -= 1 << order;
        Some(block)
    }

    /// Makes a block free, merged with its buddies as far as they are free.
    fn put_block(&mut self, mut block: u32, mut order: u8) {
        self.counts.free += 1 << order;
        while order < MAX_ORDER {
            let buddy = block ^ (1 << order);
            if self.table.get(buddy as usize).map(|frame| frame.state) != Some(State::Free(order)) {
                break;
            }
            self.unlink(buddy, order);
            self.table[block as usize].state = State::Inside;
            block = block.min(buddy);
            order += 1;
        }
        self.link(block, order);
    }

    /// Marks a block free and puts it at the front of its list.
    fn link(&mut self, block: u32, order: u8) {
        #[cfg(test)]
        {
            self.list_steps += 1;
        }
        let next = self.heads[order as usize];
        self.table[block as usize] = Frame { state: State::Free(order), next, prev: NONE };
        if let Some(next) = self.table.get_mut(next as usize) {
            next.prev = block;
        }
        self.heads[order as usize] = block;
        self.nonempty |= 1 << order;
    }

    /// Takes a free block off its list, leaving its first frame `Inside`.
    fn unlink(&mut self, block: u32, order: u8) {
        #[cfg(test)]
        {
            self.list_steps += 1;
        }
        let Frame { next, prev, .. } = self.table[block as usize];
        self.table[block as usize].state = State::Inside;
        if let Some(next) = self.table.get_mut(next as usize) {
            next.prev = prev;
        }
        match self.table.get_mut(prev as usize) {
            Some(prev) => prev.next = next,
            None => self.heads[order as usize] = next,
        }
        if self.heads[order as usize] == NONE {
            self.nonempty &= !(1 << order);
        }
    }
}

#[cfg(test)]
mod tests;
