//! What goes between arenas, as one of them sees it: what others have freed of it comes in, and
//! what was freed here of others goes out.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::arena::{ArenasHeap, Inner};
use super::mailbox::Mailbox;
use super::outbox::UNKNOWN_SIZE;
use super::packets::Packets;
use super::parent::Parent;
use super::sync::{BATCH, Link};
use crate::checked::deallocate_sent;
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::segments::Owner;
use crate::size_class::Class;

/// Of what others have freed, so many packets are taken up at a time, and so many blocks of the
/// list behind them: at most `TAKEN_UP_AT_ONCE` blocks.
const PACKETS_AT_ONCE: usize = 2;
const BLOCKS_AT_ONCE: usize = 16;

/// At most so many blocks that others have freed are taken up at a time.
pub(super) const TAKEN_UP_AT_ONCE: usize = PACKETS_AT_ONCE * BATCH + BLOCKS_AT_ONCE;

const _: () = assert!(TAKEN_UP_AT_ONCE <= 256, "one miss waits for that");

/// Packets are added by the set, if there were too few: so many sets, and so that this part of the
/// arena is in them, at most.
const MOST_SETS: usize = 8;
const SETS_SHARE: usize = 8;

/// The memory of a set of packets.
pub(super) const SET: Layout = Layout::new::<Packets>();

/// Frees a block that was in a packet.
///
/// # Safety
///
/// A user of the block freed it, the map of segments led to this arena, and it is in no other list.
pub(super) unsafe fn free_sent<B: Source, M: Map, P: Profile, L: RawLock>(
    heap: &mut ArenasHeap<B, M, P, L>,
    block: NonNull<u8>,
) {
    // SAFETY: the clause is that of this function.
    unsafe {
        if P::CHECKED {
            deallocate_sent(heap.inner(), block);
        } else {
            heap.deallocate_by_ptr(block);
        }
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Inner<B, M, P, L> {
    /// Whether others may have freed blocks of this arena that were not taken up.
    #[inline(always)]
    pub(super) fn has_mail(&self, mailbox: &Mailbox) -> bool {
        self.inbox.is_some() || !mailbox.is_empty()
    }

    /// Takes up what others have freed: at most so many packets, and so many blocks of the list.
    /// True if there was any.
    pub(super) fn take_up(&mut self, mailbox: &Mailbox, packets: usize, blocks: usize) -> bool {
        let heap = &mut self.heap;
        // SAFETY: who is in the arena is alone; the blocks were in packets of this arena's.
        let packets =
            unsafe { mailbox.take(packets, &mut self.turn, |block| free_sent(heap, block)) };
        if self.inbox.is_none() && !mailbox.list.is_empty() {
            self.inbox = mailbox.list.take_all();
        }
        if self.inbox.is_none() {
            return packets > 0;
        }
        // If a misuse is found and unwinds, the rest is lost.
        let mut next = self.inbox.take();
        for _ in 0..blocks {
            let Some(block) = next else { break };
            // SAFETY: it was in the list, and is nobody else's.
            next = unsafe { Link::read(block) };
            if P::CHECKED {
                // SAFETY: it was in the list.
                unsafe { self.take_up_one(block, &mut next) };
            } else {
                // SAFETY: a block of this arena, which its user freed; the map of segments led
                // there.
                unsafe { self.heap.deallocate_by_ptr(block.cast()) };
            }
        }
        self.inbox = next;
        true
    }

    /// Takes up some of what others have freed. If it did not all fit into packets, there are more
    /// packets from now on.
    #[inline(never)]
    pub(super) fn take_up_some(&mut self, parent: &Parent<B, M, P, L>, mailbox: &Mailbox) {
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(parent) };
        self.take_up(mailbox, PACKETS_AT_ONCE, BLOCKS_AT_ONCE);
        if self.inbox.is_some() {
            self.add_packets(mailbox);
        }
    }

    /// Adds a set of packets, if the arena is large enough for it, and there is memory.
    #[cold]
    fn add_packets(&self, mailbox: &Mailbox) {
        let (sets, bytes) = (mailbox.sets().count(), self.heap.provider().bytes());
        if sets == MOST_SETS || sets * size_of::<Packets>() > bytes / SETS_SHARE {
            return;
        }
        if let Some(memory) = self.heap.provider().part(SET) {
            let set = memory.cast::<Packets>();
            // SAFETY: a new block, for that.
            unsafe { set.write(Packets::new()) };
            // SAFETY: it is the parent's, which takes it back with the arena.
            unsafe { mailbox.add(set) };
        }
    }

    /// Collects a block of another arena for it.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`](crate::ArenaHeap::deallocate); `owner` is whose it is.
    #[inline]
    pub(super) unsafe fn send(&mut self, owner: Owner, block: NonNull<u8>, layout: Option<Layout>) {
        let shared = self.shared();
        // SAFETY: the caller's promise.
        if P::CHECKED && !unsafe { self.may_send(block, layout) } {
            return;
        }
        let class = || shared.map.class_at(block.addr().get()).map_or(UNKNOWN_SIZE, Class::size);
        let size = layout.map_or_else(class, |layout| layout.size());
        // SAFETY: the caller's promise; every block holds a word.
        unsafe { self.outbox.put(owner, block, size, |owner| shared.mailbox_of(owner)) };
    }

    /// Takes up all that others have freed.
    pub(super) fn take_up_all(&mut self, mailbox: &Mailbox) -> bool {
        let mut any = false;
        while self.take_up(mailbox, usize::MAX, usize::MAX) {
            any = true;
        }
        any
    }
}
