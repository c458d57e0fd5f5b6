//! Blocks of an arena that other callers have freed, until its owner collects them: packets, and a
//! list for when no packet is empty.
//!
//! ```text
//!   sender:  a packet of the first set that has an empty one ──(none)──► the list
//!
//!     packets ──► packets ──► …     one set at first, and more where the list was in use
//! ```

use core::iter;
use core::ptr::NonNull;

use super::packets::{Batch, Packets};
use super::remote::{Chain, RemoteList};
use super::sync::Link;

/// Packets and list of an arena.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Mailbox {
    pub(super) list: RemoteList,
    pub(super) packets: Packets,
}

impl Mailbox {
    /// Returns the sets of packets.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Packets> {
        iter::successors(Some(&self.packets), |set| set.next())
    }

    /// Adds a set of packets.
    ///
    /// # Safety
    ///
    /// Only for the owner. The set is new, and stays where it is as long as the mailbox.
    pub(super) unsafe fn add(&self, set: NonNull<Packets>) {
        if let Some(last) = self.sets().last() {
            last.link(set);
        }
    }

    /// Takes out the added sets: returns the first one, which leads to the others. A sender may
    /// have found them before. Only for the owner.
    pub(super) fn take_sets(&self) -> Option<NonNull<Packets>> {
        self.packets.unlink()
    }

    /// Puts back what [`take_sets`](Mailbox::take_sets) returned, if no set was added since. Only
    /// for the owner.
    pub(super) fn put_sets_back(&self, sets: NonNull<Packets>) {
        self.packets.link(sets);
    }

    /// Returns whether there is no block, as far as the caller can know. Only for the owner.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sets().all(Packets::is_empty) && self.list.is_empty()
    }

    /// Returns whether there is no block, by a look at the first set and the list: others are used
    /// only if several callers send at the same time. For any caller.
    pub(super) fn seems_empty(&self) -> bool {
        self.packets.is_empty() && self.list.is_empty()
    }

    /// Takes out at most `most` packets, and passes each block to `take`. Returns the number of
    /// packets. Sets take turns, from number `turn` on, so that none waits behind others.
    ///
    /// # Safety
    ///
    /// Only for the owner.
    #[inline]
    pub(super) unsafe fn take(
        &self,
        most: usize,
        turn: &mut usize,
        mut take: impl FnMut(NonNull<u8>),
    ) -> usize {
        let (first, mut packets) = (*turn, 0);
        let sets = || self.sets().enumerate();
        for (number, set) in sets().skip(first).chain(sets().take(first)) {
            // SAFETY: the clauses are those of this method.
            packets += unsafe { set.take(most - packets, &mut take) };
            if packets == most {
                *turn = number + 1;
                return packets;
            }
        }
        packets
    }

    /// Announces claimed packets without blocks. Only if no caller is left that could announce
    /// them.
    pub(super) fn forget_claims(&self) {
        self.sets().for_each(Packets::forget_claims);
    }

    /// Sends blocks to the owner. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// The blocks belong to the owner, each holds a word, and no caller uses them.
    pub(super) unsafe fn send(&self, batch: &Batch) {
        // SAFETY: the clauses are those of this method.
        if self.sets().any(|set| unsafe { set.send(batch) }) {
            return;
        }
        let mut chain = Chain::EMPTY;
        for block in batch.iter() {
            // SAFETY: the clauses are those of this method.
            unsafe { chain.add(block.cast::<Link>()) };
        }
        chain.send(&self.list);
    }

    /// Sends one block, for a caller without an outbox. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// As for [`send`](Mailbox::send).
    pub(super) unsafe fn send_one(&self, block: NonNull<u8>) {
        let mut chain = Chain::EMPTY;
        // SAFETY: the clauses are those of this method.
        unsafe { chain.add(block.cast::<Link>()) };
        chain.send(&self.list);
    }
}
