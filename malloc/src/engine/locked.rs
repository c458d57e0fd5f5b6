//! One heap behind the lock, as functions: of brkalloc as it is, or of brkalloc with its profile
//! `checked`, whose types are others of the same names.

/// The functions of a heap of `$library`.
macro_rules! locked_heap {
    ($library:ident) => {
        use core::alloc::Layout;
        use core::fmt;
        use core::ptr::NonNull;

        use $library::{Heap, Locked, MapThreshold, Trim};

        use crate::decay;
        use crate::engine::{Setting, Usage};
        use crate::lock::HeapLock;
        use crate::provider::{self, Mappings, ProcessBreak};
        use crate::request::PAGE;

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
            if decay::is_due() {
                with(|heap| heap.trim(decay::KEPT));
                give_back_unused(decay::LEAST_UNUSED);
            }
            // SAFETY: the heap is there as long as the process.
            with(|heap| unsafe { heap.allocate(layout) })
        }

        /// Gives back the pages of free memory, of `least` bytes or more together. Returns how many
        /// bytes.
        fn give_back_unused(least: usize) -> usize {
            let mut bytes = 0;
            with(|heap| {
                heap.unused_memory(PAGE, least, |piece| {
                    // SAFETY: the heap does not need what is there.
                    unsafe { provider::forget(piece) };
                    bytes += piece.len();
                });
            });
            bytes
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
        pub(in crate::engine) unsafe fn reallocate(
            block: NonNull<u8>,
            new: Layout,
        ) -> Option<NonNull<u8>> {
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
            with(|heap| heap.trim(keep)) + give_back_unused(PAGE) > 0
        }

        pub(in crate::engine) fn set(setting: Setting) {
            with(|heap| match setting {
                Setting::MapThreshold(bytes) => {
                    heap.set_map_threshold(MapThreshold { bytes, adapts_up_to: 0 })
                }
                Setting::TrimThreshold(threshold) => {
                    heap.set_trim(Trim { threshold, keep: threshold / 2 })
                }
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
