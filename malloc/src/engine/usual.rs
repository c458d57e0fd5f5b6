//! The usual heap: an arena for each thread.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use brkalloc::{ArenaHeap, MapThreshold, Trim};

use super::{Setting, Usage};
use crate::decay;
use crate::lock::HeapLock;
use crate::provider::{self, Mappings, ProcessBreak};
use crate::request::PAGE;
use crate::thread::Threads;

static HEAP: ArenaHeap<ProcessBreak, Threads, Mappings, HeapLock> =
    ArenaHeap::<_, _, _, _>::with_map(ProcessBreak::new(), Threads, Mappings);

/// What is larger does not come from an arena, so that there is time to look at the clock.
const LARGE: usize = 128 << 10;

/// A block, if it takes no more than the shortest way.
#[inline(always)]
pub(super) fn allocate_at_once(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is there as long as the process.
    unsafe { HEAP.allocate_at_once(layout) }
}

pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() > LARGE {
        give_back_if_due();
    }
    // SAFETY: the heap is there as long as the process.
    unsafe { HEAP.allocate(layout) }
}

#[inline]
pub(super) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is there as long as the process.
    unsafe { HEAP.allocate_zeroed(layout) }
}

/// # Safety
///
/// As for [`deallocate`](super::deallocate).
#[inline(always)]
pub(super) unsafe fn deallocate(block: NonNull<u8>) {
    // SAFETY: the caller's promise.
    unsafe { HEAP.deallocate_unsized(block) };
}

/// # Safety
///
/// As for [`reallocate`](super::reallocate).
#[inline]
pub(super) unsafe fn reallocate(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    if new.size() > LARGE {
        give_back_if_due();
    }
    // SAFETY: the caller's promise.
    unsafe { HEAP.reallocate_unsized(block, new) }
}

/// # Safety
///
/// As for [`usable_size`](super::usable_size).
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: the caller's promise.
    unsafe { HEAP.usable_size_of(block) }
}

/// The calling thread ends.
pub(super) fn retire_thread() {
    // SAFETY: the end of a thread interrupts nothing.
    unsafe { HEAP.retire() };
}

/// Before a `fork`, with the lock held, if there are others: holds the arenas in which nobody is.
/// False: somebody may be out soon.
pub(super) fn hold_for_fork() -> bool {
    // SAFETY: the caller has the lock.
    unsafe { HEAP.hold_for_fork() }
}

/// In the parent after a `fork`, with the lock still held.
pub(super) fn release_after_fork() {
    // SAFETY: the caller has the lock.
    unsafe { HEAP.release_after_fork() };
}

/// In the child of a `fork`.
pub(super) fn after_fork() {
    // SAFETY: the child has one thread, and the lock was held.
    unsafe { HEAP.after_fork() };
}

/// # Safety
///
/// As for [`ArenaHeap::take_over`].
pub(super) unsafe fn take_over_slot(slot: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { HEAP.take_over(slot) }
}

/// Gives the break back, and the pages of what is free below it.
pub(super) fn trim(keep: usize) -> bool {
    HEAP.trim(keep) + give_back_unused(PAGE) > 0
}

#[inline(never)]
pub(super) fn give_back_if_due() {
    if decay::is_due() {
        HEAP.trim(decay::KEPT);
        give_back_unused(decay::LEAST_UNUSED);
    }
}

/// Gives back the pages of free memory, of `least` bytes or more together. Returns how many bytes.
fn give_back_unused(least: usize) -> usize {
    let mut bytes = 0;
    HEAP.unused_memory(PAGE, least, |piece| {
        // SAFETY: the heap does not need what is there.
        unsafe { provider::forget(piece) };
        bytes += piece.len();
    });
    bytes
}

pub(super) fn set(setting: Setting) {
    match setting {
        Setting::MapThreshold(bytes) => {
            HEAP.set_map_threshold(MapThreshold { bytes, adapts_up_to: 0 })
        }
        Setting::TrimThreshold(threshold) => HEAP.set_trim(Trim { threshold, keep: threshold / 2 }),
    }
}

/// What other threads have in their arenas counts as in use, whole.
pub(super) fn usage() -> Usage {
    let stats = HEAP.stats();
    let parent = stats.parent;
    let of_arena = stats.segment_bytes.saturating_sub(stats.live_bytes + stats.cached_bytes);
    Usage {
        granted: parent.granted_bytes,
        live: (parent.live_bytes + stats.live_bytes).saturating_sub(stats.segment_bytes),
        free: parent.free_bytes + parent.free_run_bytes + of_arena,
        free_cells: parent.free_cells,
        cached: parent.cached_bytes + stats.cached_bytes,
        cached_blocks: parent.cached_blocks,
        mapped: parent.mapped_bytes,
        mapped_blocks: parent.mapped_blocks,
    }
}

pub(super) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
    show(&HEAP.stats());
}
