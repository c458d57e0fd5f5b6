//! A heap of which some blocks lie between guard pages: an overflow, an underflow, and a use after
//! free of such a block fault at the instruction.
//!
//! ```text
//!   allocate ─► at hand ──► the heap's                    no test, no count
//!                  └(none)─► count (rate.rs) ──► one in n: the pool, a span between guard pages
//!                               └────► the heap's
//!   free ─────► at hand ──► the heap's
//!                  └(not its memory)─► the pool ─► its pages are closed, and rest        slot.rs
//!                               └────► the heap's
//!   fault ────► SampledHeap::explain ─► the block, its size, both call sites             report.rs
//! ```

mod pool;
mod rate;
mod report;
mod slot;

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

use crate::atomic::AtomicUsize;
use crate::global::{or_null, without_unwinding};
use crate::provider::GuardPages;
use crate::shared_heap::SharedHeap;
use crate::trace::{CallSites, NoSites, Trace};
use pool::Pool;
use rate::Rate;

pub use report::{SampleReport, SampledMisuse};

/// A shared heap of which one allocation in `n`, at random, lies between guard pages.
///
/// The block touches a guard page with its end, as far as its alignment allows, or with its start:
/// an access beyond faults. Its other side is verified when it is freed. A freed block has no
/// access, until all other slots that rest were used. The fault handler calls
/// [`explain`](Sampled::explain); a free that is a misuse panics with a [`SampleReport`].
///
/// In an [`ArenaHeap`](crate::ArenaHeap) allocations are counted where a list of blocks at hand is
/// refilled, and a sampled block is found because it lies in no arena: the shortest paths of
/// `alloc` and `dealloc` are those of the heap, without a test. Other heaps count each allocation.
/// A block that is resized counts as allocated again. Blocks of more than eight pages, or more
/// aligned than a page, are never sampled.
///
/// * `H`: [`Locked`](crate::Locked), [`ArenaHeap`](crate::ArenaHeap), or another [`SharedHeap`]
/// * `G`: the provider of addresses and pages; it gets `9 · SLOTS + 1` pages of addresses
/// * `S`: tells the call sites that a report has
/// * `SLOTS`: number of sampled blocks that are live or rest
///
/// An interrupt handler may allocate and free where it may in `H`: no caller waits in the pool.
///
/// ```
/// use brkalloc::{FixedBreak, GuardPages, LockedHeap, MapError, Sampled};
/// use core::ptr::NonNull;
///
/// /// The kernel's page tables.
/// struct KernelPages;
///
/// unsafe impl GuardPages for KernelPages {
/// #   fn granule(&self) -> usize { 4096 }
/// #   fn reserve(&mut self, _: usize) -> Result<NonNull<u8>, MapError> {
/// #       Err(MapError::OutOfMemory)
/// #   }
/// #   unsafe fn open(&mut self, _: NonNull<u8>, _: usize) -> Result<(), MapError> { Ok(()) }
/// #   unsafe fn close(&mut self, _: NonNull<u8>, _: usize) -> Result<(), MapError> { Ok(()) }
///     // …
/// }
///
/// static mut ARENA: [u8; 1 << 20] = [0; 1 << 20];
///
/// #[global_allocator]
/// // SAFETY: ARENA is used by this break alone.
/// static HEAP: Sampled<LockedHeap<FixedBreak>, KernelPages> = Sampled::new(
///     LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 20) }),
///     KernelPages,
/// );
///
/// fn page_fault(address: usize) {
///     if let Some(report) = HEAP.explain(address) {
///         panic!("{report}");
///     }
///     // …
/// }
/// # fn main() {}
/// ```
pub struct Sampled<H, G, S = NoSites, const SLOTS: usize = 64> {
    heap: H,
    pool: Pool<G, SLOTS>,
    sites: S,
    rate: Rate,
    /// Number of allocations that were sampled.
    sampled: AtomicUsize,
}

impl<H, G, const SLOTS: usize> Sampled<H, G, NoSites, SLOTS> {
    /// Samples one allocation in [`DEFAULT`](Sampled::DEFAULT), without call sites.
    #[must_use]
    pub const fn new(heap: H, pages: G) -> Self {
        Self::with_sites(heap, pages, NoSites)
    }
}

impl<H, G, S, const SLOTS: usize> Sampled<H, G, S, SLOTS> {
    /// Default of `n`: one allocation in so many is sampled.
    pub const DEFAULT: u32 = rate::DEFAULT;

    /// Samples one allocation in [`DEFAULT`](Sampled::DEFAULT).
    #[must_use]
    pub const fn with_sites(heap: H, pages: G, sites: S) -> Self {
        Self {
            heap,
            pool: Pool::new(pages),
            sites,
            rate: Rate::new(),
            sampled: AtomicUsize::new(0),
        }
    }

    /// Samples one allocation in `n` from now on, after at most as many allocations as before; 0:
    /// none. `seed` chooses which. O(1).
    pub fn set_rate(&self, n: u32, seed: usize) {
        self.rate.set(n, seed);
    }

    /// Returns the heap that serves all other allocations.
    pub const fn heap(&self) -> &H {
        &self.heap
    }

    /// Returns the number of allocations that were sampled. O(1).
    #[must_use]
    pub fn sampled(&self) -> usize {
        self.sampled.load(Ordering::Relaxed)
    }

    /// Returns the number of sampled blocks that are live. O(`SLOTS`).
    #[must_use]
    pub fn live(&self) -> usize {
        self.pool.live().count()
    }

    /// Explains an access that faulted: for the fault handler, which may call it at any time.
    /// `None` if the address is none of a guard page, or of a sampled block that was freed. O(1).
    #[must_use]
    pub fn explain(&self, address: usize) -> Option<SampleReport> {
        if self.pool.contains(address) { self.pool.explain(address) } else { None }
    }
}

impl<H: SharedHeap, G: GuardPages, S, const SLOTS: usize> Sampled<H, G, S, SLOTS> {
    /// Counts an allocation. Allocates a block of the pool if the allocation is sampled, and there
    /// is a place.
    fn sample_if_due(
        &self,
        layout: Layout,
        is_zeroed: bool,
        trace: impl FnOnce() -> Trace,
    ) -> Option<NonNull<u8>> {
        if !self.rate.is_due(|next| self.heap.count_missed(next)) {
            return None;
        }
        let at_end = self.rate.random() >> (usize::BITS - 1) == 0;
        let block = self.pool.allocate(layout, at_end, trace)?;
        if is_zeroed {
            // SAFETY: the block is new, and has that many bytes.
            unsafe { block.write_bytes(0, layout.size()) };
        }
        self.sampled.store(self.sampled().wrapping_add(1), Ordering::Relaxed);
        Some(block)
    }
}

/// Operations of a library that knows the caller of each call, and no layouts.
pub trait SampledHooks {
    /// Counts an allocation for which no block was at hand, and allocates a block of the pool if it
    /// is sampled. `None`: the heap serves the request.
    fn allocate_due(&self, layout: Layout, is_zeroed: bool, trace: Trace) -> Option<NonNull<u8>>;

    /// Returns whether an address lies in the pool.
    fn has(&self, address: usize) -> bool;

    /// Returns the size of a live block of the pool.
    fn sampled_size(&self, address: usize) -> Option<usize>;

    /// Returns the length of the pages of all live blocks of the pool, in bytes. O(slots).
    fn sampled_bytes(&self) -> usize;

    /// Frees a block of the pool. Returns a report if that is a misuse.
    ///
    /// # Safety
    ///
    /// If a live block begins at the address, it is no longer used.
    unsafe fn free_sampled(&self, address: usize, trace: Trace) -> Option<SampleReport>;
}

impl<H: SharedHeap, G: GuardPages, S, const SLOTS: usize> SampledHooks for Sampled<H, G, S, SLOTS> {
    fn allocate_due(&self, layout: Layout, is_zeroed: bool, trace: Trace) -> Option<NonNull<u8>> {
        self.sample_if_due(layout, is_zeroed, || trace)
    }

    #[inline(always)]
    fn has(&self, address: usize) -> bool {
        self.pool.contains(address)
    }

    fn sampled_size(&self, address: usize) -> Option<usize> {
        self.pool.size_of(address)
    }

    fn sampled_bytes(&self) -> usize {
        self.pool.live_bytes()
    }

    unsafe fn free_sampled(&self, address: usize, trace: Trace) -> Option<SampleReport> {
        self.pool.free(address, trace)
    }
}

impl<H: SharedHeap, G: GuardPages, S: CallSites, const SLOTS: usize> Sampled<H, G, S, SLOTS> {
    /// Allocates a block for which the heap has none at hand.
    ///
    /// # Safety
    ///
    /// The clauses of `GlobalAlloc::alloc`.
    #[inline(never)]
    unsafe fn allocate_missed(&self, layout: Layout) -> Option<NonNull<u8>> {
        let sampled = self.sample_if_due(layout, false, || self.sites.trace());
        // SAFETY: the clauses are those of this method.
        sampled.or_else(|| unsafe { self.heap.allocate_missed(layout) })
    }

    /// Frees a block of the pool.
    ///
    /// # Panics
    ///
    /// If that is a misuse.
    #[cold]
    #[inline(never)]
    fn free(&self, block: NonNull<u8>) {
        if let Some(report) = self.pool.free(block.addr().get(), self.sites.trace()) {
            panic!("{report}");
        }
    }

    /// Frees a block that is not of the heap's part at hand.
    ///
    /// # Safety
    ///
    /// The clauses of `GlobalAlloc::dealloc`.
    #[inline(never)]
    unsafe fn deallocate_missed(&self, block: NonNull<u8>, layout: Layout) {
        if self.pool.contains(block.addr().get()) {
            self.free(block);
        } else {
            // SAFETY: the clauses are those of this method; the block is not the pool's.
            unsafe { self.heap.deallocate_missed(block, layout) };
        }
    }
}

// SAFETY: a block is the heap's, or lies in open pages of the pool, apart from all others, until it
// is freed. A panic does not unwind out of the allocator.
unsafe impl<H: SharedHeap, G: GuardPages, S: CallSites, const SLOTS: usize> GlobalAlloc
    for Sampled<H, G, S, SLOTS>
{
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the clauses are those of this method.
        or_null(unsafe {
            self.heap
                .allocate_at_hand(layout)
                .or_else(|| without_unwinding(true, || self.allocate_missed(layout)))
        })
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        let Some(block) = NonNull::new(block) else { return };
        // SAFETY: the clauses are those of this method. The pool is no memory of the heap.
        unsafe {
            if !self.heap.deallocate_at_hand(block) {
                without_unwinding(true, || self.deallocate_missed(block, layout));
            }
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the clauses are those of this method; a new block has that many bytes.
        unsafe {
            if let Some(block) = self.heap.allocate_at_hand(layout) {
                block.write_bytes(0, layout.size());
                return block.as_ptr();
            }
            let sampled = self.sample_if_due(layout, true, || self.sites.trace());
            sampled.map_or_else(|| self.heap.alloc_zeroed(layout), NonNull::as_ptr)
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(old) = NonNull::new(block) else { return ptr::null_mut() };
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else {
            return ptr::null_mut();
        };
        let is_sampled = self.pool.contains(old.addr().get());
        if is_sampled && new_size == layout.size() {
            return block;
        }
        // SAFETY: the clauses are those of this method. The two blocks do not overlap, each is as
        // long as what is copied, and the caller gives the old one up.
        unsafe {
            let sampled = self.sample_if_due(new, false, || self.sites.trace());
            let moved = match sampled {
                None if is_sampled => NonNull::new(self.heap.alloc(new)),
                None => return self.heap.realloc(block, layout, new_size),
                sampled => sampled,
            };
            let Some(moved) = moved else { return ptr::null_mut() };
            moved.copy_from_nonoverlapping(old, layout.size().min(new_size));
            self.dealloc(block, layout);
            moved.as_ptr()
        }
    }
}

// SAFETY: the methods are those of `GlobalAlloc` above.
unsafe impl<H: SharedHeap, G: GuardPages, S: CallSites, const SLOTS: usize> SharedHeap
    for Sampled<H, G, S, SLOTS>
{
}

impl<H, G, S, const SLOTS: usize> fmt::Debug for Sampled<H, G, S, SLOTS> {
    /// Does not show the heap, which may be in use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sampled").field("sampled", &self.sampled()).finish_non_exhaustive()
    }
}
