//! The checked heap: one heap behind the lock. A misuse is a message and the end of the process.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use brkalloc::{CheckedHeap, Locked, Misuse, MisuseResponse};

use super::{Setting, Usage};
use crate::decay;
use crate::lock::HeapLock;
use crate::provider::{self, Mappings, ProcessBreak};
use crate::report;
use crate::request::PAGE;

type Heap = CheckedHeap<ProcessBreak, Mappings>;

static HEAP: Locked<Heap, HeapLock> =
    Locked::from_heap(Heap::with_profile(ProcessBreak::new(), Mappings));

/// Sets the response to a misuse. Called before the first allocation.
pub(super) fn start() {
    with(|heap| heap.set_misuse_hook(end_process));
}

fn end_process(misuse: &Misuse) -> MisuseResponse {
    report::die(format_args!("{misuse}"))
}

/// Runs `act` with the heap locked.
fn with<R>(act: impl FnOnce(&mut Heap) -> R) -> R {
    // SAFETY: no caller in this file replaces the heap or its provider.
    unsafe { HEAP.with(act) }
}

pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if decay::is_due() {
        with(|heap| heap.trim(decay::KEPT));
        discard_unused(decay::LEAST_UNUSED);
    }
    // SAFETY: the heap is a static.
    with(|heap| unsafe { heap.allocate(layout) })
}

pub(super) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is a static.
    with(|heap| unsafe { heap.allocate_zeroed(layout) })
}

/// # Safety
///
/// The clauses of [`deallocate`](super::deallocate).
pub(super) unsafe fn deallocate(block: NonNull<u8>) {
    // SAFETY: `block` is live, and no longer used.
    with(|heap| unsafe { heap.deallocate_by_ptr(block) });
}

/// # Safety
///
/// The clauses of [`reallocate`](super::reallocate).
pub(super) unsafe fn reallocate(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    // SAFETY: `block` is live, and no longer used after `Some`.
    with(|heap| unsafe { heap.reallocate_by_ptr(block, new) })
}

/// # Safety
///
/// The clauses of [`usable_size`](super::usable_size).
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: `block` is live.
    with(|heap| unsafe { heap.usable_size(block) })
}

/// Lowers the break and discards free pages below it. Returns whether there were any.
pub(super) fn trim(keep: usize) -> bool {
    with(|heap| heap.trim(keep)) + discard_unused(PAGE) > 0
}

/// Discards the pages of free pieces of at least `least` bytes. Returns the number of bytes.
fn discard_unused(least: usize) -> usize {
    let mut bytes = 0;
    with(|heap| {
        heap.unused_memory(PAGE, least, |piece| {
            // SAFETY: whole pages of the heap, whose contents it does not need.
            unsafe { provider::discard(piece) };
            bytes += piece.len();
        });
    });
    bytes
}

pub(super) fn set(setting: Setting) {
    with(|heap| match setting {
        Setting::MapThreshold(threshold) => heap.set_map_threshold(threshold),
        Setting::Trim(trim) => heap.set_trim(trim),
    });
}

pub(super) fn usage() -> Usage {
    with(|heap| {
        let stats = heap.stats();
        let mut usage = Usage::of(&stats);
        heap.unused_memory(PAGE, PAGE, |piece| usage.note(piece, stats.brk));
        usage
    })
}

pub(super) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
    let stats = with(|heap| heap.stats());
    show(&stats);
}
