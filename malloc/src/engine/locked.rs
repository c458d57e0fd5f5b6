//! One heap behind the lock, as functions: of brkalloc as it is, or of brkalloc with its profile `checked`, whose types are others of the
//! same names.

/// The functions of a heap of `$library`.
macro_rules! locked_heap {
    ($library:ident) => {
        use core::alloc::Layout;
        use core::fmt;
        use core::ptr::NonNull;

        use $library::{Heap, Locked, MapThreshold, Trim};

        use crate::engine::{Setting, Usage};
        use crate::lock::HeapLock;
        use crate::provider::{Mappings, ProcessBreak};

        static HEAP: Locked<Heap<ProcessBreak, Mappings>, HeapLock> =
            Locked::<Heap<_, _>, _>::with_map(ProcessBreak::new(), Mappings);

        /// Runs `act` with the heap locked.
        #[inline(always)]
        fn with<R>(act: impl FnOnce(&mut Heap<ProcessBreak, Mappings>) -> R) -> R {
            // SAFETY: nobody here replaces the heap or its provider.
            unsafe { HEAP.with_mut(act) }
        }

        #[inline(always)]
        pub(in crate::engine) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
            // SAFETY: the heap is there as long as the process.
            with(|heap| unsafe { heap.allocate(layout) })
        }

        #[inline]
        pub(in crate::engine) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
            // SAFETY: the heap is there as long as the process.
            with(|heap| unsafe { heap.allocate_zeroed(layout) })
        }

        /// # Safety
        ///
        /// As for [`deallocate`](crate::engine::deallocate).
        #[inline(always)]
        pub(in crate::engine) unsafe fn deallocate(block: NonNull<u8>) {
            // SAFETY: the caller's promise.
            with(|heap| unsafe { heap.deallocate_unsized(block) });
        }

        /// # Safety
        ///
        /// As for [`reallocate`](crate::engine::reallocate).
        #[inline]
        pub(in crate::engine) unsafe fn reallocate(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
            // SAFETY: the caller's promise.
            with(|heap| unsafe { heap.reallocate_unsized(block, new) })
        }

        /// # Safety
        ///
        /// As for [`usable_size`](crate::engine::usable_size).
        pub(in crate::engine) unsafe fn usable_size(block: NonNull<u8>) -> usize {
            // SAFETY: the caller's promise.
            with(|heap| unsafe { heap.usable_size(block) })
        }

        pub(in crate::engine) fn trim(keep: usize) -> bool {
            with(|heap| heap.trim(keep)) > 0
        }

        pub(in crate::engine) fn set(setting: Setting) {
            with(|heap| match setting {
                Setting::MapThreshold(bytes) => heap.set_map_threshold(MapThreshold { bytes, adapts_up_to: 0 }),
                Setting::TrimThreshold(threshold) => heap.set_trim(Trim { threshold, keep: threshold / 2 }),
            });
        }

        pub(in crate::engine) fn usage() -> Usage {
            let stats = with(|heap| heap.stats());
            Usage {
                granted: stats.granted_bytes,
                live: stats.live_bytes,
                free: stats.free_bytes + stats.free_run_bytes,
                free_cells: stats.free_cells,
                cached: stats.cached_bytes,
                cached_blocks: stats.cached_blocks,
                mapped: stats.mapped_bytes,
                mapped_blocks: stats.mapped_blocks,
            }
        }

        pub(in crate::engine) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
            let stats = with(|heap| heap.stats());
            show(&stats);
        }
    };
}
pub(super) use locked_heap;
