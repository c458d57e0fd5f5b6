//! One heap behind one lock: how callers share (C25).

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

#[cfg(not(feature = "tiny"))]
use crate::heap::RegionError;
use crate::heap::{Corruption, Heap, MapThreshold, Stats, Trim};
use crate::lock::{RawLock, Spin};
use crate::provider::{Break, BreakError, Map, NoMap};
use crate::raw_heap::RawHeap;
use crate::simple::SimpleHeap;

/// A heap behind a lock, which makes it usable through a shared reference: in a `static`, and as
/// the global allocator.
///
/// Everybody waits for everybody: correct, and slow under contention. An interrupt handler that
/// allocates while the code that it interrupted holds the lock waits for ever; mask interrupts
/// ([`MaskInterrupts`](crate::MaskInterrupts)), keep the heap out of handlers, or take
/// an `ArenaHeap`.
///
/// # Invariants
///
/// The heap is reached only by `locked`, so only by whoever holds the lock.
pub struct Locked<H, L = Spin> {
    lock: L,
    heap: UnsafeCell<H>,
}

// SAFETY: by the invariant, one thread at a time reaches the heap, which may go from thread to
// thread.
unsafe impl<H: Send, L: Sync> Sync for Locked<H, L> {}

/// The heap to link into a kernel: [`Heap`] behind a spin lock.
///
/// ```
/// use brkalloc::{FixedBreak, LockedHeap};
///
/// const SIZE: usize = 64 << 10;
/// static mut ARENA: [u8; SIZE] = [0; SIZE];
///
/// #[global_allocator]
/// // SAFETY: nobody else names ARENA.
/// static HEAP: LockedHeap<FixedBreak> = LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });
/// # fn main() {}
/// ```
pub type LockedHeap<B, M = NoMap> = Locked<Heap<B, M>>;

impl<B, L: RawLock> Locked<Heap<B>, L> {
    /// An empty heap. The break is not moved before the first allocation.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self::around(Heap::new(brk))
    }

    /// An empty heap of the documents' kind. See [`Heap::plain`].
    #[must_use]
    pub const fn plain(brk: B) -> Self {
        Self::around(Heap::plain(brk))
    }
}

impl<B, M, L: RawLock> Locked<Heap<B, M>, L> {
    /// An empty heap that gives large blocks mappings of their own. See [`Heap::with_map`].
    #[must_use]
    pub const fn with_map(brk: B, map: M) -> Self {
        Self::around(Heap::with_map(brk, map))
    }
}

impl<B, L: RawLock> Locked<SimpleHeap<B>, L> {
    /// An empty heap of the simple kind.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self::around(SimpleHeap::new(brk))
    }
}

impl<H, L: RawLock> Locked<H, L> {
    const fn around(heap: H) -> Self {
        Self { lock: L::INIT, heap: UnsafeCell::new(heap) }
    }

    /// Runs `run` with the heap locked. Whether it returns or unwinds, the lock is given back.
    fn locked<R>(&self, run: impl FnOnce(&mut H) -> R) -> R {
        let _held = self.hold();
        // SAFETY: whoever holds the lock is alone with the heap: the type's invariant, and
        // `RawLock`'s promise.
        run(unsafe { &mut *self.heap.get() })
    }

    /// Waits for the lock. One loop for all callers, if code is to be small.
    #[cfg_attr(feature = "tiny", inline(never))]
    fn hold(&self) -> L::Guard<'_> {
        self.lock.lock()
    }

    /// Runs `look` with the heap locked, for whatever is not offered directly: a walk over the
    /// cells, or the provider.
    ///
    /// `look` must not use the same heap through this lock: printing may, formatting into a
    /// `String` does.
    pub fn with<R>(&self, look: impl FnOnce(&H) -> R) -> R {
        self.locked(|heap| look(heap))
    }

    /// Runs `change` with the heap locked, for settings.
    ///
    /// # Safety
    ///
    /// While blocks are in use, `change` leaves the heap and its provider in place: it does not
    /// replace either by another.
    pub unsafe fn with_mut<R>(&self, change: impl FnOnce(&mut H) -> R) -> R {
        self.locked(change)
    }
}

impl<H: RawHeap, L: RawLock> Locked<H, L> {
    /// See [`Heap::allocate`].
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        self.locked(|heap| unsafe { heap.allocate(layout) })
    }

    /// See [`Heap::allocate_zeroed`].
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        self.locked(|heap| unsafe { heap.allocate_zeroed(layout) })
    }

    /// See [`Heap::deallocate`].
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is not used any
    /// more.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        self.locked(|heap| unsafe { heap.deallocate(block, layout) });
    }

    /// See [`Heap::reallocate`].
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Locked::deallocate), unless the answer is `None`.
    #[must_use]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        self.locked(|heap| unsafe { heap.reallocate(block, layout, new_size) })
    }
}

impl<B: Break, M: Map, L: RawLock> Locked<Heap<B, M>, L> {
    /// See [`Heap::try_allocate`]. It never calls the provider, but waits for the lock.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn try_allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        self.locked(|heap| unsafe { heap.try_allocate(layout) })
    }

    /// See [`Heap::reserve`].
    ///
    /// # Errors
    ///
    /// What the provider answers.
    pub fn reserve(&self, bytes: usize) -> Result<(), BreakError> {
        self.locked(|heap| heap.reserve(bytes))
    }

    /// See [`Heap::trim`].
    pub fn trim(&self, keep: usize) -> usize {
        self.locked(|heap| heap.trim(keep))
    }

    /// See [`Heap::flush`].
    pub fn flush(&self) {
        self.locked(Heap::flush);
    }

    /// See [`Heap::set_cache_limit`].
    pub fn set_cache_limit(&self, bytes: usize) {
        self.locked(|heap| heap.set_cache_limit(bytes));
    }

    /// See [`Heap::set_trim`].
    pub fn set_trim(&self, trim: Trim) {
        self.locked(|heap| heap.set_trim(trim));
    }

    /// See [`Heap::set_map_threshold`].
    pub fn set_map_threshold(&self, threshold: MapThreshold) {
        self.locked(|heap| heap.set_map_threshold(threshold));
    }

    /// See [`Heap::add_region`].
    ///
    /// # Errors
    ///
    /// The memory cannot be used. The heap is as it was.
    ///
    /// # Safety
    ///
    /// As for [`Heap::add_region`].
    #[cfg(not(feature = "tiny"))]
    pub unsafe fn add_region(&self, base: *mut u8, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the caller's promise.
        self.locked(|heap| unsafe { heap.add_region(base, len) })
    }

    /// See [`Heap::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.locked(|heap| heap.stats())
    }

    /// See [`Heap::check`].
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        self.locked(|heap| heap.check())
    }
}

#[cfg(feature = "checked")]
impl<B, M, L: RawLock> Locked<Heap<B, M>, L> {
    /// See [`Heap::set_misuse_hook`]. The hook is called with the heap locked.
    pub fn set_misuse_hook(&self, hook: crate::MisuseHook) {
        self.locked(|heap| heap.set_misuse_hook(hook));
    }
}

impl<H, L> fmt::Debug for Locked<H, L> {
    /// Does not wait for the lock, and so does not look behind it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}
