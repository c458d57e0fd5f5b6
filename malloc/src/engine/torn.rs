//! The heap of a child process that lost the first one: another thread was changing it when the
//! process forked.
//!
//! ```text
//!   block of the first heap   stays readable and writable; it is resized by moving; its memory is
//!                             never reused
//!   other blocks              of a second heap behind the lock, over reserved addresses
//! ```
//!
//! The first heap is only asked for the size of a block that is live, which no other thread was
//! changing.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, Ordering};

use brkalloc::{Heap, Locked};

use super::{Usage, checked, sampled};
use crate::lock::HeapLock;
use crate::provider::ReservedBreak;
use crate::request::PAGE;

static HEAP: Locked<Heap<ReservedBreak>, HeapLock> =
    Locked::from_heap(Heap::new(ReservedBreak::new()));

/// The first heap is the checked one.
static WAS_CHECKED: AtomicBool = AtomicBool::new(false);

/// Begins the second heap.
pub(super) fn start(was_checked: bool) {
    WAS_CHECKED.store(was_checked, Ordering::Relaxed);
}

/// Runs `act` with the heap locked.
fn with<R>(act: impl FnOnce(&mut Heap<ReservedBreak>) -> R) -> R {
    // SAFETY: no caller in this file replaces the heap or its provider.
    unsafe { HEAP.with(act) }
}

/// Returns whether a block is of the second heap.
fn owns(block: NonNull<u8>) -> bool {
    with(|heap| heap.owns(block.as_ptr()))
}

pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is a static.
    with(|heap| unsafe { heap.allocate(layout) })
}

pub(super) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is a static.
    with(|heap| unsafe { heap.allocate_zeroed(layout) })
}

/// # Safety
///
/// The clauses of [`deallocate_missed`](super::deallocate_missed).
pub(super) unsafe fn deallocate(block: NonNull<u8>) {
    if owns(block) {
        // SAFETY: `block` is live, and no longer used.
        with(|heap| unsafe { heap.deallocate_by_ptr(block) });
    }
}

/// # Safety
///
/// The clauses of [`reallocate`](super::reallocate).
pub(super) unsafe fn reallocate(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    if owns(block) {
        // SAFETY: `block` is live, and no longer used after `Some`.
        return with(|heap| unsafe { heap.reallocate_by_ptr(block, new) });
    }
    // SAFETY: `block` is live, and of the first heap.
    let len = unsafe { first_usable_size(block) }.min(new.size());
    let moved = allocate(new)?;
    // SAFETY: both blocks have that many bytes, and a new one overlaps no other.
    unsafe { moved.copy_from_nonoverlapping(block, len) };
    Some(moved)
}

/// # Safety
///
/// The clauses of [`usable_size`](super::usable_size).
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: `block` is live, and of the heap that is asked.
    unsafe {
        if owns(block) { with(|heap| heap.usable_size(block)) } else { first_usable_size(block) }
    }
}

/// Returns the number of usable bytes of a block of the first heap.
///
/// # Safety
///
/// `block` is live, and of the first heap.
unsafe fn first_usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: this function's own clause.
    unsafe {
        if WAS_CHECKED.load(Ordering::Relaxed) {
            checked::usable_size(block)
        } else {
            sampled::usable_size(block)
        }
    }
}

pub(super) fn trim(keep: usize) -> bool {
    with(|heap| heap.trim(keep)) > 0
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
