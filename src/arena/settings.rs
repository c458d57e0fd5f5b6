//! Settings of the parent, and what else it is told or asked, while others use it.

use core::ptr::NonNull;

use super::ArenaHeap;
use crate::chunks::Trim;
use crate::heap::Heap;
use crate::lock::RawLock;
use crate::mapped::MapThreshold;
use crate::profile::Profile;
use crate::provider::{Map, Slots, Source};
use crate::space::RegionError;
use crate::unchecked::OutOfMemoryHook;

impl<B: Source, C: Slots, M: Map, P: Profile, L: RawLock> ArenaHeap<B, C, M, P, L> {
    /// Sets from which size on blocks have mappings of their own. See [`MapThreshold`]. No effect
    /// where the caller has interrupted somebody who has the parent's lock.
    pub fn set_map_threshold(&self, threshold: MapThreshold) {
        self.change(|heap| heap.set_map_threshold(threshold));
    }

    /// Sets when a `free` moves the break down. See [`Trim`]. No effect where the caller has
    /// interrupted somebody who has the parent's lock.
    pub fn set_trim(&self, trim: Trim) {
        self.change(|heap| heap.set_trim(trim));
    }

    /// Sets a hook that is called before a request of the parent is refused: for a block, or for
    /// memory of an arena. See [`Heap::set_out_of_memory_hook`]. No effect where the caller has
    /// interrupted code that holds the parent's lock.
    ///
    /// # Safety
    ///
    /// As for [`Heap::set_out_of_memory_hook`].
    pub unsafe fn set_out_of_memory_hook(&self, hook: Option<OutOfMemoryHook>) {
        // SAFETY: the caller's promise is the same there.
        self.change(|heap| unsafe { heap.set_out_of_memory_hook(hook) });
    }

    /// Returns [`Heap::used`] of the parent: a segment of an arena counts as used, whole. O(1); 0
    /// if the caller has interrupted code that holds the parent's lock.
    #[must_use]
    pub fn used(&self) -> usize {
        self.of_parent(|heap| heap.used())
    }

    /// Returns [`Heap::free`] of the parent, as for [`used`](ArenaHeap::used).
    #[must_use]
    pub fn free(&self) -> usize {
        self.of_parent(|heap| heap.free())
    }

    /// Returns [`Heap::size`] of the parent, as for [`used`](ArenaHeap::used).
    #[must_use]
    pub fn size(&self) -> usize {
        self.of_parent(|heap| heap.size())
    }

    fn of_parent(&self, count: impl FnOnce(&Heap<B, M, P>) -> usize) -> usize {
        let visit = self.visit();
        self.parent.with(visit.place(), |heap| count(heap)).unwrap_or(0)
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
        let visit = self.visit();
        // SAFETY: the caller's promise.
        let added = self.parent.with(visit.place(), |heap| unsafe { heap.add_region(base, len) });
        added.unwrap_or(Err(RegionError::Locked))
    }

    /// [`Heap::unused_memory`] of the caller's arena, and of the parent, with its lock held; as far
    /// as the caller has not interrupted somebody in there. `forget` must not use this heap.
    pub fn unused_memory(
        &self,
        granule: usize,
        least: usize,
        mut forget: impl FnMut(NonNull<[u8]>),
    ) {
        let visit = self.visit();
        if let Some(mut inside) = visit.go_in(0) {
            inside.inner().0.heap.unused_memory(granule, least, &mut forget);
        }
        let _: Option<()> =
            self.parent.with(visit.place(), |heap| heap.unused_memory(granule, least, forget));
    }

    fn change(&self, change: impl FnOnce(&mut Heap<B, M, P>)) {
        let visit = self.visit();
        let _: Option<()> = self.parent.with(visit.place(), change);
    }
}
