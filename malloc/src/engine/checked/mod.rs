//! The checked heap: one heap behind the lock, a table of its blocks, and a quarantine. A misuse is
//! a message and the end of the process.
//!
//! ```text
//!   allocate   the heap's block, and an entry of the table: size, family, caller     table.rs
//!   free       entry, family, header, record ─► filled, in quarantine ─► verified, the heap's again
//!   exit       all blocks in quarantine and all live ones are verified, and every header
//! ```
//!
//! The quarantine has the blocks that were freed last, up to a number and a sum of sizes, and none
//! if memory is short. A block of more than half of these bytes is given back at once.

mod books;
mod table;

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::fmt;
use core::ptr::NonNull;

use brkalloc::{CheckedHeap, Locked, Misuse, MisuseResponse};

use super::call::Call;
use super::{Setting, Usage};
use crate::decay;
use crate::lock::HeapLock;
use crate::provider::{self, Mappings, ProcessBreak};
use crate::report;
use crate::request::PAGE;
use books::{Books, Found};
use table::Entry;

type Heap = CheckedHeap<ProcessBreak, Mappings>;

static HEAP: Locked<Heap, HeapLock> =
    Locked::from_heap(Heap::with_profile(ProcessBreak::new(), Mappings));

/// Maximum of the sizes that a decay leaves in quarantine, in bytes.
const DECAYED: usize = 2 << 20;

/// From this size on, a block is resized in place: a copy would take long.
const LONG: usize = 1 << 20;

/// The books, and the misuse that the heap reported last. Used with the heap locked.
struct Shared(UnsafeCell<Books>, UnsafeCell<Option<Misuse>>);

// SAFETY: only a thread that has locked the heap uses them.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared(UnsafeCell::new(Books::new()), UnsafeCell::new(None));

/// Sets the response to a misuse. Called before the first allocation.
pub(super) fn start() {
    with(|heap, _| heap.set_misuse_hook(note));
}

/// Notes a misuse. The operation that found it ends without effect, and then the process.
fn note(misuse: &Misuse) -> MisuseResponse {
    // SAFETY: the heap is locked.
    unsafe { (*SHARED.1.get()).get_or_insert(*misuse) };
    MisuseResponse::Ignore
}

/// Returns the misuse that the heap has noted. The heap is locked.
fn misuse() -> Option<Misuse> {
    // SAFETY: the heap is locked.
    unsafe { *SHARED.1.get() }
}

/// Runs `act` with the heap locked.
fn with<R>(act: impl FnOnce(&mut Heap, &mut Books) -> R) -> R {
    // SAFETY: no caller in this file replaces the heap or its provider, or calls this function in
    // `act`: there is no other reference to the books.
    unsafe { HEAP.with(|heap| act(heap, &mut *SHARED.0.get())) }
}

pub(super) fn allocate(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    with(|heap, books| {
        if decay::is_due() {
            books.release(heap, DECAYED, Found::InCheck);
            heap.trim(decay::KEPT);
            discard_unused(heap, decay::LEAST_UNUSED);
        }
        // SAFETY: the heap is a static.
        books.allocate(heap, layout, call, |heap, layout| unsafe { heap.allocate(layout) })
    })
}

pub(super) fn allocate_zeroed(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    with(|heap, books| {
        // SAFETY: the heap is a static.
        books.allocate(heap, layout, call, |heap, layout| unsafe { heap.allocate_zeroed(layout) })
    })
}

/// # Safety
///
/// The clauses of [`deallocate_missed`](super::deallocate_missed).
pub(super) unsafe fn deallocate(block: NonNull<u8>, call: Call) {
    with(|heap, books| {
        // SAFETY: `block` is live, and no longer used.
        unsafe {
            let layout = books.admit(heap, block, call);
            books.free(heap, block, layout, call.caller);
        }
    });
}

/// # Safety
///
/// The clauses of [`reallocate`](super::reallocate).
pub(super) unsafe fn reallocate(
    block: NonNull<u8>,
    new: Layout,
    call: Call,
) -> Option<NonNull<u8>> {
    with(|heap, books| {
        // SAFETY: `block` is live, and no longer used after `Some`; both blocks have as many bytes
        // as are copied. The heap is a static.
        unsafe {
            let layout = books.admit(heap, block, call);
            if layout.size() < LONG {
                let take = |heap: &mut Heap, layout| heap.allocate(layout);
                if let Some(moved) = books.allocate(heap, new, call, take) {
                    moved.copy_from_nonoverlapping(block, layout.size().min(new.size()));
                    books.free(heap, block, layout, call.caller);
                    return Some(moved);
                }
            }
            let moved = heap.reallocate_by_ptr(block, new);
            books.settle(Found::By(call.caller));
            let moved = moved?;
            books.blocks.remove(block.addr().get());
            books.enter(moved, new, call);
            Some(moved)
        }
    })
}

/// # Safety
///
/// The clauses of [`usable_size`](super::usable_size).
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: `block` is live.
    with(|heap, _| unsafe { heap.usable_size(block) })
}

/// Ends the quarantine of all blocks, and lowers the break. Returns whether that gave memory back.
pub(super) fn trim(keep: usize) -> bool {
    with(|heap, books| {
        let mapped = heap.stats().mapped_bytes;
        books.release(heap, 0, Found::InCheck);
        let trimmed = heap.trim(keep) + discard_unused(heap, PAGE);
        trimmed > 0 || heap.stats().mapped_bytes < mapped
    })
}

/// Discards the pages of free pieces of at least `least` bytes. Returns the number of bytes.
fn discard_unused(heap: &mut Heap, least: usize) -> usize {
    let mut bytes = 0;
    heap.unused_memory(PAGE, least, |piece| {
        // SAFETY: whole pages of the heap, whose contents it does not need.
        unsafe { provider::discard(piece) };
        bytes += piece.len();
    });
    bytes
}

pub(super) fn set(setting: Setting) {
    with(|heap, _| match setting {
        Setting::MapThreshold(threshold) => heap.set_map_threshold(threshold),
        Setting::Trim(trim) => heap.set_trim(trim),
    });
}

/// Counts blocks in quarantine as free.
pub(super) fn usage() -> Usage {
    with(|heap, books| {
        let stats = heap.stats();
        let mut usage = Usage::of(&stats);
        usage.live = usage.live.saturating_sub(books.bytes);
        heap.unused_memory(PAGE, PAGE, |piece| usage.note(piece, stats.brk));
        usage
    })
}

pub(super) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
    let stats = with(|heap, _| heap.stats());
    show(&stats);
}

/// Verifies all blocks when the process exits, and lists those that are live if that is asked for.
pub(super) fn finish(lists_leaks: bool) {
    with(|heap, books| {
        books.verify_all(heap);
        if lists_leaks {
            let (mut count, mut bytes) = (0, 0);
            for entry in books.blocks.entries().filter(|entry| !entry.is_free) {
                let Entry { address, layout, caller, family, .. } = entry;
                let size = layout.size();
                report::line(format_args!(
                    "live: {size} bytes at {address:#x}, from {family}, allocated by {caller:#x}"
                ));
                count += 1;
                bytes += size;
            }
            report::line(format_args!("live: {bytes} bytes in {count} blocks"));
        }
    });
}
