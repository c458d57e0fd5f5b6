//! Regions of memory with different properties behind one allocator.

use core::alloc::{GlobalAlloc, Layout};
use core::fmt;
use core::ptr::{self, NonNull};

use crate::global::{or_null, without_unwinding};
use crate::inspect::Stats;
use crate::lock::{RawLock, Spin};
use crate::placed::Placed;
use crate::profile::{Profile, Usual};
use crate::provider::InitError;

/// A heap of `N` regions, each with a tag: fast memory, memory that devices reach, external memory.
///
/// [`allocate_in`](TaggedHeap::allocate_in) takes the tag; [`deallocate`](TaggedHeap::deallocate)
/// finds the region by the block's address, with one comparison for each region. Each region is a
/// heap behind a lock of its own, so regions do not wait for each other.
///
/// As the global allocator it allocates from the regions in the order of their tags, and moves a
/// block that grows to the first region with room if its own has none.
///
/// Do not use it for memory whose properties do not matter: `add_region` makes one heap of it, in
/// which a large block finds room more often.
///
/// ```
/// use brkalloc::TaggedHeap;
/// use core::alloc::Layout;
///
/// const FAST: usize = 0;
/// const DMA: usize = 1;
///
/// static HEAP: TaggedHeap<2> = TaggedHeap::empty();
///
/// let [fast, dma] = [(); 2].map(|()| Box::leak(Box::new([0_u8; 16 << 10])));
/// // SAFETY: nothing else uses the arrays. The heap is a static; the block is freed once.
/// unsafe {
///     HEAP.init(FAST, fast.as_mut_ptr(), fast.len()).unwrap();
///     HEAP.init(DMA, dma.as_mut_ptr(), dma.len()).unwrap();
///     let layout = Layout::from_size_align(512, 64).unwrap();
///     let buffer = HEAP.allocate_in(DMA, layout).unwrap();
///     assert_eq!(HEAP.tag_of(buffer), Some(DMA));
///     HEAP.deallocate(buffer, layout);
/// }
/// ```
pub struct TaggedHeap<const N: usize, P: Profile = Usual, L = Spin> {
    regions: [Placed<P, L>; N],
}

impl<const N: usize, P: Profile, L: RawLock> TaggedHeap<N, P, L> {
    /// Returns a heap whose regions are unset: each answers out of memory until it is
    /// [initialised](TaggedHeap::init).
    #[must_use]
    pub const fn empty() -> Self {
        Self { regions: [const { Placed::empty() }; N] }
    }

    /// Sets the region of a tag. O(1).
    ///
    /// # Errors
    ///
    /// The region is set, or cannot be one: as for [`Locked::init`](crate::Locked::init).
    ///
    /// # Panics
    ///
    /// If the tag is not below `N`.
    ///
    /// # Safety
    ///
    /// As for [`Locked::init`](crate::Locked::init). The region overlaps no other region of this
    /// heap.
    pub unsafe fn init(&self, tag: usize, base: *mut u8, len: usize) -> Result<(), InitError> {
        // SAFETY: the caller upholds the clauses for this region.
        unsafe { self.regions[tag].init(base, len) }
    }

    /// Allocates a block in the region of a tag; `None` if that has no room, or if there is no such
    /// tag.
    ///
    /// # Time
    ///
    /// That of [`Heap::allocate`](crate::Heap::allocate).
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate_in(&self, tag: usize, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive.
        unsafe { self.regions.get(tag)?.allocate(layout) }
    }

    /// Allocates a block in the first region that has room, in the order of tags. `None` if none
    /// has. O(regions), each as [`Heap::allocate`](crate::Heap::allocate).
    ///
    /// # Safety
    ///
    /// The heap lives until the last use of the block.
    #[must_use]
    pub unsafe fn allocate(&self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the caller keeps the heap alive.
        self.regions.iter().find_map(|region| unsafe { region.allocate(layout) })
    }

    /// Frees a block, in the region in which it lies. O(regions).
    ///
    /// # Panics
    ///
    /// If it lies in no region.
    ///
    /// # Safety
    ///
    /// The block came from this heap with this layout, was not freed since, and is no longer used.
    pub unsafe fn deallocate(&self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: a block of the region in which it lies; by the caller, it is live and has this
        // layout.
        unsafe { self.region_of(block).heap.deallocate(block, layout) };
    }

    /// Changes the size of a block, which stays in its region; `None` if that has no room.
    /// O(regions), plus the copy if the block moves.
    ///
    /// # Panics
    ///
    /// If the block lies in no region.
    ///
    /// # Safety
    ///
    /// As for [`deallocate`](TaggedHeap::deallocate), unless the result is `None`.
    #[must_use]
    pub unsafe fn reallocate(
        &self,
        block: NonNull<u8>,
        layout: Layout,
        new_size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: as for `deallocate`.
        unsafe { self.region_of(block).heap.reallocate(block, layout, new_size) }
    }

    /// Returns the tag of the region in which an address lies; `None` if it lies in none.
    /// O(regions).
    #[must_use]
    pub fn tag_of(&self, block: NonNull<u8>) -> Option<usize> {
        self.regions.iter().position(|region| region.contains(block))
    }

    /// Counts the region of a tag: see [`Heap::stats`](crate::Heap::stats). O(cells of the region).
    ///
    /// # Panics
    ///
    /// If the tag is not below `N`.
    #[must_use]
    pub fn stats(&self, tag: usize) -> Stats {
        self.regions[tag].heap.stats()
    }

    fn region_of(&self, block: NonNull<u8>) -> &Placed<P, L> {
        match self.tag_of(block) {
            Some(tag) => &self.regions[tag],
            None => panic!("the block at {block:p} lies in no region of the heap"),
        }
    }
}

impl<const N: usize, P: Profile, L: RawLock> Default for TaggedHeap<N, P, L> {
    fn default() -> Self {
        Self::empty()
    }
}

impl<const N: usize, P: Profile, L> fmt::Debug for TaggedHeap<N, P, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaggedHeap").field("regions", &self.regions).finish()
    }
}

// SAFETY: a block is one of a region's heap, valid for its layout, until it is freed there. A panic
// does not unwind out of the allocator.
unsafe impl<const N: usize, P: Profile, L: RawLock> GlobalAlloc for TaggedHeap<N, P, L> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: a global allocator lives forever.
        or_null(without_unwinding(P::CHECKED, || unsafe { self.allocate(layout) }))
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if let Some(block) = NonNull::new(block) {
            // SAFETY: by `GlobalAlloc::dealloc`, the block is live and has this layout.
            without_unwinding(true, || unsafe { self.deallocate(block, layout) });
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Some(old) = NonNull::new(block) else { return ptr::null_mut() };
        // SAFETY: by `GlobalAlloc::realloc`, the block is live and has this layout.
        let resized = without_unwinding(true, || unsafe { self.reallocate(old, layout, new_size) });
        if let Some(resized) = resized {
            return resized.as_ptr();
        }
        // SAFETY: by `GlobalAlloc::realloc`, the new size makes a layout, and the block is live. If
        // the new one is there, both are at least as long as what is copied, and the first one is
        // then no longer used.
        unsafe {
            let moved = self.alloc(Layout::from_size_align_unchecked(new_size, layout.align()));
            if !moved.is_null() {
                ptr::copy_nonoverlapping(block, moved, layout.size().min(new_size));
                self.dealloc(block, layout);
            }
            moved
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::boxed::Box;
    use std::vec::Vec;

    const LEN: usize = 16 << 10;

    fn heap(regions: usize) -> TaggedHeap<3> {
        let heap = TaggedHeap::empty();
        for tag in 0..regions {
            let memory = Box::leak(Box::new([0_u8; LEN]));
            // SAFETY: nothing else uses the array.
            unsafe { heap.init(tag, memory.as_mut_ptr(), LEN).unwrap() };
        }
        heap
    }

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 16).unwrap()
    }

    #[test]
    fn blocks_lie_in_the_region_of_their_tag_and_go_back_to_it() {
        let heap = heap(3);
        // SAFETY: the heap outlives the blocks, each of which is freed once.
        unsafe {
            let blocks: Vec<_> = (0..300)
                .map(|number| (number % 3, heap.allocate_in(number % 3, layout(40)).unwrap()))
                .collect();
            for &(tag, block) in &blocks {
                assert_eq!(heap.tag_of(block), Some(tag));
            }
            for (_, block) in blocks {
                heap.deallocate(block, layout(40));
            }
        }
        for tag in 0..3 {
            assert_eq!(heap.stats(tag).live_cells, 0, "{tag}");
        }
    }

    #[test]
    fn a_region_that_is_full_does_not_take_of_another() {
        let heap = heap(2);
        // SAFETY: the heap outlives the blocks.
        unsafe {
            while heap.allocate_in(0, layout(1000)).is_some() {}
            assert!(heap.allocate_in(1, layout(1000)).is_some());
            assert_eq!(heap.allocate_in(2, layout(8)), None, "the region is unset");
            assert_eq!(heap.allocate_in(3, layout(8)), None, "there is no such tag");
            let anywhere = heap.allocate(layout(1000)).unwrap();
            assert_eq!(heap.tag_of(anywhere), Some(1));
        }
    }

    #[test]
    fn a_block_that_is_resized_stays_in_its_region() {
        let heap = heap(2);
        // SAFETY: the heap outlives the blocks.
        unsafe {
            let block = heap.allocate_in(1, layout(16)).unwrap();
            heap.allocate_in(1, layout(16)).unwrap();
            let moved = heap.reallocate(block, layout(16), 4000).unwrap();
            assert_eq!(heap.tag_of(moved), Some(1));
            assert_eq!(heap.reallocate(moved, layout(4000), LEN), None);
        }
    }

    #[test]
    fn the_global_allocator_resizes_in_place_and_then_moves_to_another_region() {
        let heap = heap(2);
        // SAFETY: the heap outlives the blocks.
        unsafe {
            let block = heap.allocate_in(1, layout(100)).unwrap();
            block.write_bytes(0x5A, 100);
            let longer = heap.realloc(block.as_ptr(), layout(100), 3000);
            assert_eq!(heap.tag_of(NonNull::new(longer).unwrap()), Some(1), "it stays");
            while heap.allocate_in(1, layout(1000)).is_some() {}
            let moved = heap.realloc(longer, layout(3000), 8000);
            assert_eq!(heap.tag_of(NonNull::new(moved).unwrap()), Some(0));
            assert_eq!((moved.read(), moved.add(99).read()), (0x5A, 0x5A));
            assert!(heap.realloc(moved, layout(8000), LEN).is_null());
        }
    }

    #[test]
    fn an_address_of_no_region_has_no_tag() {
        let heap = heap(2);
        assert_eq!(heap.tag_of(NonNull::from(&heap).cast()), None);
        assert_eq!(heap.tag_of(NonNull::dangling()), None);
    }
}
