//! Memory that only callers with a token may take.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicBool, Ordering};

use crate::global::or_null;
use crate::inspect::Stats;
use crate::lock::{RawLock, Spin};
use crate::placed::Placed;
use crate::profile::Small;
use crate::provider::InitError;

/// A heap, and a reserve for callers that free memory: code that writes pages out, ends processes,
/// or empties caches needs memory just when there is none.
///
/// All callers allocate from `H`. A caller with a [`ReserveToken`] gets a block of the reserve when
/// `H` has no room. A block goes back to where it came from, which its address tells: one
/// comparison, and no cost in `H`.
///
/// Do not use it for memory that must be there in an interrupt handler: the reserve has a lock as
/// `H` has.
///
/// ```
/// use brkalloc::{FixedBreak, LockedHeap, ReserveHeap};
/// use core::alloc::Layout;
///
/// static HEAP: ReserveHeap<LockedHeap<FixedBreak>> = ReserveHeap::new(LockedHeap::empty());
///
/// let [memory, reserve] = [(); 2].map(|()| Box::leak(Box::new([0_u8; 16 << 10])));
/// let page = Layout::from_size_align(4096, 16).unwrap();
/// // SAFETY: nothing else uses the arrays. The heap is a static; the block is freed once.
/// unsafe {
///     HEAP.heap().init(memory.as_mut_ptr(), memory.len()).unwrap();
///     HEAP.init_reserve(reserve.as_mut_ptr(), reserve.len()).unwrap();
///     let token = HEAP.token().unwrap(); // the code that writes pages out keeps it
///     while HEAP.allocate(page).is_some() {}
///     let last = HEAP.allocate_from_reserve(&token, page).unwrap();
///     HEAP.deallocate(last, page);
/// }
/// ```
pub struct ReserveHeap<H, L = Spin> {
    heap: H,
    reserve: Placed<Small, L>,
    has_token: AtomicBool,
}

/// The permission to take blocks of the reserve. There is one for each [`ReserveHeap`]; its owner
/// lends it.
#[derive(Debug)]
pub struct ReserveToken(());

impl<H, L: RawLock> ReserveHeap<H, L> {
    /// Returns a heap with an empty reserve.
    #[must_use]
    pub const fn new(heap: H) -> Self {
        Self { heap, reserve: Placed::empty(), has_token: AtomicBool::new(true) }
    }

    /// Sets the memory of the reserve. O(1).
    ///
    /// # Errors
    ///
    /// There is a reserve, or the memory cannot be one: as for
    /// [`Locked::init`](crate::Locked::init).
    ///
    /// # Safety
    ///
    /// As for [`Locked::init`](crate::Locked::init). The memory is none of the heap's.
    pub unsafe fn init_reserve(&self, base: *mut u8, len: usize) -> Result<(), InitError> {
        // SAFETY: the caller upholds the clauses for this memory.
        unsafe { self.reserve.init(base, len) }
    }

    /// Returns the token, once; later `None`. O(1).
    #[must_use]
    pub fn token(&self) -> Option<ReserveToken> {
        // By the lock, because some processors have no exchange.
        let has_token = self.reserve.heap.inspect(|_| {
            let has_token = self.has_token.load(Ordering::Relaxed);
            self.has_token.store(false, Ordering::Relaxed);
            has_token
        });
        has_token.then_some(ReserveToken(()))
    }

    /// Returns the heap, for what it can do beside blocks. A block of the reserve must not be freed
    /// there.
    pub const fn heap(&self) -> &H {
        &self.heap
    }

    /// Counts the reserve: see [`Heap::stats`](crate::Heap::stats). O(cells of the reserve).
    #[must_use]
    pub fn reserve_stats(&self) -> Stats {
        self.reserve.heap.stats()
    }
}

impl<H: GlobalAlloc, L: RawLock> ReserveHeap<H, L> {
    /// Allocates a block of the heap; of the reserve, if the heap has no room. `None` if that has
    /// none either. Takes the time of `H`, and of the reserve O(1).
    ///
    /// # Safety
    ///
    /// The layout has a size that is not 0. The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate_from_reserve(
        &self,
        _token: &ReserveToken,
        layout: Layout,
    ) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive, and the layout has a size.
        unsafe { self.allocate(layout).or_else(|| self.reserve.allocate(layout)) }
    }

    /// Allocates a block of the heap, not of the reserve. `None` if the heap has no room. Takes the
    /// time of `H`: with heaps of this crate O(1).
    ///
    /// # Safety
    ///
    /// As for [`allocate_from_reserve`](ReserveHeap::allocate_from_reserve).
    #[must_use]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the layout has a size.
        NonNull::new(unsafe { self.heap.alloc(layout) })
    }

    /// Frees a block, to where it came from. O(1) in the reserve, and the time of `H` elsewhere.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is no longer used.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        if self.reserve.contains(block) {
            // SAFETY: a live block of the reserve, with this layout.
            unsafe { self.reserve.heap.deallocate(block, layout) };
        } else {
            // SAFETY: a live block of the heap, with this layout.
            unsafe { self.heap.dealloc(block.as_ptr(), layout) };
        }
    }

    /// Changes the size of a block. A block of the reserve moves to the heap if that has room;
    /// otherwise it stays, and shrinks but does not grow. `None` if there is no room: the block is
    /// as it was. O(1) in the reserve, plus the copy if the block moves, and the time of `H`
    /// elsewhere.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](ReserveHeap::deallocate), unless the result is `None`. The new size is
    /// not 0, and with the layout's alignment it is a layout.
    #[must_use]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        if !self.reserve.contains(block) {
            // SAFETY: a live block of the heap, with this layout; the new size makes a layout.
            return NonNull::new(unsafe { self.heap.realloc(block.as_ptr(), layout, new_size) });
        }
        // SAFETY: the new size makes a layout, which has a size.
        let new = unsafe { Layout::from_size_align_unchecked(new_size, layout.align()) };
        // SAFETY: as before.
        if let Some(moved) = unsafe { self.allocate(new) } {
            let len = layout.size().min(new_size);
            // SAFETY: both blocks are live and at least `len` bytes long, and the second one is
            // new. Then the first one is no longer used.
            unsafe {
                ptr::copy_nonoverlapping(block.as_ptr(), moved.as_ptr(), len);
                self.reserve.heap.deallocate(block, layout);
            }
            return Some(moved);
        }
        if new_size > layout.size() {
            return None;
        }
        // SAFETY: a live block of the reserve, with this layout.
        unsafe { self.reserve.heap.reallocate(block, layout, new_size) }
    }
}

impl<H: fmt::Debug, L> fmt::Debug for ReserveHeap<H, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReserveHeap")
            .field("heap", &self.heap)
            .field("reserve", &self.reserve)
            .finish_non_exhaustive()
    }
}

// SAFETY: a block is one of the heap, or of the reserve's, valid for its layout until it is freed
// where it lies. No method unwinds.
unsafe impl<H: GlobalAlloc, L: RawLock> GlobalAlloc for ReserveHeap<H, L> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by `GlobalAlloc::alloc`, the layout has a size.
        unsafe { self.heap.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: by `GlobalAlloc::alloc_zeroed`, the layout has a size.
        unsafe { self.heap.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: by `GlobalAlloc::dealloc`, the block is live and has this layout.
            unsafe { self.deallocate(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(block) = NonNull::new(block) else { return ptr::null_mut() };
        // SAFETY: by `GlobalAlloc::realloc`, the block is live, has this layout, and the new size
        // makes one.
        or_null(unsafe { self.reallocate(block, layout, new_size) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locked::LockedHeap;
    use crate::provider::FixedBreak;
    use std::boxed::Box;
    use std::vec::Vec;

    const LEN: usize = 16 << 10;

    fn heap() -> ReserveHeap<LockedHeap<FixedBreak>> {
        let [memory, reserve] = [(); 2].map(|()| Box::leak(Box::new([0_u8; LEN])));
        let heap = ReserveHeap::new(LockedHeap::new(FixedBreak::from_array(memory)));
        // SAFETY: nothing else uses the array.
        unsafe { heap.init_reserve(reserve.as_mut_ptr(), LEN).unwrap() };
        heap
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 16).unwrap()
    }

    #[test]
    fn there_is_one_token() {
        let heap = heap();
        assert!(heap.token().is_some());
        assert!(heap.token().is_none());
    }

    #[test]
    fn only_a_token_takes_of_the_reserve_and_the_reserve_gets_it_back() {
        let heap = heap();
        let token = heap.token().unwrap();
        // SAFETY: the heap outlives the blocks, each of which is freed once.
        unsafe {
            let mut all: Vec<_> =
                core::iter::from_fn(|| NonNull::new(heap.alloc(layout(1000)))).collect();
            assert_eq!(heap.reserve_stats().live_cells, 0, "the global allocator spares it");
            let before = all.len();
            all.extend(core::iter::from_fn(|| heap.allocate_from_reserve(&token, layout(1000))));
            assert!(all.len() >= before + 15, "{} after {before}", all.len());
            assert!(heap.allocate_from_reserve(&token, layout(1000)).is_none());
            for block in all {
                heap.dealloc(block.as_ptr(), layout(1000));
            }
        }
        assert_eq!(heap.reserve_stats().live_cells, 0);
        assert_eq!(heap.heap().stats().live_cells, 0);
    }

    #[test]
    fn a_token_takes_of_the_heap_first() {
        let heap = heap();
        let token = heap.token().unwrap();
        // SAFETY: the heap outlives the block.
        unsafe { heap.allocate_from_reserve(&token, layout(100)).unwrap() };
        assert_eq!(heap.reserve_stats().live_cells, 0);
    }

    #[test]
    fn a_block_of_the_reserve_that_is_resized_moves_to_the_heap_once_there_is_room() {
        let heap = heap();
        let token = heap.token().unwrap();
        // SAFETY: the heap outlives the blocks, each of which is freed once.
        unsafe {
            let all: Vec<_> = core::iter::from_fn(|| heap.allocate(layout(2000))).collect();
            let block = heap.allocate_from_reserve(&token, layout(2000)).unwrap();
            block.write_bytes(0x5A, 2000);
            assert_eq!(heap.reallocate(block, layout(2000), 3000), None, "it does not grow");
            let shorter = heap.reallocate(block, layout(2000), 1500).unwrap();
            assert_eq!(heap.reserve_stats().live_cells, 1);
            all.into_iter().for_each(|block| heap.deallocate(block, layout(2000)));
            let moved = heap.reallocate(shorter, layout(1500), 3000).unwrap();
            assert_eq!((moved.read(), moved.add(1499).read()), (0x5A, 0x5A));
            assert_eq!(heap.reserve_stats().live_cells, 0);
            heap.deallocate(moved, layout(3000));
        }
        assert_eq!(heap.heap().stats().live_cells, 0);
    }

    #[test]
    fn a_reserve_that_was_never_set_gives_nothing() {
        let heap: ReserveHeap<LockedHeap<FixedBreak>> = ReserveHeap::new(LockedHeap::empty());
        let token = heap.token().unwrap();
        // SAFETY: the heap outlives the block that it does not give.
        assert_eq!(unsafe { heap.allocate_from_reserve(&token, layout(8)) }, None);
    }
}
