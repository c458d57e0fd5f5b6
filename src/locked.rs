//! One heap behind one lock: how callers share (C25).

use core::alloc::{GlobalAlloc, Layout};
use core::ptr::{self, NonNull};

use spin::Mutex;

use crate::heap::{Corruption, Heap, Stats};
use crate::provider::{Break, BreakError, Map, NoMap};
use crate::raw_heap::RawHeap;
use crate::simple::SimpleHeap;

/// A heap behind a spin lock, which makes it usable through a shared reference: in a `static`, and as the global allocator.
///
/// Everybody waits for everybody: correct, and slow under contention. An interrupt handler that allocates while the code that it
/// interrupted holds the lock waits for ever; mask interrupts, or keep the heap out of handlers.
#[derive(Debug)]
pub struct Locked<H> {
    heap: Mutex<H>,
}

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

impl<B> Locked<Heap<B>> {
    /// An empty heap. The break is not moved before the first allocation.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self { heap: Mutex::new(Heap::new(brk)) }
    }
}

impl<B, M> Locked<Heap<B, M>> {
    /// An empty heap that gives large blocks mappings of their own. See [`Heap::with_map`].
    #[must_use]
    pub const fn with_map(brk: B, map: M) -> Self {
        Self { heap: Mutex::new(Heap::with_map(brk, map)) }
    }
}

impl<B> Locked<SimpleHeap<B>> {
    /// An empty heap of the simple kind.
    #[must_use]
    pub const fn new(brk: B) -> Self {
        Self { heap: Mutex::new(SimpleHeap::new(brk)) }
    }
}

impl<H> Locked<H> {
    /// Runs `look` with the heap locked, for whatever is not offered directly: a walk over the cells, or the provider.
    ///
    /// `look` must not use the same heap through this lock: printing may, formatting into a `String` does.
    pub fn with<R>(&self, look: impl FnOnce(&H) -> R) -> R {
        look(&self.heap.lock())
    }

    /// Runs `change` with the heap locked, for settings.
    ///
    /// # Safety
    ///
    /// While blocks are in use, `change` leaves the heap and its provider in place: it does not replace either by another.
    pub unsafe fn with_mut<R>(&self, change: impl FnOnce(&mut H) -> R) -> R {
        change(&mut self.heap.lock())
    }
}

impl<H: RawHeap> Locked<H> {
    /// See [`Heap::allocate`].
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.lock().allocate(layout) }
    }

    /// See [`Heap::allocate_zeroed`].
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate_zeroed(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.lock().allocate_zeroed(layout) }
    }

    /// See [`Heap::deallocate`].
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is not used any more.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.heap.lock().deallocate(block, layout) };
    }

    /// See [`Heap::reallocate`].
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](Locked::deallocate), unless the answer is `None`.
    #[must_use]
    pub unsafe fn reallocate(&self, block: NonNull<u8>, layout: Layout, new_size: usize) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.lock().reallocate(block, layout, new_size) }
    }
}

impl<B: Break, M: Map> Locked<Heap<B, M>> {
    /// See [`Heap::try_allocate`]. It never calls the provider, but waits for the lock.
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn try_allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller's promise.
        unsafe { self.heap.lock().try_allocate(layout) }
    }

    /// See [`Heap::reserve`].
    ///
    /// # Errors
    ///
    /// What the provider answers.
    pub fn reserve(&self, bytes: usize) -> Result<(), BreakError> {
        self.heap.lock().reserve(bytes)
    }

    /// See [`Heap::trim`].
    pub fn trim(&self, keep: usize) -> usize {
        self.heap.lock().trim(keep)
    }

    /// See [`Heap::stats`].
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.heap.lock().stats()
    }

    /// See [`Heap::check`].
    ///
    /// # Errors
    ///
    /// The first broken rule, with the address.
    pub fn check(&self) -> Result<(), Corruption> {
        self.heap.lock().check()
    }
}

// SAFETY: what `RawHeap` promises is what `GlobalAlloc` asks for, and the lock lets one caller in at a time. Nothing here unwinds.
unsafe impl<H: RawHeap> GlobalAlloc for Locked<H> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives for ever.
        or_null(unsafe { self.allocate(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: the caller's promise.
            unsafe { self.deallocate(block, layout) };
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives for ever.
        or_null(unsafe { self.allocate_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        or_null(match (NonNull::new(block), Layout::from_size_align(new_size, layout.align())) {
            // SAFETY: the caller's promise.
            (Some(block), _) => unsafe { self.reallocate(block, layout, new_size) },
            // `realloc` of nothing is `malloc` (C7).
            // SAFETY: a global allocator lives for ever.
            (None, Ok(new_layout)) => unsafe { self.allocate(new_layout) },
            (None, Err(_)) => None,
        })
    }
}

fn or_null(block: Option<NonNull<u8>>) -> *mut u8 {
    block.map_or(ptr::null_mut(), NonNull::as_ptr)
}
