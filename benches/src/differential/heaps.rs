//! The heaps of this project, as a replay needs them.

use std::alloc::GlobalAlloc;
use std::ptr::NonNull;

use brkalloc::{
    ArenaHeap, Checked, FixedBreak, Heap, Locked, LockedHeap, NoMap, Plain, Profile, SimpleHeap,
    SingleCpu, Usual,
};

/// A heap of this project, as a replay needs it.
pub(super) trait Replayed: GlobalAlloc {
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

impl Replayed for Locked<SimpleHeap<FixedBreak>> {
    const NAME: &'static str = "SimpleHeap";
    const IS_FRESH_WHEN_EMPTY: bool = false;

    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: this function's own clause.
        Self::from_heap(SimpleHeap::new(unsafe { break_over(region) }))
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn largest_free(&self) -> usize {
        // A header has two words.
        let payload = |(_, size)| size - 2 * size_of::<usize>();
        self.inspect(|heap| heap.free_cells().map(payload).max()).unwrap_or(0)
    }
}

/// Profile of a heap that is replayed.
pub(super) trait ReplayedProfile: Profile {
    /// Its name.
    const NAME: &'static str;

    /// At least as many bytes as a heap adds to a block.
    const ADDED: usize = 0;
}

impl ReplayedProfile for Plain {
    const NAME: &'static str = "Plain";
}

impl ReplayedProfile for Usual {
    const NAME: &'static str = "Usual";
}

impl ReplayedProfile for Checked {
    const NAME: &'static str = "Checked";

    // A block has a record and a gap beside it.
    const ADDED: usize = 128;
}

impl<P: ReplayedProfile> Replayed for LockedHeap<FixedBreak, NoMap, P> {
    const NAME: &'static str = P::NAME;

    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: this function's own clause.
        Self::from_heap(Heap::with_profile(unsafe { break_over(region) }, NoMap))
    }

    fn check(&self) -> Result<(), String> {
        self.inspect(Heap::check).map_err(|corruption| corruption.to_string())
    }

    fn largest_free(&self) -> usize {
        self.inspect(Heap::stats).largest_free.saturating_sub(P::ADDED)
    }
}

impl Replayed for ArenaHeap<FixedBreak, SingleCpu> {
    const NAME: &'static str = "ArenaHeap";

    unsafe fn new(region: NonNull<[u8]>) -> Self {
        // SAFETY: this function's own clause; one thread has the heap, so that it has one CPU.
        let (brk, cpu) = unsafe { (break_over(region), SingleCpu::new()) };
        Self::new(brk, cpu)
    }

    fn check(&self) -> Result<(), String> {
        ArenaHeap::check(self).map_err(|corruption| corruption.to_string())
    }

    fn largest_free(&self) -> usize {
        // Blocks of more than a segment are the parent's.
        self.with_parent(|parent| parent.stats().largest_free).unwrap_or(0)
    }
}
