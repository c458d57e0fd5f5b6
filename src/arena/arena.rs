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
use super::outbox::Outbox;
use super::packets::Apart;
use super::parent::Parent;
use super::shared::{HasMailbox, Shared};
use super::supply::{Source, Supply};
use super::sync::Link;
use crate::heap::{Heap, Trim};
use crate::lock::RawLock;
use crate::provider::{Break, Map, NoMap};
use crate::small::segments::{Near, Owner};
use crate::small::{Class, FRONTS};

/// The part of an arena that the front cache may keep in middling blocks.
const MIDDLING_SHARE: usize = 8;

/// The heap of an arena: its front cache has lists for middling blocks, too.
pub(super) type ArenasHeap<B, M, L> = Heap<Supply<B, M, L>, NoMap, FRONTS>;

/// See the module.
///
/// # Invariants
///
/// `inner` is reached only by the caller that took the arena out of its slot's word, or has claimed
/// the slot.
#[repr(C)]
pub(super) struct Arena<B, M, L> {
    mailbox: Apart<Mailbox>,
    inner: UnsafeCell<Inner<B, M, L>>,
}

/// What only the caller in the arena uses.
#[repr(C, align(128))]
pub(super) struct Inner<B, M, L> {
    pub(super) owner: Owner,
    /// Where most of what is freed here lies.
    pub(super) near: Near,
    /// What all slots share, which outlives the arena.
    shared: NonNull<Shared<Arena<B, M, L>>>,
    /// Blocks of this arena that others have freed, and that have been taken over.
    pub(super) inbox: Option<NonNull<Link>>,
    /// Bytes of the arena for which the front cache has its limit.
    cache_is_for: usize,
    /// The set of packets whose turn it is.
    pub(super) turn: usize,
    pub(super) outbox: Outbox,
    pub(super) heap: ArenasHeap<B, M, L>,
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
    /// The memory is as [`LAYOUT`](Arena::LAYOUT) says, and the arena's. What all slots share
    /// outlives it.
    pub(super) unsafe fn begin(
        memory: NonNull<u8>,
        owner: Owner,
        shared: NonNull<Shared<Self>>,
    ) -> NonNull<Self> {
        let arena = memory.cast::<Self>();
        let heap = ArenasHeap::of_arena(Supply::new(owner, shared));
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
    pub(super) unsafe fn enter<'arena>(
        arena: NonNull<Self>,
    ) -> (&'arena mut Inner<B, M, L>, &'arena Mailbox) {
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
    pub(super) unsafe fn heap(&mut self, parent: &Parent<B, M, L>) -> &mut ArenasHeap<B, M, L> {
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
        self.near.owner_of(block.addr().get()) == Some(self.owner)
    }

    /// If a block is this arena's, as far as one look tells: the class of the run in which it lies,
    /// if it lies in one.
    #[inline(always)]
    pub(super) fn class_if_own(&self, block: NonNull<u8>) -> Option<Option<Class>> {
        self.near.class_if_owned(block.addr().get(), self.owner)
    }

    /// Whose a block is.
    #[inline(always)]
    pub(super) fn owner_of(&mut self, block: NonNull<u8>) -> Owner {
        self.near.owner_of(block.addr().get()).unwrap_or_else(|| self.find_owner_of(block))
    }

    /// The same where it is not near.
    #[cold]
    #[inline(never)]
    fn find_owner_of(&mut self, block: NonNull<u8>) -> Owner {
        let owner = self.shared().map.owner_of(block.addr().get());
        if owner == self.owner || self.near.is_nothing() {
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

    /// Sends what waits for others, takes up what others have freed, keeps nothing of what is free,
    /// and gives back every segment that is.
    pub(super) fn tidy_up(&mut self, source: Source<'_, B, M, L>, mailbox: &Mailbox) {
        let shared = self.shared();
        self.outbox.send_all(|owner| shared.mailbox_of(owner));
        // SAFETY: a slot of the same heap; what was said before is said again below.
        let before =
            unsafe { self.heap.provider_mut().set_slot(source.place.slot().map(NonNull::from)) };
        // SAFETY: the parent of all arenas.
        unsafe { self.heap(source.parent) };
        self.take_up_all(mailbox);
        self.heap.trim(0);
        // SAFETY: the slot that the arena belongs to.
        unsafe { self.heap.provider_mut().set_slot(before) };
    }
}
