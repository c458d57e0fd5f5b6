//! An arena for each CPU or thread: how callers share without waiting for each other (C26, C27).
//!
//! ```text
//!   allocate ──► the caller's slot ──► its arena, a heap of its own ──► a segment of the parent
//!                  │            └─(busy: the caller has interrupted it)─► the slot's second arena
//!                  └─(none)──► the parent, behind its lock ◄── large blocks
//!
//!   deallocate ─► the map of segments: owner and slab
//!                  ├─ the caller's ─► the slab's list
//!                  ├─ another's ────► outbox ─► a packet of the owner, or its list ─► collected by
//!                  │                             the owner when a class has no block at hand
//!                  └─ no owner ─────► the parent
//! ```
//!
//! Rules of this folder: a local operation takes no lock, and exchanges nothing with other CPUs
//! (`slot.rs`). An interrupt handler never waits for the code that it interrupted (`parent.rs`).
//! Only the owner touches an arena's memory, except for the blocks themselves, and the words that
//! `segments/` says others may read. Orderings are argued where they are chosen: `slot.rs`,
//! `packets.rs`, `remote.rs`, `segments/`; the first three are tried by loom in `tests/loom`.
//!
//! # How much memory may be out of reach
//!
//! Blocks that callers have, and for each arena: what its own heap cannot give back, because live
//! blocks lie between (as in any heap); one free segment, of at most an eighth of the arena or of
//! four blocks; what slabs hold back (`slabs/`: at most one empty slab a class, and slabs on loan);
//! in its outbox, of other arenas, `BOXES` times `MOST_BYTES` and a block; and blocks that other
//! callers have freed and it has not collected: `PACKETS` times as much as a box, and the rest in
//! the list. Before a slab begins it collects all of them, or as many as a slab can have. A
//! producer's memory comes back to the producer, so none of these grows with time. Where memory
//! runs out, and when the arenas have grown by a quarter, all of that goes back from idle arenas,
//! and what lies between live blocks there is within reach: `reclaim.rs`.

#![allow(clippy::module_inception, reason = "an arena is what the folder is about")]

mod allocate;
mod arena;
mod attach;
mod check;
mod checked;
mod deallocate;
mod empty;
mod exclusive;
mod fork;
#[cfg(all(feature = "linux", target_os = "linux"))]
mod linux;
mod mail;
mod mailbox;
mod outbox;
mod packets;
mod parent;
mod reclaim;
mod remote;
mod resize;
mod sampling;
mod settings;
mod shared;
mod slot;
mod sync;
mod visit;

use core::alloc::Layout;
use core::fmt;
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::cell::{Form, WORD};
use crate::layer::Layer;
use crate::lock::{RawLock, Spin};
use crate::profile::{OfArena, Profile, Usual};
use crate::provider::{FixedBreak, InitError, LateBreak, Map, NoMap, Slots, Source};
use crate::size_class::MOST_ALIGNED;

use arena::Arena;
use parent::Parent;
use shared::Shared;

pub use exclusive::{ArenaStats, Exclusive};
pub use fork::ArenaHooks;
#[cfg(all(feature = "linux", target_os = "linux"))]
pub use linux::LinuxHeap;

/// Maximum size of a block of an arena, in bytes: a larger one comes from the parent.
const LARGE: usize = 128 << 10;

/// Returns the layout that a heap is asked for. A block that another caller frees holds a link on
/// its way back: a checked heap, which verifies the bytes behind the caller's, takes at least a
/// word.
#[inline(always)]
const fn served<F: Form>(layout: Layout) -> Layout {
    if !F::CHECKED || layout.size() >= WORD {
        return layout;
    }
    match Layout::from_size_align(WORD, layout.align()) {
        Ok(layout) => layout,
        Err(_) => layout,
    }
}

/// Returns whether an arena has a layer of small blocks, and no record of each to write.
#[inline(always)]
const fn has_fast_paths<P: Profile>() -> bool {
    !P::CHECKED && <P::ArenaLayerOf<OfArena<P>> as Layer<OfArena<P>>>::PRESENT
}

/// Returns whether blocks of this layout, which is long or over-aligned, come from the parent.
const fn is_large(layout: Layout) -> bool {
    layout.size() > LARGE || layout.align() > MOST_ALIGNED
}

/// A heap for many CPUs or threads: each allocates from an arena of its own, without a lock.
///
/// A block that another caller frees goes back to the arena that it came from. Blocks of more than
/// 128 KiB, and the arenas' memory, come from one parent heap behind a lock.
///
/// An interrupt handler may allocate and free, also in the middle of either. It never waits for the
/// code that it interrupted: while that code holds the parent's lock, the handler gets what the
/// slot's second arena has (a segment of 64 KiB at first, if [`Cpu::NESTS`](crate::Cpu::NESTS)), no
/// block of more than 128 KiB, and `None` beyond. A free always succeeds.
///
/// ```
/// use brkalloc::{ArenaHeap, FixedBreak, SingleCpu};
///
/// static mut MEMORY: [u8; 1 << 20] = [0; 1 << 20];
///
/// // SAFETY: nothing else uses MEMORY; this program has one thread.
/// static HEAP: ArenaHeap<FixedBreak, SingleCpu> =
///     unsafe { ArenaHeap::new(FixedBreak::from_raw((&raw mut MEMORY).cast(), 1 << 20), SingleCpu::new()) };
/// # use core::alloc::Layout;
/// // SAFETY: the heap lives for ever; the block is freed once, with its own layout.
/// unsafe {
///     let block = HEAP.allocate(Layout::new::<u64>()).unwrap();
///     HEAP.deallocate(block, Layout::new::<u64>());
/// }
/// HEAP.check().unwrap();
/// ```
///
/// # Invariants
///
/// * `shared` is null, or what all slots share: then it stays
/// * a block lies in a segment of the arena that it came from, or in no segment, and is the
///   parent's
pub struct ArenaHeap<B, C, M = NoMap, P: Profile = Usual, L = Spin> {
    shared: AtomicPtr<Shared<Arena<B, M, P, L>>>,
    cpu: C,
    parent: Parent<B, M, P, L>,
}

impl<B, C> ArenaHeap<B, C> {
    /// Returns an empty heap whose parent is behind a spin lock. Does not use the break before the
    /// first allocation.
    #[must_use]
    pub const fn new(brk: B, cpu: C) -> Self {
        Self::with_map(brk, cpu, NoMap)
    }
}

impl<B, C, M, L: RawLock> ArenaHeap<B, C, M, Usual, L> {
    /// Returns an empty heap that gives large blocks mappings of their own (see
    /// [`Heap::with_map`](crate::Heap::with_map)), unless the provider is [`NoMap`]. Its parent is
    /// behind any lock.
    #[must_use]
    pub const fn with_map(brk: B, cpu: C, map: M) -> Self {
        Self::with_profile(brk, cpu, map)
    }
}

impl<B, C, M, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Returns an empty heap of any profile, whose parent is behind any lock.
    #[must_use]
    pub const fn with_profile(brk: B, cpu: C, map: M) -> Self {
        Self { shared: AtomicPtr::new(ptr::null_mut()), cpu, parent: Parent::new(brk, map) }
    }

    /// Returns the provider of slots.
    pub const fn cpu(&self) -> &C {
        &self.cpu
    }
}

impl<B: LateBreak, C, P: Profile, L: RawLock> ArenaHeap<B, C, NoMap, P, L> {
    /// Returns a heap whose break is unset: it answers out of memory until
    /// [`init`](ArenaHeap::init) or [`init_with`](ArenaHeap::init_with) sets the break.
    #[must_use]
    pub const fn empty(cpu: C) -> Self {
        Self::with_profile(B::UNSET, cpu, NoMap)
    }
}

impl<B: LateBreak, C, M, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Sets the break to the region of `len` bytes at `base`, once the kernel knows it. O(1): the
    /// region is not touched.
    ///
    /// ```
    /// use brkalloc::{ArenaHeap, FixedBreak, InitError, SingleCpu};
    ///
    /// // SAFETY: this program has one thread.
    /// static HEAP: ArenaHeap<FixedBreak, SingleCpu> =
    ///     ArenaHeap::empty(unsafe { SingleCpu::new() });
    ///
    /// fn found_memory(base: *mut u8, len: usize) -> Result<(), InitError> {
    ///     // SAFETY: the boot loader left the region free, and only this heap takes it.
    ///     unsafe { HEAP.init(base, len) }
    /// }
    /// # let memory = Box::leak(vec![0; 1 << 20].into_boxed_slice());
    /// # let (base, len) = (memory.as_mut_ptr(), memory.len());
    /// # let layout = core::alloc::Layout::new::<u64>();
    /// # assert_eq!(unsafe { HEAP.allocate(layout) }, None);
    /// # found_memory(base, len).unwrap();
    /// # assert!(unsafe { HEAP.allocate(layout) }.is_some());
    /// # assert_eq!(found_memory(base, len), Err(InitError::AlreadyInitialized));
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`Locked::init`](crate::Locked::init). The heap has not changed.
    ///
    /// # Safety
    ///
    /// As for [`Locked::init`](crate::Locked::init). The caller has not interrupted an operation of
    /// this heap.
    pub unsafe fn init(&self, base: *mut u8, len: usize) -> Result<(), InitError>
    where
        B: LateBreak<Inner = FixedBreak>,
    {
        // SAFETY: the clauses are those of this method.
        unsafe { self.parent.heap.init(base, len) }
    }

    /// Sets the break, once the kernel has made it. O(1).
    ///
    /// # Errors
    ///
    /// The heap has a break, which stays. `brk` is dropped.
    ///
    /// # Safety
    ///
    /// As for [`Locked::init_with`](crate::Locked::init_with). The caller has not interrupted an
    /// operation of this heap.
    pub unsafe fn init_with(&self, brk: B::Inner) -> Result<(), InitError> {
        // SAFETY: the clauses are those of this method.
        unsafe { self.parent.heap.init_with(brk) }
    }
}

impl<B: LateBreak, C: Default, P: Profile, L: RawLock> Default for ArenaHeap<B, C, NoMap, P, L> {
    /// [`empty`](ArenaHeap::empty).
    fn default() -> Self {
        Self::empty(C::default())
    }
}

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Returns what all slots share; `None` before the first operation.
    #[inline(always)]
    fn shared(&self) -> Option<&Shared<Arena<B, M, P, L>>> {
        // SAFETY: once made, it stays as long as the heap.
        unsafe { self.shared.load(Ordering::Acquire).as_ref() }
    }
}

impl<B, C, M, P: Profile, L> fmt::Debug for ArenaHeap<B, C, M, P, L> {
    /// Does not wait for the lock, and so does not show the parent.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaHeap").finish_non_exhaustive()
    }
}
