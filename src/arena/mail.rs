//! Blocks that go between arenas: those that other callers have freed come in, those of other
//! arenas go out.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::arena::Inner;
use super::mailbox::Mailbox;
use super::outbox::UNKNOWN_SIZE;
use super::parent::Parent;
use super::sync::Link;
use crate::checked::Checker;
use crate::layer::Layer;
use crate::lock::RawLock;
use crate::profile::{OfArena, Profile};
use crate::provider::{Map, Source};
use crate::segments::Owner;
use crate::size_class::Class;
use crate::slab_tuning::{ArenaSlabs, SlabTuning};

/// Number of packets, and of blocks of the list behind them, that are collected in a step.
const PACKETS_AT_ONCE: usize = 2;
const BLOCKS_AT_ONCE: usize = 16;

/// Number of blocks after which a caller that misses collects no more: as many as the longest slab
/// has. So what waits does not grow by more than what is collected, however many slabs begin.
const COLLECTED_AT_ONCE: usize = ArenaSlabs::MOST / Class::SMALLEST.size();

impl<B: Source, M: Map, P: Profile, L: RawLock> Inner<B, M, P, L> {
    /// Returns whether other callers may have freed blocks of this arena that were not collected.
    #[inline(always)]
    pub(super) fn has_mail(&self, mailbox: &Mailbox) -> bool {
        self.inbox.is_some() || !mailbox.is_empty()
    }

    /// Collects blocks that other callers have freed: of at most `packets` packets, and `blocks`
    /// blocks of the list. Returns their number.
    fn collect(&mut self, mailbox: &Mailbox, packets: usize, blocks: usize) -> usize {
        let (heap, mut collected) = (&mut self.heap, 0);
        let free = |block| {
            collected += 1;
            // SAFETY: a block of this arena, which a caller freed: the map led to this arena, whose
            // packets had it.
            unsafe {
                if P::CHECKED {
                    Checker(heap.inner()).deallocate_sent(block);
                } else {
                    heap.deallocate_by_ptr(block);
                }
            }
        };
        // SAFETY: the caller is alone with the arena.
        unsafe { mailbox.packets.take(packets, free) };
        if self.inbox.is_none() && !mailbox.list.is_empty() {
            self.inbox = mailbox.list.take_all();
        }
        // If a misuse is found and unwinds, the rest is lost.
        let mut next = self.inbox.take();
        for _ in 0..blocks {
            let Some(block) = next else { break };
            collected += 1;
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
        collected
    }

    /// Collects blocks that other callers have freed, until a slab of the layout's class has a free
    /// one: else all, or [`COLLECTED_AT_ONCE`] and a step.
    #[inline(never)]
    pub(super) fn collect_for(
        &mut self,
        layout: Layout,
        parent: &Parent<B, M, P, L>,
        mailbox: &Mailbox,
    ) {
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(parent) };
        let class = P::ArenaLayerOf::<OfArena<P>>::class_of(layout);
        let mut collected = 0;
        while collected < COLLECTED_AT_ONCE {
            let blocks = self.collect(mailbox, PACKETS_AT_ONCE, BLOCKS_AT_ONCE);
            let is_served = class.is_some_and(|class| self.heap.layer().may_refill(class));
            if blocks == 0 || is_served {
                return;
            }
            collected += blocks;
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
        while self.collect(mailbox, usize::MAX, usize::MAX) > 0 {
            any = true;
        }
        any
    }
}
