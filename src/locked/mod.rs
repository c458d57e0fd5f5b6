//! One heap behind one lock: how callers share (C25).

mod guard;

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use crate::check::Corruption;
use crate::chunks::Trim;
use crate::heap::Heap;
use crate::inspect::Stats;
#[cfg(feature = "critical-section")]
use crate::lock::CriticalSection;
use crate::lock::{AnyOrder, RawLock, Spin};
use crate::mapped::MapThreshold;
use crate::misuse::MisuseHook;
use crate::profile::{Checked, Profile, Usual};
use crate::provider::{BreakError, FixedBreak, InitError, LateBreak, Map, NoMap, Source};
use crate::raw_heap::RawHeap;
use crate::shared_heap::SharedHeap;
use crate::space::RegionError;
use crate::unchecked::OutOfMemoryHook;

pub use guard::{HeapGuard, HeapMutGuard};

/// A heap behind a lock, usable through a shared reference: in a `static`, and as the global
/// allocator.
///
/// [`new`](Locked::new) and [`with_map`](Locked::with_map) make a [`Heap`] behind any lock,
/// [`empty`](Locked::empty) one that [`init`](Locked::init) gives its memory later, and
/// [`from_heap`](Locked::from_heap) takes a heap of any kind:
///
/// ```
/// use brkalloc::{FixedBreak, Locked, SimpleHeap};
///
/// let memory = Box::leak(Box::new([0; 4096]));
/// let heap: Locked<SimpleHeap<FixedBreak>> =
///     Locked::from_heap(SimpleHeap::new(FixedBreak::from_array(memory)));
/// # assert_eq!(heap.inspect(|heap| heap.provider().len()), 4096);
/// ```
///
/// Every caller waits for the lock: correct, and slow under contention. An interrupt handler that
/// allocates while the code that it interrupted holds the lock waits forever. Mask interrupts
/// ([`MaskInterrupts`](crate::MaskInterrupts)), do not allocate in handlers, or use an `ArenaHeap`.
///
/// # Time
///
/// Each method takes the time of the heap's method of that name, and the wait for the lock.
///
/// # Invariants
///
/// A reference to the heap exists only while its user holds the lock.
pub struct Locked<H, L = Spin> {
    lock: L,
    heap: UnsafeCell<H>,
}

// SAFETY: by the invariant and `RawLock`'s contract, one thread at a time reaches the heap; `H:
// Send` lets that thread be any.
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
/// // SAFETY: ARENA is used by this break alone.
/// static HEAP: LockedHeap<FixedBreak> =
///     LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), SIZE) });
/// # fn main() {}
/// ```
pub type LockedHeap<B, M = NoMap, P = Usual> = Locked<Heap<B, M, P>>;

/// The heap for firmware whose interrupt handlers allocate: [`Heap`] behind the program's critical
/// section (feature `critical-section`).
///
/// ```
/// # use critical_section as _; // the host's, by the feature `std` of that crate
/// use brkalloc::{CriticalHeap, FixedBreak};
///
/// static mut ARENA: [u8; 16 << 10] = [0; 16 << 10];
///
/// #[global_allocator]
/// // SAFETY: ARENA is used by this break alone.
/// static HEAP: CriticalHeap<FixedBreak> =
///     CriticalHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 16 << 10) });
/// # fn main() {}
/// ```
#[cfg(feature = "critical-section")]
pub type CriticalHeap<B, M = NoMap, P = Usual> = Locked<Heap<B, M, P>, CriticalSection>;

// The bounds of a constructor stand at the constructor: there the compiler shows the messages of
// `#[diagnostic::on_unimplemented]`, which it does not for bounds of an `impl`.

impl<B, L> Locked<Heap<B>, L> {
    /// Returns a heap over a break. The break does not move before the first allocation.
    ///
    /// The type of a `static` decides the lock:
    ///
    /// ```
    /// use brkalloc::{FixedBreak, Heap, Locked, Spin};
    ///
    /// static HEAP: Locked<Heap<Option<FixedBreak>>, Spin> = Locked::new(None);
    /// ```
    #[must_use]
    pub const fn new(brk: B) -> Self
    where
        B: Source,
        L: RawLock,
    {
        Self::from_heap(Heap::new(brk))
    }
}

impl<B, M, L> Locked<Heap<B, M>, L> {
    /// Returns a heap that gives large blocks mappings of their own. See [`Heap::with_map`].
    #[must_use]
    pub const fn with_map(brk: B, map: M) -> Self
    where
        B: Source,
        M: Map,
        L: RawLock,
    {
        Self::from_heap(Heap::with_map(brk, map))
    }
}

impl<H, L> Locked<H, L> {
    /// Puts a heap of any kind behind an unlocked lock.
    #[must_use]
    pub const fn from_heap(heap: H) -> Self
    where
        L: RawLock,
    {
        Self { lock: L::INIT, heap: UnsafeCell::new(heap) }
    }
}

impl<H, L: RawLock> Locked<H, L> {
    /// Runs `run` with the heap locked. The heap is unlocked when `run` returns or unwinds.
    fn locked<R>(&self, run: impl FnOnce(&mut H) -> R) -> R {
        let _held = self.lock.lock();
        // SAFETY: the lock is held, so by `RawLock`'s contract and the type's invariant no other
        // reference to the heap exists.
        run(unsafe { &mut *self.heap.get() })
    }

    /// Runs `look` with the heap locked: for a walk over the cells, or a look at the provider.
    /// Takes the wait for the lock, and the time of `look`.
    ///
    /// `look` must not use the same heap through this lock, or it waits forever: printing may do
    /// so, and formatting into a `String` does.
    ///
    /// ```
    /// use brkalloc::{FixedBreak, LockedHeap};
    ///
    /// let memory = Box::leak(Box::new([0; 4096]));
    /// let heap = LockedHeap::new(FixedBreak::from_array(memory));
    /// assert_eq!(heap.inspect(|heap| heap.cells().count()), 0);
    /// ```
    pub fn inspect<R>(&self, look: impl FnOnce(&H) -> R) -> R {
        self.locked(|heap| look(heap))
    }

    /// Runs `run` with the heap locked and exclusive, for operations that have no method here.
    /// Takes the wait for the lock, and the time of `run`.
    ///
    /// `run` must not use the same heap through this lock, or it waits forever.
    ///
    /// # Safety
    ///
    /// While blocks are in use, `run` leaves the heap and its providers in place: it neither
    /// replaces nor swaps them. (`mem::swap` of two heaps is safe code.)
    pub unsafe fn with<R>(&self, run: impl FnOnce(&mut H) -> R) -> R {
        self.locked(run)
    }

    /// Locks the heap. The guard derefs to the heap, and unlocks when it is dropped. O(1), and the
    /// wait for the lock.
    ///
    /// The thread that has the guard must not use the same heap through this lock, or it waits
    /// forever. A temporary guard lives until the end of its statement, so a statement with two of
    /// them waits forever, too.
    ///
    /// ```
    /// use brkalloc::{FixedBreak, LockedHeap};
    ///
    /// let memory = Box::leak(Box::new([0; 4096]));
    /// let heap = LockedHeap::new(FixedBreak::from_array(memory));
    /// let guard = heap.lock();
    /// assert_eq!((guard.cells().count(), guard.provider().len()), (0, 4096));
    /// ```
    pub fn lock(&self) -> HeapGuard<'_, H, L>
    where
        L: AnyOrder,
    {
        HeapGuard::new(self)
    }

    /// Locks the heap. The guard derefs to the heap, mutably, and unlocks when it is dropped. O(1),
    /// and the wait for the lock.
    ///
    /// # Safety
    ///
    /// As for [`with`](Locked::with), for the lifetime of the guard.
    pub unsafe fn lock_mut(&self) -> HeapMutGuard<'_, H, L>
    where
        L: AnyOrder,
    {
        HeapMutGuard::new(self)
    }
}

impl<B, P: Profile, L> Locked<Heap<B, NoMap, P>, L> {
    /// Returns a heap whose break is unset: it answers out of memory until [`init`](Locked::init)
    /// or [`init_with`](Locked::init_with) sets the break.
    ///
    /// A heap with a provider of mappings begins as
    /// [`with_map`](Locked::with_map)`(FixedBreak::EMPTY, map)`.
    #[must_use]
    pub const fn empty() -> Self
    where
        B: LateBreak,
        L: RawLock,
    {
        Self::from_heap(Heap::with_profile(B::UNSET, NoMap))
    }
}

impl<B, M, P: Profile, L: RawLock> Locked<Heap<B, M, P>, L> {
    /// Sets the break to the region of `len` bytes at `base`, once the kernel knows it. O(1): the
    /// region is not touched.
    ///
    /// ```
    /// use brkalloc::{FixedBreak, InitError, LockedHeap};
    ///
    /// static HEAP: LockedHeap<FixedBreak> = LockedHeap::empty();
    ///
    /// fn found_memory(base: *mut u8, len: usize) -> Result<(), InitError> {
    ///     // SAFETY: the boot loader left the region free, and only this heap takes it.
    ///     unsafe { HEAP.init(base, len) }
    /// }
    /// # let memory = Box::leak(Box::new([0; 10_000]));
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
    /// The heap has a break, or `base` is null, or the region is longer than `isize::MAX` bytes or
    /// wraps around the address space. The heap has not changed.
    ///
    /// # Safety
    ///
    /// As for [`FixedBreak::try_from_raw`]: the region is valid for reads and writes, and nothing
    /// else uses it as long as the heap or a block of it is in use. If an error is returned,
    /// nothing is required of the region.
    pub unsafe fn init(&self, base: *mut u8, len: usize) -> Result<(), InitError>
    where
        B: LateBreak<Inner = FixedBreak>,
    {
        // SAFETY: the caller upholds the clauses of `try_from_raw` for this region.
        let brk = unsafe { FixedBreak::try_from_raw(base, len) }?;
        self.locked(|heap| heap.provider_mut().set(brk))
    }

    /// Sets the break, once the kernel has made it. O(1).
    ///
    /// ```
    /// use brkalloc::{FixedBreak, LockedHeap};
    ///
    /// static HEAP: LockedHeap<Option<FixedBreak>> = LockedHeap::empty();
    ///
    /// let brk = FixedBreak::from_array(Box::leak(Box::new([0; 10_000])));
    /// // SAFETY: the array belongs to the break alone, and lives forever.
    /// unsafe { HEAP.init_with(brk) }.unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// The heap has a break, which stays. `brk` is dropped.
    ///
    /// # Safety
    ///
    /// `brk` upholds the contract of [`Break`](crate::Break) for its whole life in this heap: none
    /// of its memory is a region that was [added](Locked::add_region), and no memory of an earlier
    /// break of this heap is in use.
    pub unsafe fn init_with(&self, brk: B::Inner) -> Result<(), InitError>
    where
        B: LateBreak,
    {
        self.locked(|heap| heap.provider_mut().set(brk))
    }
}

impl<H: RawHeap, L: RawLock> Locked<H, L> {
    /// Allocates a block: see [`Heap::allocate`]. `None` if there is no memory. O(1) for a
    /// [`Heap`], plus at most a few calls of the provider.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive until the last use of the block.
        self.locked(|heap| unsafe { heap.allocate(layout) })
    }

    /// Allocates a block of zeros: see [`Heap::allocate_zeroed`]. `None` if there is no memory. The
    /// time of [`allocate`](Locked::allocate), plus O(bytes that are not known to be zero).
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive until the last use of the block.
        self.locked(|heap| unsafe { heap.allocate_zeroed(layout) })
    }

    /// Frees a block: see [`Heap::deallocate`]. O(1) for a [`Heap`], plus at most one call of the
    /// provider.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is no longer used.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: by the caller, the block is live, has this layout, and is no longer used.
        self.locked(|heap| unsafe { heap.deallocate(block, layout) });
    }

    /// Changes the size of a block, in place where it can: see [`Heap::reallocate`]. `None` if
    /// there is no memory; the block is then as it was. The time of [`allocate`](Locked::allocate),
    /// plus the copy if the block moves.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Locked::deallocate), unless the result is `None`.
    #[must_use]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: by the caller, the block is live and has this layout; after `Some` it is no
        // longer used.
        self.locked(|heap| unsafe { heap.reallocate(block, layout, new_size) })
    }
}

impl<B: Source, M: Map, P: Profile, L: RawLock> Locked<Heap<B, M, P>, L> {
    /// Allocates a block without a call of the provider: see [`Heap::try_allocate`]. `None` if
    /// memory of the heap has no room. O(1), and the wait for the lock.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn try_allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive until the last use of the block.
        self.locked(|heap| unsafe { heap.try_allocate(layout) })
    }

    /// Moves the break up so far that the next block, of at most `bytes` bytes, needs no other
    /// movement: see [`Heap::reserve`]. O(1), plus a few calls of the provider.
    ///
    /// # Errors
    ///
    /// The error of the provider.
    pub fn reserve(&self, bytes: usize) -> Result<(), BreakError> {
        self.locked(|heap| heap.reserve(bytes))
    }

    /// Moves the break down, leaves a top of at least `keep` bytes, and returns the number of bytes
    /// given back: see [`Heap::trim`]. O(size classes + slabs), plus one call of the provider.
    pub fn trim(&self, keep: usize) -> usize {
        self.locked(|heap| heap.trim(keep))
    }

    /// Frees all slabs without live blocks: see [`Heap::flush`]. O(size classes + slabs).
    pub fn flush(&self) {
        self.locked(Heap::flush);
    }

    /// Sets a hook that is called before a request is refused, with the heap locked: see
    /// [`Heap::set_out_of_memory_hook`]. O(1).
    ///
    /// # Safety
    ///
    /// As for [`Heap::set_out_of_memory_hook`].
    pub unsafe fn set_out_of_memory_hook(&self, hook: Option<OutOfMemoryHook>) {
        // SAFETY: the caller upholds the clause of `Heap::set_out_of_memory_hook` for this hook.
        self.locked(|heap| unsafe { heap.set_out_of_memory_hook(hook) });
    }

    /// Sets when a `free` moves the break down: see [`Heap::set_trim`]. O(1).
    pub fn set_trim(&self, trim: Trim) {
        self.locked(|heap| heap.set_trim(trim));
    }

    /// Sets the minimum size of mapped blocks: see [`Heap::set_map_threshold`]. O(1).
    pub fn set_map_threshold(&self, threshold: MapThreshold) {
        self.locked(|heap| heap.set_map_threshold(threshold));
    }

    /// Gives the heap `len` bytes at `base`, for ever, and returns how many bytes of cells it
    /// gained: see [`Heap::add_region`]. O(regions).
    ///
    /// # Errors
    ///
    /// The memory cannot be used. The heap has not changed.
    ///
    /// # Safety
    ///
    /// As for [`Heap::add_region`].
    pub unsafe fn add_region(&self, base: *mut u8, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the caller upholds the clauses of `Heap::add_region` for this region.
        self.locked(|heap| unsafe { heap.add_region(base, len) })
    }

    /// Counts regions, cells and slabs: see [`Heap::stats`]. O(cells).
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.locked(|heap| heap.stats())
    }

    /// Verifies every invariant of the heap: see [`Heap::check`]. O(cells) unless there are holes.
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        self.locked(|heap| heap.check())
    }
}

// SAFETY: the methods are those of `GlobalAlloc`.
unsafe impl<H: RawHeap, L: RawLock> SharedHeap for Locked<H, L> {}

impl<B, M, P: Profile, L: RawLock> Locked<Heap<B, M, P>, L> {
    /// Returns the bytes of all used cells and mapped blocks: see [`Heap::used`]. O(1).
    #[must_use]
    pub fn used(&self) -> usize {
        self.locked(|heap| heap.used())
    }

    /// Returns the bytes that the heap holds outside of used cells: see [`Heap::free`]. O(1).
    #[must_use]
    pub fn free(&self) -> usize {
        self.locked(|heap| heap.free())
    }

    /// Returns the bytes that the heap holds: see [`Heap::size`]. O(1).
    #[must_use]
    pub fn size(&self) -> usize {
        self.locked(|heap| heap.size())
    }
}

impl<B, M, P: Profile, L: RawLock> Locked<Heap<B, M, Checked<P>>, L> {
    /// Sets the hook that receives each report of a misuse, with the heap locked: see
    /// [`Heap::set_misuse_hook`]. O(1).
    pub fn set_misuse_hook(&self, hook: MisuseHook) {
        self.locked(|heap| heap.set_misuse_hook(hook));
    }
}

impl<B: LateBreak, P: Profile, L: RawLock> Default for Locked<Heap<B, NoMap, P>, L> {
    /// [`empty`](Locked::empty).
    fn default() -> Self {
        Self::empty()
    }
}

impl<H, L> fmt::Debug for Locked<H, L> {
    /// Does not wait for the lock, and so does not show the heap.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locked").finish_non_exhaustive()
    }
}
