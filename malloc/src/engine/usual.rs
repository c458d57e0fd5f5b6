//! The usual heap: an arena for each thread.

use core::alloc::Layout;
use core::fmt;
use core::ptr::NonNull;

use brkalloc::inner::ArenaHooks;
use brkalloc::{ArenaHeap, NoSites, Sampled, Usual};

use super::{Setting, Usage};
use crate::decay;
use crate::lock::HeapLock;
use crate::provider::{self, GuardedPages, Mappings, ProcessBreak};
use crate::report;
use crate::request::{ALIGN, PAGE};
use crate::thread::Threads;

/// The arenas. Only the sampled mode takes some blocks from elsewhere: `sampled.rs`.
type Arenas = ArenaHeap<ProcessBreak, Threads, Mappings, Usual, HeapLock>;

/// See [`SAMPLE_DEFAULT`](super::SAMPLE_DEFAULT).
pub(super) const SAMPLE_DEFAULT: u32 = Sampled::<Arenas, GuardedPages, NoSites, SAMPLES>::DEFAULT;

/// Number of sampled blocks that are live, or that rest.
const SAMPLES: usize = 256;

pub(super) static HEAP: Sampled<Arenas, GuardedPages, NoSites, SAMPLES> =
    Sampled::new(ArenaHeap::with_map(ProcessBreak::new(), Threads, Mappings), GuardedPages);

static ARENAS: &Arenas = HEAP.heap();

/// Largest block of an arena, in bytes. A larger request takes long enough to read the clock, too.
const LARGE: usize = 128 << 10;

/// Allocates on the shortest path, else calls `otherwise`.
#[inline(always)]
pub(super) fn allocate_at_hand_or(
    size: usize,
    otherwise: impl FnOnce(usize) -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    // SAFETY: the heap is a static.
    unsafe { ARENAS.allocate_at_hand_or(size, ALIGN, otherwise) }
}

/// Allocates a block that is at hand.
pub(super) fn allocate_at_hand(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is a static.
    unsafe { brkalloc::SharedHeap::allocate_at_hand(ARENAS, layout) }
}

/// [`allocate`] after [`allocate_at_hand_or`].
pub(super) fn allocate_missed(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() > LARGE {
        decay_if_due();
    }
    // SAFETY: the heap is a static.
    unsafe { ARENAS.allocate_missed(layout) }
}

pub(super) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() > LARGE {
        decay_if_due();
    }
    // SAFETY: the heap is a static.
    unsafe { ARENAS.allocate(layout) }
}

#[inline]
pub(super) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    // SAFETY: the heap is a static.
    unsafe { ARENAS.allocate_zeroed(layout) }
}

/// # Safety
///
/// The clauses of [`deallocate_missed`](super::deallocate_missed).
#[inline(always)]
pub(super) unsafe fn deallocate(block: NonNull<u8>) {
    // SAFETY: `block` is live, and no longer used.
    unsafe { ARENAS.deallocate_by_ptr(block) };
}

/// Frees a block on the shortest path. `false` only means that [`deallocate_missed`] has more to
/// do.
///
/// # Safety
///
/// The clauses of [`deallocate`], if the answer is true. For null it is false.
#[inline(always)]
pub(super) unsafe fn deallocate_at_hand(block: *mut u8) -> bool {
    // SAFETY: `block` is live, and no longer used.
    unsafe { ARENAS.deallocate_at_hand(block) }
}

/// [`deallocate`] after [`deallocate_at_hand`].
///
/// # Safety
///
/// The clauses of [`deallocate`].
pub(super) unsafe fn deallocate_missed(block: NonNull<u8>) {
    if provider::was_unmapped_last(block.addr().get()) {
        report::die(format_args!("double free of the block at {block:p}: its mapping is gone"));
    }
    // SAFETY: `block` is live, and no longer used.
    unsafe { ARENAS.deallocate_missed(block) };
}

/// # Safety
///
/// The clauses of [`reallocate`](super::reallocate).
#[inline]
pub(super) unsafe fn reallocate(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    if new.size() > LARGE {
        decay_if_due();
    }
    // SAFETY: `block` is live, and no longer used after `Some`.
    unsafe { ARENAS.reallocate_by_ptr(block, new) }
}

/// # Safety
///
/// The clauses of [`usable_size`](super::usable_size).
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: `block` is live.
    unsafe { ARENAS.usable_size(block) }
}

/// Abandons the calling thread's arena: the thread ends.
pub(super) fn abandon_thread() {
    // SAFETY: the end of a thread interrupts no operation of the heap.
    unsafe { ARENAS.abandon() };
}

/// Holds the idle arenas of other threads. Returns `false` if another thread is inside its arena.
///
/// # Safety
///
/// The caller has the lock, or is the only thread.
pub(super) unsafe fn prefork() -> bool {
    // SAFETY: this function's own clause.
    unsafe { ARENAS.prefork() }
}

/// Releases the arenas in the parent.
///
/// # Safety
///
/// The caller has had the lock since [`prefork`], or is the only thread.
pub(super) unsafe fn postfork_parent() {
    // SAFETY: this function's own clause.
    unsafe { ARENAS.postfork_parent() };
}

/// Abandons the arenas of other threads in the child.
///
/// # Safety
///
/// The child has one thread, which called [`prefork`] with the lock held, or was the only thread.
pub(super) unsafe fn postfork_child() {
    // SAFETY: no other thread exists, and the forking one had the lock.
    unsafe { ARENAS.postfork_child() };
}

/// # Safety
///
/// The clauses of [`take_over_slot`](super::take_over_slot).
pub(super) unsafe fn take_over_slot(slot: usize) -> bool {
    // SAFETY: this function's own clause.
    unsafe { ARENAS.take_over(slot) }
}

/// Lowers the break and discards free pages below it. Returns whether there were any.
pub(super) fn trim(keep: usize) -> bool {
    ARENAS.trim(keep) + discard_unused(PAGE) > 0
}

/// Gives free memory back if the decay period is over.
#[inline(never)]
pub(super) fn decay_if_due() {
    if decay::is_due() {
        ARENAS.trim(decay::KEPT);
        discard_unused(decay::LEAST_UNUSED);
    }
}

/// Discards the pages of free pieces of at least `least` bytes. Returns the number of bytes.
fn discard_unused(least: usize) -> usize {
    let mut bytes = 0;
    ARENAS.unused_memory(PAGE, least, |piece| {
        // SAFETY: whole pages of the heap, whose contents it does not need.
        unsafe { provider::discard(piece) };
        bytes += piece.len();
    });
    bytes
}

pub(super) fn set(setting: Setting) {
    match setting {
        Setting::MapThreshold(threshold) => ARENAS.set_map_threshold(threshold),
        Setting::Trim(trim) => ARENAS.set_trim(trim),
    }
}

/// Counts the parent and the calling thread's arena. All of another thread's arena counts as live.
pub(super) fn usage() -> Usage {
    let stats = ARENAS.stats();
    let parent = stats.parent;
    let mut usage = Usage {
        granted: parent.granted_bytes,
        live: (parent.live_bytes + stats.live_bytes).saturating_sub(stats.segment_bytes),
        free_cells: parent.free_cells,
        top: 0,
    };
    ARENAS.unused_memory(PAGE, PAGE, |piece| usage.note(piece, parent.brk));
    usage
}

pub(super) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
    show(&ARENAS.stats());
}
