//! Settings of the parent, and what else it is told or asked, while others use it.

use core::ptr::NonNull;

use super::ArenaHeap;
use crate::heap::{Heap, MapThreshold, Trim};
use crate::lock::RawLock;
use crate::provider::{Break, Cpu, Map};

impl<B: Break, C: Cpu, M: Map, L: RawLock> ArenaHeap<B, C, M, L> {
    /// Sets from which size on blocks have mappings of their own. See [`MapThreshold`]. No effect where the caller has interrupted who has the
    /// parent's lock.
    pub fn set_map_threshold(&self, threshold: MapThreshold) {
        self.change(|heap| heap.set_map_threshold(threshold));
    }

    /// Sets when a `free` moves the break down. See [`Trim`]. No effect where the caller has interrupted who has the parent's lock.
    pub fn set_trim(&self, trim: Trim) {
        self.change(|heap| heap.set_trim(trim));
    }

    /// [`Heap::unused_memory`] of the caller's arena, and of the parent, with its lock held; as far as the caller has not interrupted who is in
    /// there. `forget` must not use this heap.
    pub fn unused_memory(&self, granule: usize, least: usize, mut forget: impl FnMut(NonNull<[u8]>)) {
        let visit = self.visit();
        if let Some(mut inside) = visit.go_in(0) {
            inside.inner().0.heap.unused_memory(granule, least, &mut forget);
        }
        let _: Option<()> = self.parent.with(visit.place(), |heap| heap.unused_memory(granule, least, forget));
    }

    fn change(&self, change: impl FnOnce(&mut Heap<B, M>)) {
        let visit = self.visit();
        let _: Option<()> = self.parent.with(visit.place(), change);
    }
}
