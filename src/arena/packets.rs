//! The usual way of freed blocks to their owner (C27): packets of addresses, so that nobody touches a block who does not use it.
//!
//! ```text
//!   who frees:  a batch of its own ──(claims an empty packet: sets its lower bit)──► copies the batch ──► announces it: sets its upper bit
//!
//!               ┌─ state ─────────────────┐  ┌─ packet 0 ────┐┌─ packet 1 ────┐
//!               │ full … │ claimed …      │  │ addresses, len ││                │ …
//!               └─────────────────────────┘  └────────────────┘└────────────────┘
//!
//!   the owner:  sees upper bits ──► reads those packets ──► clears both bits of each: they are empty
//! ```
//!
//! Addresses lie side by side: the owner waits for a few cache lines of another CPU, and for all of them at the same time, where a chain
//! through the blocks makes it wait for each block before it knows the next one.
//!
//! # Ordering
//!
//! To announce a packet releases, and the owner's look at the state acquires: it sees what is in the packet, and all that the last user of
//! a block did with it, before the block can be anybody else's. To empty packets releases, and a claim acquires: what is written
//! into a packet comes after the owner's last look at it. Every change of the state is one read-modify-write, so each continues the release
//! sequences of those before. Who has claimed a packet and is interrupted keeps nobody waiting: others claim others, and if there is none left,
//! they take the other way (`remote.rs`).

use core::mem::MaybeUninit;
use core::ptr::NonNull;

use super::sync::{AtomicUsize, BATCH, Ordering, PACKETS, PacketCell};

const _: () = assert!(PACKETS <= usize::BITS as usize / 2 && BATCH <= u8::MAX as usize);

/// Freed blocks, and what is known of each.
///
/// # Invariants
///
/// The first `len` entries are there.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(super) struct Batch {
    blocks: [MaybeUninit<NonNull<u8>>; BATCH],
    notes: [MaybeUninit<u8>; BATCH],
    len: u8,
}

impl Batch {
    pub(super) const EMPTY: Self = Self { blocks: [MaybeUninit::uninit(); BATCH], notes: [MaybeUninit::uninit(); BATCH], len: 0 };

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) const fn is_full(&self) -> bool {
        self.len as usize == BATCH
    }

    /// Adds a block, unless the batch is full.
    #[inline(always)]
    pub(super) fn add(&mut self, block: NonNull<u8>, note: u8) {
        let at = usize::from(self.len);
        if let (Some(place), Some(place_of_note)) = (self.blocks.get_mut(at), self.notes.get_mut(at)) {
            place.write(block);
            place_of_note.write(note);
            self.len += 1;
        }
    }

    pub(super) const fn clear(&mut self) {
        self.len = 0;
    }

    /// The blocks, and what is known of them.
    #[inline(always)]
    pub(super) fn iter(&self) -> impl Iterator<Item = (NonNull<u8>, u8)> {
        let entries = self.blocks.iter().zip(&self.notes).take(usize::from(self.len));
        entries.map(|(block, note)| {
            // SAFETY: the type's invariant.
            let block = unsafe { block.assume_init() };
            // SAFETY: the same.
            (block, unsafe { note.assume_init() })
        })
    }
}

/// Packets on their way to their owner.
///
/// # Invariants
///
/// * bit `p` of `state`: packet `p` is not empty: it belongs to who has claimed it, until they announce it
/// * bit `PACKETS + p`: it was announced, and belongs to the owner. Bit `p` is set too
/// * an announced packet has blocks that nobody uses or lists
#[derive(Debug)]
#[repr(C)]
pub(super) struct Packets {
    pub(super) state: AtomicUsize,
    pub(super) packets: [PacketCell; PACKETS],
}

impl Packets {
    /// Whether nothing is on its way, as far as the caller can know.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.state.load(Ordering::Relaxed) >> PACKETS == 0
    }

    /// Sends a batch, if there is an empty packet.
    ///
    /// # Safety
    ///
    /// If the answer is true, the blocks are the owner's.
    pub(super) unsafe fn send(&self, batch: &Batch) -> bool {
        let Some(number) = self.claim() else { return false };
        // SAFETY: claimed just now.
        unsafe { self.packets[number].write(batch) };
        self.state.fetch_or(1 << (PACKETS + number), Ordering::Release);
        true
    }

    /// Claims an empty packet. Lock-free: a try fails only if another has claimed a packet, or announced one, or the owner has emptied some,
    /// meanwhile.
    pub(super) fn claim(&self) -> Option<usize> {
        let mut state = self.state.load(Ordering::Relaxed);
        loop {
            let number = state.trailing_ones() as usize;
            if number >= PACKETS {
                return None;
            }
            match self.state.compare_exchange_weak(state, state | 1 << number, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(number),
                Err(found) => state = found,
            }
        }
    }

    /// Takes out so many packets at most, from the one with number `turn` on in turn, and hands each block and what is known of it to
    /// `take`. Returns how many packets there were; `turn` is behind the last one then.
    ///
    /// # Safety
    ///
    /// The owner's alone.
    #[inline]
    pub(super) unsafe fn take(&self, most: usize, turn: &mut u32, mut take: impl FnMut(NonNull<u8>, u8)) -> usize {
        // The lowest one is claimed first: an owner who is not behind finds what there is in that one, and need not wait for the state before
        // it is fetched.
        self.packets[0].fetch();
        let mut full = self.state.load(Ordering::Acquire) >> PACKETS;
        let mut taken = Taken { state: &self.state, packets: 0 };
        let mut packets = 0;
        while full != 0 && packets < most {
            let ahead = full & (usize::MAX << *turn);
            let number = if ahead != 0 { ahead } else { full }.trailing_zeros();
            *turn = (number + 1) % PACKETS as u32;
            taken.packets |= 1 << number;
            // SAFETY: announced, and so the caller's.
            unsafe { self.packets[number as usize].read(|batch| batch.iter().for_each(|(block, note)| take(block, note))) };
            full &= !(1 << number);
            packets += 1;
        }
        packets
    }

    /// Empties what was claimed and not announced. Only where nobody is who could announce it.
    pub(super) fn forget_claims(&self) {
        let full = self.state.load(Ordering::Relaxed) >> PACKETS;
        self.state.store(full | full << PACKETS, Ordering::Relaxed);
    }
}

/// Packets that are taken out, and are empty when that is done. (Also if a misuse is found on the way, and unwinds: the rest is lost then.)
struct Taken<'packets> {
    state: &'packets AtomicUsize,
    packets: usize,
}

impl Drop for Taken<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.packets != 0 {
            self.state.fetch_and(!(self.packets | self.packets << PACKETS), Ordering::Release);
        }
    }
}
