//! A heap that refuses requests on purpose: for tests of what a kernel does without memory.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr;
use core::sync::atomic::Ordering;

use crate::atomic::{AtomicBool, AtomicUsize};
use crate::shared_heap::SharedHeap;

/// A global allocator of which the `n`-th request is refused.
///
/// A request is a call of `alloc`, `alloc_zeroed` or `realloc`. A test refuses each request of an
/// operation once, and so comes to every path without memory:
///
/// ```
/// use brkalloc::{Failing, FixedBreak, LockedHeap};
/// # use core::alloc::{GlobalAlloc, Layout};
///
/// static HEAP: Failing<LockedHeap<FixedBreak>> = Failing::new(LockedHeap::empty());
/// # struct File;
/// # let memory = Box::leak(Box::new([0_u8; 10_000]));
/// # unsafe { HEAP.heap().init(memory.as_mut_ptr(), memory.len()) }.unwrap();
/// #
/// # fn open_file() -> Result<File, ()> {
/// #     let layout = Layout::new::<[u64; 4]>();
/// #     let blocks = [(); 3].map(|()| unsafe { HEAP.alloc(layout) });
/// #     let result = blocks.iter().all(|block| !block.is_null()).then_some(File).ok_or(());
/// #     blocks.into_iter().for_each(|block| unsafe { HEAP.dealloc(block, layout) });
/// #     result
/// # }
///
/// // Opens a file with each request refused in turn, until one run has no request that could be.
/// let mut n = 1;
/// loop {
///     HEAP.fail_nth(n);
///     let result = open_file();
///     if !HEAP.has_failed() {
///         assert!(result.is_ok());
///         break;
///     }
///     assert!(result.is_err());
///     assert_eq!(HEAP.heap().used(), 0, "request {n} leaks memory when it is refused");
///     n += 1;
/// }
/// # assert_eq!(n, 4);
/// HEAP.fail_never();
/// ```
///
/// A block can always be freed. Callers on several CPUs count together.
pub struct Failing<H> {
    heap: H,
    /// Number of requests until one is refused, with it; 0: none is.
    left: AtomicUsize,
    /// All requests after the first one that is refused are, too.
    goes_on: AtomicBool,
    /// A request was refused since a setting was made.
    has_failed: AtomicBool,
    requests: AtomicUsize,
}

impl<H> Failing<H> {
    /// Wraps a heap. No request is refused until a method asks for it.
    #[must_use]
    pub const fn new(heap: H) -> Self {
        Self {
            heap,
            left: AtomicUsize::new(0),
            goes_on: AtomicBool::new(false),
            has_failed: AtomicBool::new(false),
            requests: AtomicUsize::new(0),
        }
    }

    /// Returns the heap.
    pub const fn heap(&self) -> &H {
        &self.heap
    }

    /// Refuses the `n`-th request from now on, and no other; 1 is the next one. O(1).
    pub fn fail_nth(&self, n: usize) {
        self.set(n, false);
    }

    /// Refuses the `n`-th request from now on, and all that follow; 1 is the next one. O(1).
    pub fn fail_from(&self, n: usize) {
        self.set(n, true);
    }

    /// Refuses no request. O(1).
    pub fn fail_never(&self) {
        self.set(0, false);
    }

    fn set(&self, n: usize, goes_on: bool) {
        // With no request to be refused, callers that come meanwhile change nothing below.
        self.left.store(0, Ordering::Relaxed);
        self.goes_on.store(goes_on, Ordering::Relaxed);
        self.has_failed.store(false, Ordering::Relaxed);
        self.left.store(n, Ordering::Relaxed);
    }

    /// Returns whether a request was refused since one of the methods `fail_…` was called. O(1).
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.has_failed.load(Ordering::Relaxed)
    }

    /// Returns the number of requests so far, refused ones included. O(1).
    #[must_use]
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// Counts a request, and passes it to the heap unless it is refused.
    fn unless_refused(&self, request: impl FnOnce(&H) -> *mut u8) -> *mut u8 {
        if self.is_refused() { ptr::null_mut() } else { request(&self.heap) }
    }

    /// Counts a request. Returns whether it is refused.
    fn is_refused(&self) -> bool {
        self.requests.fetch_add(1, Ordering::Relaxed);
        let count = |left: usize| match left {
            0 => None,
            // The first request that is refused, and those after it, count no further.
            1 if self.goes_on.load(Ordering::Relaxed) => Some(1),
            _ => Some(left - 1),
        };
        let is_refused =
            self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, count) == Ok(1);
        if is_refused {
            self.has_failed.store(true, Ordering::Relaxed);
        }
        is_refused
    }
}

// SAFETY: a block is the heap's; null is an answer that every caller must expect.
unsafe impl<H: GlobalAlloc> GlobalAlloc for Failing<H> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the clauses are those of this method.
        self.unless_refused(|heap| unsafe { heap.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the clauses are those of this method.
        unsafe { self.heap.dealloc(block, layout) };
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the clauses are those of this method.
        self.unless_refused(|heap| unsafe { heap.alloc_zeroed(layout) })
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the clauses are those of this method.
        self.unless_refused(|heap| unsafe { heap.realloc(block, layout, new_size) })
    }
}

// SAFETY: the methods are those of `GlobalAlloc` above.
unsafe impl<H: GlobalAlloc> SharedHeap for Failing<H> {}

impl<H> fmt::Debug for Failing<H> {
    /// Does not show the heap, which may be in use.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (requests, has_failed) = (self.requests(), self.has_failed());
        let mut fields = f.debug_struct("Failing");
        fields.field("requests", &requests).field("has_failed", &has_failed);
        fields.finish_non_exhaustive()
    }
}
