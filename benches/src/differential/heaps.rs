//! The heaps of this project, as a replay needs them.

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::SingleCpu;
use brkalloc::{ArenaHeap, CheckedHeap, FixedBreak, Heap, NoMap, PlainHeap, RawHeap, SimpleHeap};

/// A heap of this project, as a replay needs it.
pub(super) trait Replayed {
    /// Its name.
    const NAME: &'static str;

    /// Whether it promises that with nothing live it grants what a fresh heap grants.
    const IS_FRESH_WHEN_EMPTY: bool = true;

    /// A heap on a region.
    ///
    /// # Safety
    ///
    /// The region is the heap's alone until the process ends.
    unsafe fn new(region: NonNull<[u8]>) -> Self;

    /// The heap's operations; blocks are valid until they are freed.
    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// The same, zeroed.
    fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>>;

    /// # Safety
    ///
    /// The block is live, and has this layout.
    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout);

    /// # Safety
    ///
    /// As for [`deallocate`](Self::deallocate).
    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Option<NonNull<u8>>;

    /// Returns the verdict of `check()`, for a heap that has one.
    fn check(&self) -> Result<(), String>;

    /// The largest block that a free cell holds.
    fn largest_free(&self) -> usize;
}

/// The region as a break.
///
/// # Safety
///
/// It is the heap's alone.
unsafe fn break_over(region: NonNull<[u8]>) -> FixedBreak {
    // SAFETY: this function's own clause.
    unsafe { FixedBreak::from_raw(region.cast().as_ptr(), region.len()) }
}

/// Implements [`Replayed`] for a heap with one owner.
macro_rules! replayed {
    (
        $heap:ty, $name:literal, $is_fresh:literal, $brk:ident => $new:expr,
        $this:ident => $check:expr, $largest:expr
    ) => {
        impl Replayed for $heap {
            const NAME: &'static str = $name;
            const IS_FRESH_WHEN_EMPTY: bool = $is_fresh;

            unsafe fn new(region: NonNull<[u8]>) -> Self {
                // SAFETY: this function's own clause.
                let $brk = unsafe { break_over(region) };
                $new
            }

            fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: the replay frees each block before it drops the heap.
                unsafe { RawHeap::allocate(self, layout) }
            }

            fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
                // SAFETY: as for `allocate`.
                unsafe { RawHeap::allocate_zeroed(self, layout) }
            }

            unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
                // SAFETY: this method's clause.
                unsafe { RawHeap::deallocate(self, block, layout) };
            }

            unsafe fn reallocate(
                &mut self,
                block: NonNull<u8>,
                layout: Layout,
                size: usize,
            ) -> Option<NonNull<u8>> {
                // SAFETY: this method's clause.
                unsafe { RawHeap::reallocate(self, block, layout, size) }
            }

            fn check(&self) -> Result<(), String> {
                let $this = self;
                $check
            }

            fn largest_free(&self) -> usize {
                let $this = self;
                $largest
            }
        }
    };
}

replayed!(
    SimpleHeap<FixedBreak>, "SimpleHeap", false, brk => Self::new(brk),
    heap => { let Self { .. } = heap; Ok(()) },
    // A header has two words.
    heap.free_cells().map(|(_, size)| size - 2 * size_of::<usize>()).max().unwrap_or(0)
);
replayed!(
    PlainHeap<FixedBreak>, "Plain", true, brk => Self::with_profile(brk, NoMap),
    heap => heap.check().map_err(|corruption| corruption.to_string()), heap.stats().largest_free
);
replayed!(
    Heap<FixedBreak>, "Usual", true, brk => Self::new(brk),
    heap => heap.check().map_err(|corruption| corruption.to_string()), heap.stats().largest_free
);
replayed!(
    CheckedHeap<FixedBreak>, "Checked", true, brk => Self::with_profile(brk, NoMap),
    heap => heap.check().map_err(|corruption| corruption.to_string()),
    // A block has a record and a gap beside it.
    heap.stats().largest_free.saturating_sub(CHECKED)
);

/// More than what a checked heap adds to a block, in bytes.
const CHECKED: usize = 128;

impl Replayed for ArenaHeap<FixedBreak, SingleCpu> {
    const NAME: &'static str = "ArenaHeap";

    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: this function's own clause; one thread has the heap, so that it has one CPU.
        let (brk, cpu) = unsafe { (break_over(region), SingleCpu::new()) };
        Self::new(brk, cpu)
    }

    fn allocate(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: the replay frees each block before it drops the heap.
        unsafe { ArenaHeap::allocate(self, layout) }
    }

    fn allocate_zeroed(&mut self, layout: Layout) -> Option<NonNull<u8>> {
        // SAFETY: as for `allocate`.
        unsafe { ArenaHeap::allocate_zeroed(self, layout) }
    }

    unsafe fn deallocate(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: this method's clause.
        unsafe { ArenaHeap::deallocate(self, block, layout) };
    }

    unsafe fn reallocate(
        &mut self,
        block: NonNull<u8>,
        layout: Layout,
        size: usize,
    ) -> Option<NonNull<u8>> {
        // SAFETY: this method's clause.
        unsafe { ArenaHeap::reallocate(self, block, layout, size) }
    }

    fn check(&self) -> Result<(), String> {
        ArenaHeap::check(self).map_err(|corruption| corruption.to_string())
    }

    fn largest_free(&self) -> usize {
        // Blocks of more than a segment are the parent's.
        self.with_parent(|parent| parent.stats().largest_free).unwrap_or(0)
    }
}
