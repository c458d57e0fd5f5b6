//! Settings of the parent, and counters, while other callers use it.

use core::ptr::NonNull;

use super::ArenaHeap;
use super::arena::Inner;
use crate::chunks::Trim;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::mapped::MapThreshold;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::space::RegionError;
use crate::unchecked::OutOfMemoryHook;

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Sets the minimum size of mapped blocks. See [`MapThreshold`]. No effect if the caller has
    /// interrupted code that holds the parent's lock. O(1), and the wait for that lock.
    pub fn set_map_threshold(&self, threshold: MapThreshold) {
        self.in_parent(|heap| heap.set_map_threshold(threshold));
    }

    /// Sets when a `free` moves the break down. See [`Trim`]. No effect if the caller has
    /// interrupted code that holds the parent's lock. O(1), and the wait for that lock.
    pub fn set_trim(&self, trim: Trim) {
        self.in_parent(|heap| heap.set_trim(trim));
    }

    /// Sets a hook that is called before a request of the parent is refused: for a block, or for
    /// memory of an arena. See [`Heap::set_out_of_memory_hook`]. No effect where the caller has
    /// interrupted code that holds the parent's lock. O(1), and the wait for that lock.
    ///
    /// # Safety
    ///
    /// As for [`Heap::set_out_of_memory_hook`].
    pub unsafe fn set_out_of_memory_hook(&self, hook: Option<OutOfMemoryHook>) {
        // SAFETY: the clause is that of this method.
        self.in_parent(|heap| unsafe { heap.set_out_of_memory_hook(hook) });
    }

    /// Returns [`Heap::used`] of the parent: a segment of an arena counts as used, whole. O(1); 0
    /// if the caller has interrupted code that holds the parent's lock.
    #[must_use]
    pub fn used(&self) -> usize {
        self.in_parent(|heap| heap.used()).unwrap_or(0)
    }

    /// Returns [`Heap::free`] of the parent, as for [`used`](ArenaHeap::used). O(1).
    #[must_use]
    pub fn free(&self) -> usize {
        self.in_parent(|heap| heap.free()).unwrap_or(0)
    }

    /// Returns [`Heap::size`] of the parent, as for [`used`](ArenaHeap::used). O(1).
    #[must_use]
    pub fn size(&self) -> usize {
        self.in_parent(|heap| heap.size()).unwrap_or(0)
    }

    /// [`Heap::add_region`] of the parent: memory beside the break's, for ever. Returns how many
    /// bytes of cells the parent gained.
    ///
    /// # Errors
    ///
    /// The memory cannot be used: see [`RegionError`]. The heap is as it was.
    ///
    /// # Time
    ///
    /// O(regions), with the parent's lock held.
    ///
    /// # Safety
    ///
    /// As for [`Heap::add_region`].
    pub unsafe fn add_region(&self, base: *mut u8, len: usize) -> Result<usize, RegionError> {
        // SAFETY: the clauses are those of this method.
        let added = self.in_parent(|heap| unsafe { heap.add_region(base, len) });
        added.unwrap_or(Err(RegionError::Locked))
    }

    /// [`Heap::unused_memory`] of the caller's arena, and of the parent, with its lock held; except
    /// where the caller has interrupted an operation. `forget` must not use this heap. O(free cells
    /// of at least `least` bytes).
    pub fn unused_memory(
        &self,
        granule: usize,
        least: usize,
        mut forget: impl FnMut(NonNull<[u8]>),
    ) {
        self.in_arena(|arena| arena.heap.unused_memory(granule, least, &mut forget));
        self.in_parent(|heap| heap.unused_memory(granule, least, forget));
    }

    /// Runs `run` with the caller's first arena. `None`: the caller has no arena, or was interrupted
    /// in it.
    pub(super) fn in_arena<R>(&self, run: impl FnOnce(&mut Inner<B, M, P, L>) -> R) -> Option<R> {
        let visit = self.visit();
        let mut inside = visit.enter_arena(0)?;
        Some(run(inside.inner().0))
    }

    /// Runs `run` with the parent locked. `None`: the caller has interrupted code that holds the
    /// parent's lock.
    pub(super) fn in_parent<R>(&self, run: impl FnOnce(&mut Heap<B, M, P>) -> R) -> Option<R> {
        let visit = self.visit();
        self.parent.with(visit.slot, run)
    }
}
