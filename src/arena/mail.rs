//! What goes between arenas, as one of them sees it: what others have freed of it comes in, and
//! what was freed here of others goes out.

use core::alloc::Layout;
use core::ptr::NonNull;

use super::arena::Inner;
use super::has_layer;
use super::mailbox::Mailbox;
use super::outbox::{Parcel, UNKNOWN_SIZE};
use super::packets::Packets;
use super::parent::Parent;
use super::sync::{BATCH, Link};
use crate::checked::deallocate_sent;
use crate::lock::RawLock;
use crate::profile::Profile;
use crate::provider::{Map, Source};
use crate::size_class::Class;
use crate::small::Front;
use crate::small::segments::Owner;

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

/// A block of another's, of a class if it is small, and of which the layout may be known. The note
/// is what [`Inner::take_up`] makes a class again.
#[inline(always)]
fn parcel(block: NonNull<u8>, class: Option<Class>, layout: Option<Layout>) -> Parcel {
    let size = match (layout, class) {
        (Some(layout), _) => layout.size(),
        (None, Some(class)) => class.size(),
        (None, None) => UNKNOWN_SIZE,
    };
    Parcel { block, size, note: class.map_or(0, |class| class.index() as u8 + 1) }
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
        let free = |block, note: u8| {
            if P::CHECKED {
                // SAFETY: it was in a packet of this arena's.
                unsafe { deallocate_sent(heap.inner(), block) };
                return;
            }
            let class = Class::from_index(usize::from(note).wrapping_sub(1));
            match class.filter(|_| has_layer::<P>()) {
                // SAFETY: a block of this arena, which its user freed as one of this class; the map
                // of segments led there.
                Some(class) => unsafe { heap.inner().deallocate_as(block, class) },
                // SAFETY: a block of this arena, which its user freed.
                None => unsafe { heap.inner().deallocate_by_ptr(block) },
            }
        };
        // SAFETY: who is in the arena is alone.
        let packets = unsafe { mailbox.take(packets, &mut self.turn, free) };
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

    /// Collects a block of another arena for it, if that is done at once: it lies near, and nothing
    /// has to be sent before.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`](crate::ArenaHeap::deallocate), if the answer is true.
    #[inline(always)]
    pub(super) unsafe fn send_at_once(
        &mut self,
        block: NonNull<u8>,
        layout: Option<Layout>,
    ) -> bool {
        if P::CHECKED {
            return false;
        }
        let Some((owner, class)) = self.near.look(block.addr().get()) else { return false };
        if owner == self.owner || owner == Owner::NOBODY {
            return false;
        }
        let class = match layout {
            Some(layout) => match Front::of(layout) {
                Some(front) => front.small(),
                None => return false,
            },
            None => class,
        };
        // SAFETY: the caller's promise; every block holds a word.
        unsafe { self.outbox.put_at_once(owner, parcel(block, class, layout)) }
    }

    /// Collects a block of another arena for it.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`](crate::ArenaHeap::deallocate); `owner` is whose it is.
    #[inline(never)]
    pub(super) unsafe fn send(&mut self, owner: Owner, block: NonNull<u8>, layout: Option<Layout>) {
        let shared = self.shared();
        // SAFETY: the caller's promise.
        if P::CHECKED && !unsafe { self.may_send(block, layout) } {
            return;
        }
        let class = match layout {
            Some(layout) => Class::of(layout),
            None => shared.map.class_at(block.addr().get()),
        };
        // SAFETY: the caller's promise; every block holds a word.
        unsafe {
            self.outbox.put(owner, parcel(block, class, layout), |owner| shared.mailbox_of(owner))
        };
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
