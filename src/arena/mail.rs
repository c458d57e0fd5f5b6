//! Blocks that go between arenas: those that other callers have freed come in, those of other
//! arenas go out.

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

/// Maximum number of packets that are collected at a time, and of blocks of the list behind them.
const PACKETS_AT_ONCE: usize = 2;
const BLOCKS_AT_ONCE: usize = 16;

/// Maximum number of blocks that are collected at a time.
pub(super) const COLLECTED_AT_ONCE: usize = PACKETS_AT_ONCE * BATCH + BLOCKS_AT_ONCE;

const _: () = assert!(COLLECTED_AT_ONCE <= 256, "one miss waits for that");

/// Maximum number of sets of packets, and denominator of the share of the arena that they may take.
/// Sets are added when there were too few packets.
const MOST_SETS: usize = 8;
const SETS_SHARE: usize = 8;

/// The memory of a set of packets.
pub(super) const SET: Layout = Layout::new::<Packets>();

/// Frees a block that was in a packet.
///
/// # Safety
///
/// A caller freed the block, the map of segments led to this arena, and the block is in no other
/// list.
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
    /// Returns whether other callers may have freed blocks of this arena that were not collected.
    #[inline(always)]
    pub(super) fn has_mail(&self, mailbox: &Mailbox) -> bool {
        self.inbox.is_some() || !mailbox.is_empty()
    }

    /// Collects blocks that other callers have freed: of at most `packets` packets, and `blocks`
    /// blocks of the list. Returns whether there were any.
    fn collect(&mut self, mailbox: &Mailbox, packets: usize, blocks: usize) -> bool {
        let heap = &mut self.heap;
        // SAFETY: the caller is alone with the arena, whose packets had the blocks.
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
            // SAFETY: the block was in the list, and belongs to the owner now.
            next = unsafe { Link::read(block) };
            if P::CHECKED {
                // SAFETY: it was in the list.
                unsafe { self.collect_one(block, &mut next) };
            } else {
                // SAFETY: a block of this arena, which a caller freed: the map led there.
                unsafe { self.heap.deallocate_by_ptr(block.cast()) };
            }
        }
        self.inbox = next;
        true
    }

    /// Collects some of the blocks that other callers have freed. If they did not all fit into
    /// packets, there are more packets from now on.
    #[inline(never)]
    pub(super) fn collect_some(&mut self, parent: &Parent<B, M, P, L>, mailbox: &Mailbox) {
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(parent) };
        self.collect(mailbox, PACKETS_AT_ONCE, BLOCKS_AT_ONCE);
        if self.inbox.is_some() {
            self.add_packets(mailbox);
        }
    }

    /// Adds a set of packets, if the arena is large enough for it, and the parent has room.
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
    /// As for [`ArenaHeap::deallocate`](crate::ArenaHeap::deallocate); `owner` is the block's.
    #[inline]
    pub(super) unsafe fn send(&mut self, owner: Owner, block: NonNull<u8>, layout: Option<Layout>) {
        let shared = self.shared();
        // SAFETY: the clauses are those of this method.
        if P::CHECKED && !unsafe { self.may_send(block, layout) } {
            return;
        }
        let class = || shared.map.class_at(block.addr().get()).map_or(UNKNOWN_SIZE, Class::size);
        let size = layout.map_or_else(class, |layout| layout.size());
        // SAFETY: the block is given up (this method's clause), and holds a word.
        unsafe { self.outbox.put(owner, block, size, |owner| shared.mailbox_of(owner)) };
    }

    /// Collects all blocks that other callers have freed. Returns whether there were any.
    pub(super) fn collect_all(&mut self, mailbox: &Mailbox) -> bool {
        let mut any = false;
        while self.collect(mailbox, usize::MAX, usize::MAX) {
            any = true;
        }
        any
    }
}
