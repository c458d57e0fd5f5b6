//! The `no_std` allocators of others: each on the region, without its lock, by its own fastest
//! interface.

use std::alloc::Layout;
use std::cell::Cell;
use std::ptr::{NonNull, null_mut};

use buddy_slab_allocator::{
    BuddyAllocator, RemoteFreeHint, SlabAllocResult, SlabAllocator, SlabDeallocResult,
};

use super::{Subject, move_block, pointer};

/// talc, as its own `GlobalAlloc` calls it.
pub struct Talc(talc::base::Talc<talc::source::Manual, talc::DefaultBinning>);

// SAFETY: what talc guarantees.
unsafe impl Subject for Talc {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        let mut talc = talc::base::Talc::new(talc::source::Manual);
        // SAFETY: the caller's promise.
        let claimed = unsafe { talc.claim(region.cast().as_ptr(), region.len()) };
        assert!(claimed.is_some(), "talc refuses a region of {} bytes", region.len());
        Self(talc)
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        pointer(unsafe { self.0.allocate(layout) })
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(block, layout) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        if unsafe { self.0.try_realloc_in_place(block, layout, new_size) } {
            return block;
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(self, block, layout, new_size) }
    }
}

/// rlsf: 32 lists a doubling, up to 8 GiB.
pub struct Rlsf(rlsf::Tlsf<'static, u32, u32, 28, 32>);

// SAFETY: what rlsf guarantees.
unsafe impl Subject for Rlsf {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        let mut tlsf = rlsf::Tlsf::new();
        // SAFETY: the caller's promise.
        let inserted = unsafe { tlsf.insert_free_block_ptr(region) };
        assert!(inserted.is_some(), "rlsf refuses a region of {} bytes", region.len());
        Self(tlsf)
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        pointer(self.0.allocate(layout))
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(block, layout.align()) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        let Ok(new_layout) = Layout::from_size_align(new_size, layout.align()) else {
            return null_mut();
        };
        // SAFETY: the caller's promise.
        pointer(unsafe { self.0.reallocate(block, new_layout) })
    }
}

/// dlmalloc over a system that hands out one region, once.
pub struct Dlmalloc(dlmalloc::Dlmalloc<OneRegion>);

/// The system under dlmalloc: the whole region at the first request, nothing more.
struct OneRegion(Cell<Option<NonNull<[u8]>>>);

// SAFETY: the region goes with the value.
unsafe impl Send for OneRegion {}

// SAFETY: hands out its region once, and takes nothing back.
unsafe impl dlmalloc::Allocator for OneRegion {
    fn alloc(&self, size: usize) -> (*mut u8, usize, u32) {
        match self.0.get() {
            Some(region) if region.len() >= size => {
                self.0.set(None);
                (region.cast().as_ptr(), region.len(), 0)
            }
            _ => (null_mut(), 0, 0),
        }
    }

    fn remap(&self, _: *mut u8, _: usize, _: usize, _: bool) -> *mut u8 {
        null_mut()
    }

    fn free_part(&self, _: *mut u8, _: usize, _: usize) -> bool {
        false
    }

    fn free(&self, _: *mut u8, _: usize) -> bool {
        false
    }

    fn can_release_part(&self, _: u32) -> bool {
        false
    }

    fn allocates_zeros(&self) -> bool {
        false
    }

    fn page_size(&self) -> usize {
        4096
    }
}

// SAFETY: what dlmalloc guarantees.
unsafe impl Subject for Dlmalloc {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        let mut dlmalloc =
            dlmalloc::Dlmalloc::new_with_allocator(OneRegion(Cell::new(Some(region))));
        // The steps in which it asks the system: a page, so that a small region is not refused.
        assert!(dlmalloc.set_granularity(4096), "dlmalloc refuses a granularity of a page");
        Self(dlmalloc)
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.malloc(layout.size(), layout.align()) }
    }

    #[inline]
    unsafe fn allocate_zeroed(&mut self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.calloc(layout.size(), layout.align()) }
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise.
        unsafe { self.0.free(block, layout.size(), layout.align()) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // SAFETY: the caller's promise.
        unsafe { self.0.realloc(block, layout.size(), layout.align(), new_size) }
    }
}

/// linked_list_allocator. It has no `realloc`.
pub struct LinkedList(linked_list_allocator::Heap);

// SAFETY: what linked_list_allocator guarantees.
unsafe impl Subject for LinkedList {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { linked_list_allocator::Heap::new(region.cast().as_ptr(), region.len()) })
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        pointer(self.0.allocate_first_fit(layout).ok())
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise.
        unsafe { self.0.deallocate(block, layout) };
    }
}

/// buddy_system_allocator, blocks up to 4 GiB. It has no `realloc`.
pub struct Buddy(buddy_system_allocator::Heap<33>);

// SAFETY: what buddy_system_allocator guarantees.
unsafe impl Subject for Buddy {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        let mut heap = buddy_system_allocator::Heap::empty();
        // SAFETY: the caller's promise.
        unsafe { heap.init(region.cast::<u8>().as_ptr().expose_provenance(), region.len()) };
        Self(heap)
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        pointer(self.0.alloc(layout).ok())
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        // SAFETY: the caller's promise.
        unsafe { self.0.dealloc(block, layout) };
    }

    #[inline]
    unsafe fn reallocate(&mut self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // The block is a power of two, which the layout tells; it is right to use all of it.
        let capacity =
            layout.size().max(layout.align()).max(size_of::<usize>()).next_power_of_two();
        let wanted = new_size.max(layout.align()).max(size_of::<usize>()).next_power_of_two();
        if capacity == wanted {
            return block;
        }
        // SAFETY: the caller's promise.
        unsafe { move_block(self, block, layout, new_size) }
    }
}

/// buddy-slab-allocator: its slabs over its pages, as its global allocator puts them together, but
/// without the locks.
pub struct BuddySlab {
    pages: BuddyAllocator<PAGE>,
    slabs: SlabAllocator<PAGE>,
    /// Other CPUs freed nothing.
    remote: RemoteFreeHint,
}

const PAGE: usize = 4096;

impl BuddySlab {
    /// Longest block of a slab, and its largest alignment.
    const SLAB_MAX: usize = 2048;

    /// Longest slab, in bytes.
    const SLAB_ALIGN: usize = 16 << 10;

    #[inline]
    const fn is_in_slab(layout: Layout) -> bool {
        layout.size() <= Self::SLAB_MAX && layout.align() <= Self::SLAB_MAX
    }

    /// Takes pages for another slab, and a block of it.
    fn allocate_more(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        match self.slabs.alloc_hinted(layout, Some(&self.remote)).ok()? {
            SlabAllocResult::Allocated(block) => Some(block),
            SlabAllocResult::NeedsSlab { size_class, pages } => {
                let bytes = pages * PAGE;
                let start = self.pages.alloc_pages(pages, bytes).ok()?;
                self.slabs.add_slab(size_class, start, bytes, 0);
                match self.slabs.alloc_hinted(layout, Some(&self.remote)).ok()? {
                    SlabAllocResult::Allocated(block) => Some(block),
                    SlabAllocResult::NeedsSlab { .. } => None,
                }
            }
        }
    }
}

// SAFETY: what buddy-slab-allocator guarantees.
unsafe impl Subject for BuddySlab {
    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // Its pages begin behind a table of their states, and slabs are aligned to their length
        // only if the pages begin at such an address: so the table begins a little later.
        let offsets = (0..2 * Self::SLAB_ALIGN).step_by(PAGE);
        let mut pages = offsets.filter_map(|offset| {
            // SAFETY: the caller's promise; a table that is not used is only overwritten.
            let part = unsafe { (&mut *region.as_ptr()).get_mut(offset..) }?;
            let mut pages = BuddyAllocator::new();
            // SAFETY: as above.
            unsafe { pages.init(part) }.ok()?;
            let start = pages.section(0)?.start;
            start.is_multiple_of(Self::SLAB_ALIGN).then_some(pages)
        });
        let Some(pages) = pages.next() else {
            panic!("buddy-slab refuses a region of {} bytes", region.len())
        };
        Self { pages, slabs: SlabAllocator::new(), remote: RemoteFreeHint::new() }
    }

    #[inline]
    unsafe fn allocate(&mut self, layout: Layout) -> *mut u8 {
        if Self::is_in_slab(layout) {
            return pointer(self.allocate_more(layout));
        }
        let pages = layout.size().div_ceil(PAGE);
        let start = self.pages.alloc_pages(pages, layout.align().max(PAGE));
        start.map_or(null_mut(), std::ptr::with_exposed_provenance_mut)
    }

    #[inline]
    unsafe fn deallocate(&mut self, block: *mut u8, layout: Layout) {
        if !Self::is_in_slab(layout) {
            return self.pages.dealloc_pages(block.addr(), layout.size().div_ceil(PAGE));
        }
        // SAFETY: blocks are not null.
        let block = unsafe { NonNull::new_unchecked(block) };
        if let SlabDeallocResult::FreeSlab { base, pages } = self.slabs.dealloc(block, layout) {
            self.pages.dealloc_pages(base, pages);
        }
    }
}
