//! What others have freed of an arena, until its owner takes it up: packets, and what comes when
//! none is empty.
//!
//! ```text
//!   who frees:  a packet of the first set that has an empty one ──(none)──► the list
//!
//!     packets ──► packets ──► …     one set to begin with, and more by and by where the list was in use
//! ```

use core::iter;
use core::ptr::NonNull;

use super::packets::{Batch, Packets};
use super::remote::{Chain, RemoteList};
use super::sync::Link;

/// Where an arena's blocks come back that others have freed.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Mailbox {
    pub(super) list: RemoteList,
    pub(super) packets: Packets,
}

impl Mailbox {
    /// The sets of packets.
    pub(super) fn sets(&self) -> impl Iterator<Item = &Packets> {
        iter::successors(Some(&self.packets), |set| set.next())
    }

    /// Adds a set of packets.
    ///
    /// # Safety
    ///
    /// The owner's alone. The set is new, and stays where it is as long as the mailbox.
    pub(super) unsafe fn add(&self, set: NonNull<Packets>) {
        if let Some(last) = self.sets().last() {
            last.link(set);
        }
    }

    /// Takes the sets away that were added: the first one, which leads to the others. Whoever sends
    /// may have found them before. The owner's alone.
    pub(super) fn take_sets(&self) -> Option<NonNull<Packets>> {
        self.packets.unlink()
    }

    /// Puts back what [`take_sets`](Mailbox::take_sets) took, and nothing was added since. The
    /// owner's alone.
    pub(super) fn put_sets_back(&self, sets: NonNull<Packets>) {
        self.packets.link(sets);
    }

    /// Whether nothing is there, as far as the caller can know. The owner's alone.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.sets().all(Packets::is_empty) && self.list.is_empty()
    }

    /// Whether nothing is there for which the owner should be looked up: what is sent comes to the
    /// first set, or to the list, unless others have just been sending, too. For anybody.
    pub(super) fn seems_empty(&self) -> bool {
        self.packets.is_empty() && self.list.is_empty()
    }

    /// Takes out so many packets at most, and hands each block to `take`. Returns how many packets
    /// there were. Sets take turns, from the one with number `turn`
    /// on, so that none waits behind others.
    ///
    /// # Safety
    ///
    /// The owner's alone.
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
            // SAFETY: the caller's promise.
            packets += unsafe { set.take(most - packets, &mut take) };
            if packets == most {
                *turn = number + 1;
                return packets;
            }
        }
        packets
    }

    /// Announces, without blocks, what was claimed and not announced. Only where nobody is left who
    /// could do so.
    pub(super) fn forget_claims(&self) {
        self.sets().for_each(Packets::forget_claims);
    }

    /// Sends blocks to the owner. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// The blocks are the owner's, each holds a word, and nobody uses or lists them.
    pub(super) unsafe fn send(&self, batch: &Batch) {
        // SAFETY: the caller's promise.
        if self.sets().any(|set| unsafe { set.send(batch) }) {
            return;
        }
        let mut chain = Chain::EMPTY;
        for block in batch.iter() {
            // SAFETY: the caller's promise.
            unsafe { chain.add(block.cast::<Link>()) };
        }
        chain.send(&self.list);
    }

    /// Sends one block, by who has nobody to collect it with. Lock-free, and never fails.
    ///
    /// # Safety
    ///
    /// As for [`send`](Mailbox::send).
    pub(super) unsafe fn send_one(&self, block: NonNull<u8>) {
        let mut chain = Chain::EMPTY;
        // SAFETY: the caller's promise.
        unsafe { chain.add(block.cast::<Link>()) };
        chain.send(&self.list);
    }
}
