//! An arena: a heap of its own over segments, and what others have freed of it.
//!
//! ```text
//!   ┌───────────────────┐   others write here:   blocks of this arena that they freed
//!   │ mailbox           │
//!   ├───────────────────┤   cache lines apart, so that they do not disturb
//!   │ inbox             │   taken over from the mailbox's list, not yet freed
//!   │ outbox            │   blocks of others that were freed here
//!   │ heap over Supply  │   front cache, runs, bins, top: as any heap
//!   └───────────────────┘
//! ```

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ptr::NonNull;

use super::mailbox::Mailbox;
use super::outbox::{Outbox, UNKNOWN_SIZE};
use super::parent::Parent;
use super::shared::{HasMailbox, Shared};
use super::supply::{Source, Supply};
use super::sync::{BATCH, Link};
use crate::heap::{Heap, Trim};
use crate::lock::RawLock;
use crate::provider::{Break, Map};
use crate::small::Class;
use crate::small::segments::{Near, Owner};

/// Of what others have freed, so many packets are taken up at a time, and so many blocks of the list behind them: at most
/// `TAKEN_UP_AT_ONCE` blocks.
const PACKETS_AT_ONCE: usize = 2;
const BLOCKS_AT_ONCE: usize = 64;

/// The part of an arena that the front cache may keep in middling blocks.
const MIDDLING_SHARE: usize = 8;

/// At most so many blocks that others have freed are taken up at a time.
pub(super) const TAKEN_UP_AT_ONCE: usize = PACKETS_AT_ONCE * BATCH + BLOCKS_AT_ONCE;

const _: () = assert!(TAKEN_UP_AT_ONCE <= 256, "one miss waits for that");

/// See the module.
///
/// # Invariants
///
/// `inner` is reached only by the caller that took the arena out of its slot's word, or has claimed the slot.
#[repr(C)]
pub(super) struct Arena<B, M, L> {
    mailbox: Apart<Mailbox>,
    inner: UnsafeCell<Inner<B, M, L>>,
}

/// Alone in its cache lines.
#[repr(align(128))]
struct Apart<T>(T);

/// What only the caller in the arena uses.
#[repr(C, align(128))]
pub(super) struct Inner<B, M, L> {
    pub(super) owner: Owner,
    /// Where most of what is freed here lies.
    near: Near,
    /// What all slots share, which outlives the arena.
    shared: NonNull<Shared<Arena<B, M, L>>>,
    /// Blocks of this arena that others have freed, and that have been taken over.
    inbox: Option<NonNull<Link>>,
    /// The packet whose turn it is.
    turn: u32,
    /// Bytes of the arena for which the front cache has its limit.
    cache_is_for: usize,
    pub(super) outbox: Outbox,
    pub(super) heap: Heap<Supply<B, M, L>>,
}

impl<B, M, L> HasMailbox for Arena<B, M, L> {
    fn mailbox(&self) -> &Mailbox {
        &self.mailbox.0
    }
}

impl<B: Break, M: Map, L: RawLock> Arena<B, M, L> {
    pub(super) const LAYOUT: Layout = Layout::new::<Self>();

    /// Makes memory an arena without segments.
    ///
    /// # Safety
    ///
    /// The memory is as [`LAYOUT`](Arena::LAYOUT) says, and the arena's. What all slots share outlives it.
    pub(super) unsafe fn begin(memory: NonNull<u8>, owner: Owner, shared: NonNull<Shared<Self>>) -> NonNull<Self> {
        let arena = memory.cast::<Self>();
        let heap = Heap::new(Supply::new(owner, shared));
        let inner = UnsafeCell::new(Inner {
            owner,
            near: Near::NOTHING,
            shared,
            inbox: None,
            turn: 0,
            cache_is_for: 0,
            outbox: Outbox::new(),
            heap,
        });
        // SAFETY: the caller's promise.
        unsafe { arena.write(Self { mailbox: Apart(Mailbox::new()), inner }) };
        // SAFETY: just written; nobody else knows of it.
        let (inner, _) = unsafe { Self::enter(arena) };
        // Nothing is given back by moving a break: see `Break::SCATTERED`.
        inner.heap.set_trim(Trim { threshold: usize::MAX, keep: 0 });
        // SAFETY: the heap is new, and all of its memory will be this owner's segments of the map.
        unsafe { inner.heap.rely_on(NonNull::from(&inner.shared().map), owner) };
        arena
    }

    /// Goes in.
    ///
    /// # Safety
    ///
    /// The caller is alone with the arena as long as the reference is in use: the type's invariant.
    pub(super) unsafe fn enter<'arena>(arena: NonNull<Self>) -> (&'arena mut Inner<B, M, L>, &'arena Mailbox) {
        // SAFETY: an arena that is there stays.
        let arena = unsafe { arena.as_ref() };
        // SAFETY: the caller's promise.
        (unsafe { &mut *arena.inner.get() }, &arena.mailbox.0)
    }
}

impl<B: Break, M: Map, L: RawLock> Inner<B, M, L> {
    /// The heap, of which any operation may be used now.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's.
    #[inline(always)]
    pub(super) unsafe fn heap(&mut self, parent: &Parent<B, M, L>) -> &mut Heap<Supply<B, M, L>> {
        // SAFETY: it is said again before the next use.
        unsafe { self.heap.provider_mut().set_parent(parent) };
        &mut self.heap
    }

    /// What all slots share.
    #[inline(always)]
    pub(super) fn shared<'shared>(&self) -> &'shared Shared<Arena<B, M, L>> {
        // SAFETY: it outlives the arena.
        unsafe { self.shared.as_ref() }
    }

    /// Whether a block is this arena's, as far as one look tells.
    #[inline(always)]
    pub(super) fn is_own(&self, block: NonNull<u8>) -> bool {
        self.near.is_owned(block.addr().get(), self.owner)
    }

    /// If a block is this arena's, as far as one look tells: the class of the run in which it lies, if it lies in one.
    #[inline(always)]
    pub(super) fn class_if_own(&self, block: NonNull<u8>) -> Option<Option<Class>> {
        self.near.class_if_owned(block.addr().get(), self.owner)
    }

    /// Whose a block is.
    pub(super) fn owner_of(&mut self, block: NonNull<u8>) -> Owner {
        if self.is_own(block) {
            return self.owner;
        }
        let owner = self.shared().map.owner_of(block.addr().get());
        if owner == self.owner {
            // SAFETY: it outlives the arena.
            let near = unsafe { self.shared().map.near(block.addr().get()) };
            self.near = near.unwrap_or(Near::NOTHING);
        }
        owner
    }

    /// Lets the front cache keep more middling blocks if the arena has grown.
    pub(super) fn adjust_cache(&mut self) {
        let bytes = self.heap.provider().bytes();
        if bytes > self.cache_is_for {
            self.cache_is_for = bytes;
            self.heap.keep_middling(bytes / MIDDLING_SHARE);
        }
    }

    /// Whether others may have freed blocks of this arena that were not taken up.
    #[inline(always)]
    pub(super) fn has_mail(&self, mailbox: &Mailbox) -> bool {
        self.inbox.is_some() || !mailbox.is_empty()
    }

    /// Takes up what others have freed: at most so many packets, and so many blocks of the list. True if there was any.
    pub(super) fn take_up(&mut self, mailbox: &Mailbox, packets: usize, blocks: usize) -> bool {
        let heap = &mut self.heap;
        #[cfg(feature = "checked")]
        let free = |block, _| {
            // SAFETY: it was in a packet of this arena's.
            unsafe { heap.deallocate_sent(block) };
        };
        #[cfg(not(feature = "checked"))]
        let free = |block, note: u8| match Class::from_index(usize::from(note).wrapping_sub(1)) {
            // SAFETY: a block of this arena, which somebody freed as one of this class; the map of segments led them here.
            Some(class) => unsafe { heap.deallocate_as(block, class) },
            // SAFETY: a block of this arena, which somebody freed.
            None => unsafe { heap.deallocate_unsized(block) },
        };
        // SAFETY: who is in the arena is alone.
        let packets = unsafe { mailbox.packets.take(packets, &mut self.turn, free) };
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
            #[cfg(feature = "checked")]
            // SAFETY: it was in the list.
            unsafe {
                self.take_up_one(block, &mut next)
            };
            #[cfg(not(feature = "checked"))]
            // SAFETY: a block of this arena, which somebody freed; the map of segments led them here.
            unsafe {
                self.heap.deallocate_unsized(block.cast())
            };
        }
        self.inbox = next;
        true
    }

    /// Takes up some of what others have freed.
    #[inline(never)]
    pub(super) fn take_up_some(&mut self, parent: &Parent<B, M, L>, mailbox: &Mailbox) {
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(parent) };
        self.take_up(mailbox, PACKETS_AT_ONCE, BLOCKS_AT_ONCE);
    }

    /// Collects a block of another arena for it.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`](crate::ArenaHeap::deallocate); `owner` is whose it is.
    #[inline(never)]
    pub(super) unsafe fn send(&mut self, owner: Owner, block: NonNull<u8>, layout: Option<Layout>) {
        let shared = self.shared();
        #[cfg(feature = "checked")]
        // SAFETY: the caller's promise.
        if !unsafe { self.may_send(block, layout) } {
            return;
        }
        let size = layout.map_or(UNKNOWN_SIZE, |layout| layout.size());
        // What `take_up` makes a class again.
        let note = layout.and_then(Class::of).map_or(0, |class| class.index() as u8 + 1);
        // SAFETY: the caller's promise; every block holds a word.
        unsafe { self.outbox.put(owner, (block, note), size, |owner| shared.mailbox_of(owner)) };
    }

    /// Takes up all that others have freed.
    pub(super) fn take_up_all(&mut self, mailbox: &Mailbox) -> bool {
        let mut any = false;
        while self.take_up(mailbox, usize::MAX, usize::MAX) {
            any = true;
        }
        any
    }

    /// Sends what waits for others, takes up what others have freed, keeps nothing of what is free, and gives back every segment that is.
    pub(super) fn tidy_up(&mut self, source: Source<'_, B, M, L>, mailbox: &Mailbox) {
        let shared = self.shared();
        self.outbox.send_all(|owner| shared.mailbox_of(owner));
        // SAFETY: a slot of the same heap; what was said before is said again below.
        let before = unsafe { self.heap.provider_mut().set_slot(source.place.slot().map(NonNull::from)) };
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(source.parent) };
        self.take_up_all(mailbox);
        self.heap.trim(0);
        // SAFETY: the slot that the arena belongs to.
        unsafe { self.heap.provider_mut().set_slot(before) };
    }
}
