//! An arena for each CPU or thread: how callers share without waiting for each other (C26, C27).
//!
//! ```text
//!   allocate ─► my slot ─► its arena: a heap of its own ──(full)──► a segment of the parent ──► the break
//!                │            └─(busy: I have interrupted who is in there)─► the arena for those who interrupt
//!                └─(none)───────────────────────────────► the parent, behind its lock ◄── what is large
//!
//!   deallocate ─► the map of segments: whose is it?
//!                  ├─ mine ────► the arena
//!                  ├─ another's ► outbox ─► (enough) ─► the owner's list ─► taken up when the owner finds its front cache empty
//!                  └─ nobody's ─► the parent
//! ```
//!
//! Rules of this folder: what is local takes no lock, and exchanges nothing with other CPUs (`slot.rs`). Whoever interrupts never waits for
//! who was interrupted (`parent.rs`). A cell's owner alone touches its arena's memory, but for the blocks themselves, and the words that
//! `small/segments.rs` says others may read. Orderings are argued where they are chosen: `slot.rs`, `remote.rs`, `segments.rs`; each
//! of these is tried by loom in `tests/loom`.
//!
//! # How much memory may be out of reach
//!
//! What callers have, and of each arena: what its own heap could not give back, because live blocks lie between (as for any heap); one free
//! segment, an eighth of the arena at most; its front cache; in its outbox `BOXES · MOST_BYTES`; and what others have freed since it missed
//! for the last time. A producer's memory comes back to the producer, so what grows with time is none of these.

#![allow(clippy::module_inception, reason = "an arena is what the folder is about")]

mod arena;
mod attach;
mod by_address;
mod outbox;
mod parent;
mod quiet;
mod remote;
mod settings;
mod shared;
mod slot;
mod supply;
mod sync;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::cell::WORD;
use crate::lock::{RawLock, Spin};
use crate::locked::{or_null, without_unwinding};
use crate::provider::{Break, Cpu, Map, NoMap, SlotWord};
use crate::small::Class;
use crate::small::segments::Owner;

use arena::{Arena, Inner};
use parent::Parent;
use remote::{Chain, RemoteList};
use shared::{Place, Shared};
use slot::{Slot, State};
use supply::Source;

pub use quiet::{ArenaStats, Quiet};

/// A larger block, in bytes, comes from the parent.
const LARGE: usize = 32 << 10;

/// A more aligned block comes from the parent.
const ALIGNED: usize = 4096;

/// The layout that a heap is asked for. A block that another frees holds a link on its way back: with the profile `checked`, which looks
/// behind the caller's bytes, that are as many at least.
const fn served(layout: Layout) -> Layout {
    if !cfg!(feature = "checked") || layout.size() >= WORD {
        return layout;
    }
    match Layout::from_size_align(WORD, layout.align()) {
        Ok(layout) => layout,
        Err(_) => layout,
    }
}

/// Whether blocks of this layout come from the parent.
const fn is_large(layout: Layout) -> bool {
    layout.size() > LARGE || layout.align() > ALIGNED
}

/// A heap for many CPUs or threads: each allocates from an arena of its own, without a lock.
///
/// What is freed by another goes back to the arena that it came from. Blocks of more than 32 KiB, and the arenas' memory, come from one
/// parent heap behind a lock.
///
/// An interrupt handler may allocate and free, also if it has hit the middle of either. Who it interrupted is never waited for: while that
/// one has the parent's lock, there is what the slot's second arena has (about 60 KiB, if [`Cpu::NESTS`]), no block of more than 32 KiB, and
/// `None` beyond. To free always succeeds.
///
/// ```
/// use brkalloc::{ArenaHeap, FixedBreak, SingleCpu};
///
/// static mut MEMORY: [u8; 1 << 20] = [0; 1 << 20];
///
/// // SAFETY: nobody else names MEMORY; this program has one thread.
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
/// * a block lies in a segment of the arena that it came from, or in no segment, and is the parent's
pub struct ArenaHeap<B, C, M = NoMap, L = Spin> {
    shared: AtomicPtr<Shared<Arena<B, M, L>>>,
    cpu: C,
    parent: Parent<B, M, L>,
}

impl<B, C> ArenaHeap<B, C> {
    /// An empty heap, whose parent is behind a spin lock. The break is not moved before the first allocation.
    #[must_use]
    pub const fn new(brk: B, cpu: C) -> Self {
        Self::with_map(brk, cpu, NoMap)
    }
}

impl<B, C, M, L: RawLock> ArenaHeap<B, C, M, L> {
    /// An empty heap that gives large blocks mappings of their own (see [`Heap::with_map`](crate::Heap::with_map)), unless there is
    /// [none](NoMap); whose parent is behind any lock.
    #[must_use]
    pub const fn with_map(brk: B, cpu: C, map: M) -> Self {
        Self { shared: AtomicPtr::new(ptr::null_mut()), cpu, parent: Parent::new(brk, map) }
    }

    /// Who says which slot a caller is on.
    pub const fn cpu(&self) -> &C {
        &self.cpu
    }
}

/// A caller, for the time of one operation, who stays on one slot.
struct Caller<'heap, B, C: Cpu, M, L> {
    heap: &'heap ArenaHeap<B, C, M, L>,
    number: usize,
}

impl<B, C: Cpu, M, L> Drop for Caller<'_, B, C, M, L> {
    #[inline(always)]
    fn drop(&mut self) {
        self.heap.cpu.leave();
    }
}

impl<'heap, B: Break, C: Cpu, M: Map, L: RawLock> Caller<'heap, B, C, M, L> {
    /// Goes into the arena of the slot, if it is there and nobody is in it. Looks no further than it has to.
    #[inline(always)]
    fn go_in(&self) -> Option<Inside<'heap, B, M, L>> {
        let word = match self.heap.cpu.word() {
            Some(word) => word,
            None => self.heap.shared()?.slot(self.number)?.word(0),
        };
        Some(Inside { word, level: 0, arena: word.take()?.cast() })
    }
}

/// The same where the fast path ends: what there is to know about the caller.
struct Visit<'heap, B, C: Cpu, M, L> {
    caller: Caller<'heap, B, C, M, L>,
    heap: &'heap ArenaHeap<B, C, M, L>,
    shared: Option<&'heap Shared<Arena<B, M, L>>>,
    slot: Option<&'heap Slot<Arena<B, M, L>>>,
}

/// A caller that is in an arena.
///
/// # Invariants
///
/// The arena was taken out of the word, and has not been put back.
struct Inside<'heap, B, M, L> {
    word: &'heap SlotWord,
    level: usize,
    arena: NonNull<Arena<B, M, L>>,
}

impl<B: Break, M: Map, L: RawLock> Inside<'_, B, M, L> {
    #[inline(always)]
    fn inner(&mut self) -> (&mut Inner<B, M, L>, &RemoteList) {
        // SAFETY: who took it is alone with the arena.
        unsafe { Arena::enter(self.arena) }
    }

    /// Allocates a block that is not large from the arena. If others have freed something, some of that is taken up first.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's.
    #[inline(always)]
    unsafe fn allocate(&mut self, parent: &Parent<B, M, L>, layout: Layout) -> Option<NonNull<u8>> {
        if is_large(layout) {
            return None;
        }
        let (inner, remote) = self.inner();
        if inner.has_mail(remote) {
            inner.take_up_some(parent, remote);
        }
        // SAFETY: the caller's promise.
        let heap = unsafe { inner.heap(parent) };
        // SAFETY: callers of the heap keep it, and with it the parent, which has the arena's memory, as long as its blocks.
        unsafe { heap.allocate(layout) }
    }

    /// Frees a block of the arena.
    ///
    /// # Safety
    ///
    /// `parent` is the arena's. As for [`ArenaHeap::deallocate`]; the block is this arena's.
    #[inline(always)]
    unsafe fn deallocate(&mut self, parent: &Parent<B, M, L>, block: NonNull<u8>, layout: Option<Layout>) {
        // SAFETY: the caller's promise.
        let heap = unsafe { self.inner().0.heap(parent) };
        match layout {
            // SAFETY: the caller's promise.
            Some(layout) => unsafe { heap.deallocate(block, layout) },
            // SAFETY: the caller's promise.
            None => unsafe { heap.deallocate_unsized(block) },
        }
    }
}

impl<B, M, L> Drop for Inside<'_, B, M, L> {
    #[inline(always)]
    fn drop(&mut self) {
        self.word.put_back(self.arena.cast());
    }
}

impl<'heap, B: Break, C: Cpu, M: Map, L: RawLock> Visit<'heap, B, C, M, L> {
    /// The word of the caller's slot, at a level.
    #[inline(always)]
    fn word(&self, level: usize) -> Option<&'heap SlotWord> {
        match self.heap.cpu.word().filter(|_| level == 0) {
            Some(word) => Some(word),
            None => Some(self.slot?.word(level)),
        }
    }

    /// Goes into the arena of a level, if it is there and nobody is in it.
    #[inline(always)]
    fn go_in(&self, level: usize) -> Option<Inside<'heap, B, M, L>> {
        let word = self.word(level)?;
        Some(Inside { word, level, arena: word.take()?.cast() })
    }

    /// Goes into the arena of the slot, which gets one if it has none; or, if somebody is in it, who was interrupted, into the second one.
    #[cold]
    fn go_in_elsewhere(&self) -> Option<Inside<'heap, B, M, L>> {
        match self.slot?.state() {
            State::Attached => self.go_in(1),
            State::New | State::Retired if self.attach() => self.go_in(0),
            _ => None,
        }
    }

    fn place(&self) -> Place<'heap, Arena<B, M, L>> {
        Place::new(self.slot)
    }

    fn source(&self) -> Option<Source<'heap, B, M, L>> {
        Some(Source { parent: &self.heap.parent, shared: self.shared?, place: self.place() })
    }

    /// Whose a block is.
    #[inline(always)]
    fn owner_of(&self, block: NonNull<u8>) -> Owner {
        self.shared.map_or(Owner::NOBODY, |shared| shared.map.owner_of(block.addr().get()))
    }

    /// Allocates from an arena whose front cache has nothing, or from the parent.
    fn allocate_missed(&self, mut inside: Inside<'heap, B, M, L>, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: it was given to this heap's slot.
        if let Some(block) = unsafe { inside.allocate(&self.heap.parent, layout) } {
            return Some(block);
        }
        let level = inside.level;
        drop(inside);
        // Who has the parent's lock has left the arena, but not the slot.
        if level == 0
            && self.slot.is_some_and(Slot::has_lock)
            && let Some(second) = self.go_in(1)
        {
            return self.allocate_missed(second, layout);
        }
        self.allocate_from_parent(layout)
    }

    /// Allocates where the fast path found no arena.
    #[cold]
    fn allocate_elsewhere(&self, layout: Layout) -> Option<NonNull<u8>> {
        match self.go_in_elsewhere() {
            Some(inside) => self.allocate_missed(inside, layout),
            None => self.allocate_from_parent(layout),
        }
    }

    /// Allocates from the parent. If that has nothing, what can be had back from slots that are retired is, and it looks again.
    fn allocate_from_parent(&self, layout: Layout) -> Option<NonNull<u8>> {
        let allocate = || {
            // SAFETY: the caller keeps the heap as long as its blocks.
            self.heap.parent.with(self.place(), |heap| unsafe { heap.allocate(layout) })
        };
        let answer = allocate()?;
        if answer.is_some() || self.source().is_none_or(|source| source.shared.retired.load(Ordering::Relaxed) == 0) {
            return answer;
        }
        self.adopt_all();
        allocate()?
    }

    /// Tidies up all slots that are retired.
    fn adopt_all(&self) {
        if let Some(source) = self.source() {
            source.shared.slots().for_each(|slot| arena::adopt_slot(source, slot));
        }
    }

    /// Frees a block where the fast path found no arena.
    ///
    /// # Safety
    ///
    /// As for [`ArenaHeap::deallocate`]; `owner` is whose it is.
    #[cold]
    unsafe fn deallocate_elsewhere(&self, owner: Owner, block: NonNull<u8>, layout: Option<Layout>) {
        if owner == Owner::NOBODY {
            // SAFETY: the caller's promise; it lies in no segment.
            return unsafe { self.heap.parent.free(self.place(), block) };
        }
        if let Some(mut inside) = self.go_in_elsewhere() {
            if inside.inner().0.owner == owner {
                // SAFETY: the caller's promise.
                return unsafe { inside.deallocate(&self.heap.parent, block, layout) };
            }
            if inside.level == 0 {
                // SAFETY: the caller's promise.
                return unsafe { inside.inner().0.send(owner, block, layout) };
            }
        }
        // Who interrupts leaves nothing behind in an outbox.
        let Some(list) = self.shared.and_then(|shared| shared.list_of(owner)) else { return };
        let mut chain = Chain::EMPTY;
        // SAFETY: the caller's promise; every block holds a word.
        unsafe { chain.add(block.cast()) };
        chain.send(list);
    }
}

impl<B: Break, C: Cpu, M: Map, L: RawLock> ArenaHeap<B, C, M, L> {
    #[inline(always)]
    fn visit(&self) -> Visit<'_, B, C, M, L> {
        let caller = self.caller();
        let shared = self.shared();
        let slot = shared.and_then(|shared| shared.slot(caller.number));
        Visit { caller, heap: self, shared, slot }
    }

    #[inline(always)]
    fn caller(&self) -> Caller<'_, B, C, M, L> {
        Caller { heap: self, number: self.cpu.enter() }
    }

    /// What all slots share, if it is there already.
    #[inline(always)]
    fn shared(&self) -> Option<&Shared<Arena<B, M, L>>> {
        // SAFETY: once it is there, it stays.
        unsafe { self.shared.load(Ordering::Acquire).as_ref() }
    }

    /// Allocates a block: from the caller's arena, else from the parent.
    ///
    /// # Errors
    ///
    /// `None` if there is no memory; or if the caller has interrupted who has the parent's lock, and its second arena has none.
    ///
    /// # Time
    ///
    /// O(1), plus at most a few calls of the provider. Locally it takes no lock; every few dozen blocks others may have freed are
    /// taken up, `TAKEN_UP_AT_ONCE` at most; for more memory it waits for the parent's lock.
    ///
    /// # Safety
    ///
    /// The heap lives, and stays where it is, until the last use of the block.
    #[must_use]
    #[inline]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served(layout);
        match self.pop_front(layout) {
            Some(block) => Some(block),
            None => self.allocate_slowly(layout),
        }
    }

    /// A block that the front cache of the caller's arena has. The fast path: no more than is needed, and nothing that can fail.
    #[inline(always)]
    fn pop_front(&self, layout: Layout) -> Option<NonNull<u8>> {
        Class::of(layout)?;
        let caller = self.caller();
        caller.go_in()?.inner().0.heap.pop_front(layout)
    }

    /// Allocates what is not in the front cache.
    #[inline(never)]
    fn allocate_slowly(&self, layout: Layout) -> Option<NonNull<u8>> {
        {
            let caller = self.caller();
            if let Some(mut inside) = caller.go_in()
                // SAFETY: the arena is one of this heap.
                && let Some(block) = unsafe { inside.allocate(&self.parent, layout) }
            {
                return Some(block);
            }
        }
        self.allocate_elsewhere(layout)
    }

    /// Allocates what the caller's arena does not have.
    #[cold]
    #[inline(never)]
    fn allocate_elsewhere(&self, layout: Layout) -> Option<NonNull<u8>> {
        if self.shared().is_none() {
            // The first operation of all.
            self.prepare();
        }
        let visit = self.visit();
        match visit.go_in(0) {
            Some(inside) => visit.allocate_missed(inside, layout),
            None => visit.allocate_elsewhere(layout),
        }
    }

    /// Allocates a block of zeros. See [`Heap::allocate_zeroed`](crate::Heap::allocate_zeroed).
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    pub unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served(layout);
        if is_large(layout) {
            // What is fresh from the provider need not be written to.
            let visit = self.visit();
            // SAFETY: the caller's promise.
            let answer = self.parent.with(visit.place(), |heap| unsafe { heap.allocate_zeroed(layout) });
            if let Some(Some(block)) = answer {
                return Some(block);
            }
        }
        // SAFETY: the caller's promise.
        let block = unsafe { self.allocate(layout) }?;
        // SAFETY: a new block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        Some(block)
    }

    /// [`allocate`](ArenaHeap::allocate) that never calls the provider. It may wait for the parent's lock.
    ///
    /// # Safety
    ///
    /// As for [`allocate`](ArenaHeap::allocate).
    #[must_use]
    pub unsafe fn try_allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        let layout = served(layout);
        let visit = self.visit();
        if let Some(mut inside) = visit.go_in(0).or_else(|| visit.go_in(1)).filter(|_| !is_large(layout)) {
            // SAFETY: the caller's promise.
            if let Some(block) = unsafe { inside.inner().0.heap.try_allocate(layout) } {
                return Some(block);
            }
        }
        // SAFETY: the caller's promise.
        self.parent.with(visit.place(), |heap| unsafe { heap.try_allocate(layout) })?
    }

    /// Frees a block. That always succeeds.
    ///
    /// # Time
    ///
    /// O(1). Locally it takes no lock. For another's block there is one exchange with its owner every few dozen.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is not used any more.
    #[inline]
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        let layout = served(layout);
        // SAFETY: the caller's promise.
        if !unsafe { self.deallocate_quickly(block, layout) } {
            // SAFETY: the caller's promise.
            unsafe { self.deallocate_slowly(block, Some(layout)) };
        }
    }

    /// Frees a small block: the front cache takes it, or the outbox. The fast path.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](ArenaHeap::deallocate), if the answer is true.
    #[inline(always)]
    unsafe fn deallocate_quickly(&self, block: NonNull<u8>, layout: Layout) -> bool {
        if Class::of(layout).is_none() {
            return false;
        }
        let caller = self.caller();
        let Some(mut inside) = caller.go_in() else { return false };
        let inner = inside.inner().0;
        let owner = inner.owner_of(block);
        if owner == inner.owner {
            // SAFETY: the caller's promise; the block is this arena's.
            return unsafe { inner.heap.push_front(block, layout) };
        }
        if owner == Owner::NOBODY {
            return false;
        }
        // SAFETY: the caller's promise.
        unsafe { inner.send(owner, block, Some(layout)) };
        true
    }

    /// Frees what the front cache has no room for, or is another's.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](ArenaHeap::deallocate).
    #[inline(never)]
    unsafe fn deallocate_slowly(&self, block: NonNull<u8>, layout: Option<Layout>) {
        let caller = self.caller();
        if let Some(mut inside) = caller.go_in() {
            let inner = inside.inner().0;
            let owner = inner.owner_of(block);
            if owner == inner.owner {
                // SAFETY: the arena is one of this heap; the caller's promise.
                return unsafe { inside.deallocate(&self.parent, block, layout) };
            }
            if owner != Owner::NOBODY {
                // SAFETY: the caller's promise.
                return unsafe { inner.send(owner, block, layout) };
            }
        }
        drop(caller);
        let visit = self.visit();
        // SAFETY: the caller's promise.
        unsafe { visit.deallocate_elsewhere(visit.owner_of(block), block, layout) };
    }

    /// Changes the size of a block and keeps its contents up to the smaller of both sizes. Another's block moves to the caller's arena, unless
    /// it can stay as it is.
    ///
    /// # Errors
    ///
    /// `None` if there is no memory. The block is as it was.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout and was not freed since. After `Some`, only the new block may be used, and
    /// its layout is `new_size` with the old alignment.
    #[must_use]
    pub unsafe fn reallocate(&self, block: NonNull<u8>, layout: Layout, new_size: usize) -> Option<NonNull<u8>> {
        let layout = served(layout);
        let new = served(Layout::from_size_align(new_size, layout.align()).ok()?);
        let visit = self.visit();
        let owner = visit.owner_of(block);
        if owner == Owner::NOBODY {
            // SAFETY: the caller's promise; it lies in no segment.
            let answer = self.parent.with(visit.place(), |heap| unsafe { heap.reallocate(block, layout, new.size()) });
            if let Some(Some(block)) = answer {
                return Some(block);
            }
        } else if let Some(mut inside) = visit.go_in(0).filter(|_| !is_large(new))
            && let (inner, _) = inside.inner()
            && inner.owner == owner
        {
            // SAFETY: the arena is one of this heap.
            let heap = unsafe { inner.heap(&self.parent) };
            // SAFETY: the caller's promise.
            if let Some(block) = unsafe { heap.reallocate(block, layout, new.size()) } {
                return Some(block);
            }
        } else if stays(layout, new) {
            return Some(block);
        }
        drop(visit);
        // SAFETY: the caller keeps the heap as long as its blocks.
        let moved = unsafe { self.allocate(new) }?;
        // SAFETY: two blocks, which do not overlap, each at least as long as what is copied.
        unsafe { moved.copy_from_nonoverlapping(block, layout.size().min(new.size())) };
        // SAFETY: the caller gave the old block up; its contents are in the new one.
        unsafe { self.deallocate(block, layout) };
        Some(moved)
    }
}

/// Whether a block may keep its place with another layout, whoever's it is: its size does not have to be told to its owner.
fn stays(old: Layout, new: Layout) -> bool {
    if cfg!(feature = "checked") {
        return false;
    }
    match (Class::of(old), Class::of(new)) {
        (None, _) => new.size() <= old.size() && new.size() > old.size() / 2,
        (old, new) => old == new,
    }
}

impl<B, C, M, L> fmt::Debug for ArenaHeap<B, C, M, L> {
    /// Waits for nobody, and so does not look behind the lock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArenaHeap").finish_non_exhaustive()
    }
}

// SAFETY: a block is valid for its layout, overlaps no other, and stays so until it is freed, as the heaps promise that it comes from.
// Nothing here unwinds.
unsafe impl<B: Break, C: Cpu, M: Map, L: RawLock> GlobalAlloc for ArenaHeap<B, C, M, L> {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives for ever.
        or_null(without_unwinding(|| unsafe { self.allocate(layout) }))
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's promise.
            without_unwinding(|| unsafe { self.deallocate(block, layout) });
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives for ever.
        or_null(without_unwinding(|| unsafe { self.allocate_zeroed(layout) }))
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        or_null(match NonNull::new(block) {
            // SAFETY: the caller's promise.
            Some(block) => without_unwinding(|| unsafe { self.reallocate(block, layout, new_size) }),
            // `realloc` of nothing is `malloc` (C7).
            None => Layout::from_size_align(new_size, layout.align()).ok().and_then(|new_layout| {
                // SAFETY: a global allocator lives for ever.
                without_unwinding(|| unsafe { self.allocate(new_layout) })
            }),
        })
    }
}
