//! The usual way of freed blocks to their owner (C27): packets of addresses, so that only the user
//! of a block touches it.
//!
//! ```text
//!   sender:  a batch of its own ──(claims the next packet: `tail` + 1)──► copies the batch into it
//!            ──► announces it
//!
//!               head: the owner's      tail: the senders'
//!                ▼                      ▼
//!     ┌─ empty ─┐┌─ announced ─┐┌─ claimed ─┐┌─ empty ─┐ …   a ring of packets, each with
//!                                                            addresses, len, state
//!
//!   owner:   examines the state of the packet at its head ──► reads it ──► empties it, and goes on
//! ```
//!
//! Addresses lie side by side: the owner waits for a few cache lines of another CPU, all at the
//! same time, where a chain through the blocks makes it wait for each block before it knows the
//! next one. The state of a packet lies in its last line, which moves between CPUs anyway: no word
//! is changed by both sides.
//!
//! # Ordering
//!
//! Announcing a packet releases, and the owner's look at its state acquires: it sees the packet,
//! and all that the last user of a block did with it, before the block gets another user. Emptying
//! a packet releases, and a claim acquires: writes into the packet come after the owner's last look
//! at it. `tail` orders nothing: it only says which packet is next. A sender that has claimed a
//! packet and is interrupted keeps no other caller waiting: the owner finds later packets later,
//! and if the ring is full, senders use the list (`remote.rs`).

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::sync::{AtomicUsize, BATCH, BatchCell, Ordering, PACKETS};

const _: () = assert!(PACKETS.is_power_of_two() && PACKETS > 1 && BATCH <= u8::MAX as usize);

/// Freed blocks.
///
/// # Invariants
///
/// The first `len` entries are there.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Batch {
    blocks: [MaybeUninit<NonNull<u8>>; BATCH],
    len: u8,
}

impl Batch {
    pub(super) const EMPTY: Self = Self { blocks: [MaybeUninit::uninit(); BATCH], len: 0 };

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a block. Returns `false` if the batch is full.
    #[inline(always)]
    pub(super) fn add(&mut self, block: NonNull<u8>) -> bool {
        let Some(place) = self.blocks.get_mut(usize::from(self.len)) else { return false };
        place.write(block);
        self.len += 1;
        true
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    /// Returns the blocks.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = NonNull<u8>> {
        self.blocks.iter().take(usize::from(self.len)).map(|block| {
            // SAFETY: the first `len` entries are there: the type's invariant.
            unsafe { block.assume_init() }
        })
    }
}

/// A packet, in cache lines of its own.
///
/// # Invariants
///
/// With `t` for a number that `tail` may have, and `r` for `t` without its remainder modulo
/// `PACKETS`:
///
/// * `state = r`: it is empty, or belongs to the caller that moved `tail` from `t` to `t + 1`,
///   until it is announced
/// * `state = r + 1`: it was announced, and belongs to the owner, as do its blocks, which no caller
///   uses
#[derive(Debug)]
#[repr(C, align(128))]
pub(super) struct Packet {
    pub(super) batch: BatchCell<Batch>,
    pub(super) state: AtomicUsize,
}

/// Packets on their way to their owner.
///
/// # Invariants
///
/// * `head ≤ tail ≤ head + PACKETS` (modulo a word); numbers are packets modulo `PACKETS`
/// * from `head` to `tail` they are announced or claimed; the others are empty
#[derive(Debug)]
#[repr(C)]
pub(super) struct Packets {
    /// Number of the packet that is taken out next. Only the owner changes it.
    pub(super) head: AtomicUsize,
    /// Number of the packet that is claimed next.
    pub(super) tail: Apart<AtomicUsize>,
    pub(super) packets: [Packet; PACKETS],
}

/// Value in cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Apart<T>(pub(super) T);

/// Returns the state of an empty packet for the turn `number`.
const fn empty(number: usize) -> usize {
    number & !(PACKETS - 1)
}

impl Packets {
    fn packet(&self, number: usize) -> &Packet {
        &self.packets[number % PACKETS]
    }

    /// Returns whether the packet with this number was announced.
    fn is_announced(&self, number: usize, order: Ordering) -> bool {
        self.packet(number).state.load(order) == empty(number).wrapping_add(1)
    }

    /// Returns whether no packet is announced, as far as the caller can know.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        !self.is_announced(self.head.load(Ordering::Relaxed), Ordering::Relaxed)
    }

    /// Sends a batch, if there is an empty packet.
    ///
    /// # Safety
    ///
    /// If the answer is true, the blocks belong to the owner.
    pub(super) unsafe fn send(&self, batch: &Batch) -> bool {
        let Some(number) = self.claim() else { return false };
        // SAFETY: the caller has just claimed it.
        unsafe { self.announce(number, batch) };
        true
    }

    /// Claims the next packet if it is empty, and returns its number. Lock-free: an attempt fails
    /// only if another caller has claimed a packet meanwhile.
    pub(super) fn claim(&self) -> Option<usize> {
        let mut number = self.tail.0.load(Ordering::Relaxed);
        loop {
            let state = self.packet(number).state.load(Ordering::Acquire);
            let ahead = state.wrapping_sub(empty(number)) as isize;
            match ahead {
                ..0 => return None,
                0 => {
                    match self.tail.0.compare_exchange_weak(
                        number,
                        number.wrapping_add(1),
                        Ordering::Relaxed,
                        Ordering::Relaxed,
                    ) {
                        Ok(_) => return Some(number),
                        Err(found) => number = found,
                    }
                }
                // The sender that announced it has moved the tail before.
                1.. => number = self.tail.0.load(Ordering::Relaxed),
            }
        }
    }

    /// Copies a batch into a packet, and announces it to the owner.
    ///
    /// # Safety
    ///
    /// The caller has claimed the packet with this number; the blocks belong to the owner.
    unsafe fn announce(&self, number: usize, batch: &Batch) {
        let packet = self.packet(number);
        // SAFETY: the clauses are those of this method.
        unsafe { packet.batch.write(batch) };
        packet.state.store(empty(number).wrapping_add(1), Ordering::Release);
    }

    /// Takes out at most `most` packets, once round the ring at most, and passes each block to
    /// `take`. Returns the number of packets.
    ///
    /// # Safety
    ///
    /// Only for the owner.
    #[inline]
    pub(super) unsafe fn take(&self, most: usize, mut take: impl FnMut(NonNull<u8>)) -> usize {
        let first = self.head.load(Ordering::Relaxed);
        for packets in 0..most.min(PACKETS) {
            let number = first.wrapping_add(packets);
            if !self.is_announced(number, Ordering::Acquire) {
                return packets;
            }
            let packet = self.packet(number);
            let _taken = Taken { packets: self, number };
            // SAFETY: an announced packet belongs to the owner.
            unsafe { packet.batch.read(|batch| batch.iter().for_each(&mut take)) };
        }
        most.min(PACKETS)
    }

    /// Announces claimed packets without blocks. Only if no caller is left that could announce
    /// them.
    pub(super) fn forget_claims(&self) {
        let (first, end) = (self.head.load(Ordering::Relaxed), self.tail.0.load(Ordering::Relaxed));
        for number in (0..end.wrapping_sub(first)).map(|ahead| first.wrapping_add(ahead)) {
            if !self.is_announced(number, Ordering::Relaxed) {
                // SAFETY: the caller that claimed it does not exist any more.
                unsafe { self.announce(number, &Batch::EMPTY) };
            }
        }
    }
}

/// RAII guard: a packet that is taken out, and is empty afterwards. (Also if a misuse is found on
/// the way, and unwinds: the rest is lost then.)
struct Taken<'packets> {
    packets: &'packets Packets,
    number: usize,
}

impl Drop for Taken<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        let next_round = empty(self.number).wrapping_add(PACKETS);
        self.packets.packet(self.number).state.store(next_round, Ordering::Release);
        self.packets.head.store(self.number.wrapping_add(1), Ordering::Relaxed);
    }
}
