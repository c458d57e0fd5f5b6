//! The checked heap: one heap behind the lock, a table of its blocks, and a quarantine. A misuse is
//! a message and the end of the process.
//!
//! ```text
//!   allocate   the heap's block, and an entry of the table: size, family, caller     table.rs
//!   free       entry, family, header, record ─► filled, in quarantine ─► verified, the heap's again
//!   exit       all blocks in quarantine and all live ones are verified, and every header
//! ```
//!
//! The quarantine has the blocks that were freed last, up to [`BYTES`] and [`COUNT`], and none if
//! memory is short. A block of more than half of these bytes is given back at once.

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
use table::{Entry, Table};

type Heap = CheckedHeap<ProcessBreak, Mappings>;

static HEAP: Locked<Heap, HeapLock> =
    Locked::from_heap(Heap::with_profile(ProcessBreak::new(), Mappings));

/// Maximum number of blocks in quarantine.
const COUNT: usize = 1 << 14;

/// Maximum of their requested sizes, in bytes.
const BYTES: usize = 64 << 20;

/// Maximum of the sizes that a decay leaves in quarantine, in bytes.
const DECAYED: usize = 2 << 20;

/// From this size on, a block is resized in place: a copy would take long.
const LONG: usize = 1 << 20;

/// What is known of the blocks, beside the heap.
struct Books {
    blocks: Table,
    /// Addresses of the blocks in quarantine: a ring.
    ring: [usize; COUNT],
    oldest: usize,
    count: usize,
    bytes: usize,
    /// Addresses of the blocks that the heap got back last: a ring.
    gone: [usize; COUNT],
    last_gone: usize,
}

/// The books, and the misuse that the heap reported last. Used with the heap locked.
struct Shared(UnsafeCell<Books>, UnsafeCell<Option<Misuse>>);

// SAFETY: only a thread that has locked the heap uses them.
unsafe impl Sync for Shared {}

static SHARED: Shared = Shared(
    UnsafeCell::new(Books {
        blocks: Table::new(),
        ring: [0; COUNT],
        oldest: 0,
        count: 0,
        bytes: 0,
        gone: [0; COUNT],
        last_gone: 0,
    }),
    UnsafeCell::new(None),
);

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

/// Runs `act` with the heap locked.
fn with<R>(act: impl FnOnce(&mut Heap, &mut Books) -> R) -> R {
    // SAFETY: no caller in this file replaces the heap or its provider, or calls this function in
    // `act`: there is no other reference to the books.
    unsafe { HEAP.with(|heap| act(heap, &mut *SHARED.0.get())) }
}

/// Where a misuse was found, in a message.
#[derive(Clone, Copy)]
enum Found {
    /// In a call with this return address.
    By(usize),
    /// At exit, by `malloc_trim`, or by a decay.
    InCheck,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(caller) => write!(f, ", found in a call by {caller:#x}"),
            Self::InCheck => f.write_str(", found in a check of all blocks"),
        }
    }
}

/// Where a block comes from, in a message.
struct Origin<'a>(Option<&'a Entry>);

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(Entry { address, layout, caller, family, .. }) = self.0 else { return Ok(()) };
        let size = layout.size();
        write!(f, "; the block at {address:#x} has {size} bytes, from {family}, ")?;
        write!(f, "allocated by {caller:#x}")?;
        if self.0.is_some_and(|entry| entry.is_free) {
            write!(f, ", freed by {:#x}", self.0.map_or(0, |entry| entry.freed_by))?;
        }
        Ok(())
    }
}

impl Books {
    /// Ends the process if the heap has reported a misuse.
    fn settle(&self, found: Found) {
        // SAFETY: the heap is locked.
        if let Some(misuse) = unsafe { &*SHARED.1.get() } {
            let origin = Origin(self.blocks.around(misuse.at.max(misuse.block)));
            report::die(format_args!("{misuse}{found}{origin}"));
        }
    }

    fn allocate(
        &mut self,
        heap: &mut Heap,
        layout: Layout,
        call: Call,
        mut take: impl FnMut(&mut Heap, Layout) -> Option<NonNull<u8>>,
    ) -> Option<NonNull<u8>> {
        if !self.blocks.reserve(heap) {
            return None;
        }
        let mut block = take(heap, layout);
        self.settle(Found::By(call.caller));
        if block.is_none() && self.count > 0 {
            self.release(heap, 0, Found::By(call.caller));
            block = take(heap, layout);
            self.settle(Found::By(call.caller));
        }
        self.enter(block?, layout, call);
        block
    }

    fn enter(&mut self, block: NonNull<u8>, layout: Layout, call: Call) {
        self.blocks.insert(Entry {
            address: block.addr().get(),
            layout,
            caller: call.caller,
            family: call.family,
            ..Entry::EMPTY
        });
    }

    /// Verifies a block before it is freed or resized, and returns its layout. A misuse ends the
    /// process.
    ///
    /// # Safety
    ///
    /// If the address is a block's, the caller gives it up, or resizes it.
    unsafe fn admit(&mut self, heap: &mut Heap, block: NonNull<u8>, call: Call) -> Layout {
        let Some(&mut entry) = self.blocks.find(block.addr().get()) else {
            let address = block.addr().get();
            let around = self.blocks.around(address);
            if let Some(entry) =
                around.filter(|entry| address - entry.address < entry.layout.size())
            {
                report::die(format_args!(
                    "free of {block:p}, which was never allocated: it lies inside the block at \
                     {:#x}, found in a call by {:#x}{}",
                    entry.address,
                    call.caller,
                    Origin(Some(entry))
                ));
            }
            if self.gone.contains(&address) {
                report::die(format_args!(
                    "double free of the block at {block:p}: it is free already, and its memory \
                     was given back, found in a call by {:#x}",
                    call.caller
                ));
            }
            // SAFETY: a checked heap takes any address, and says what it is.
            unsafe { heap.deallocate_by_ptr(block) };
            self.settle(Found::By(call.caller));
            report::die(format_args!("free of {block:p}, which was never allocated"));
        };
        let origin = Origin(Some(&entry));
        if entry.is_free {
            report::die(format_args!(
                "double free of the block at {block:p}: it is free already, freed again by \
                 {:#x}{origin}",
                call.caller
            ));
        }
        if entry.family != call.family {
            report::die(format_args!(
                "wrong family: {} of the block at {block:p}, by {:#x}: expected {}{origin}",
                call.family.frees(),
                call.caller,
                entry.family.frees(),
            ));
        }
        heap.verify(block, entry.layout);
        self.settle(Found::By(call.caller));
        entry.layout
    }

    /// Frees a block of this layout that was verified.
    ///
    /// # Safety
    ///
    /// The block is live, and no longer used.
    unsafe fn free(&mut self, heap: &mut Heap, block: NonNull<u8>, layout: Layout, caller: usize) {
        let (found, size) = (Found::By(caller), layout.size());
        let address = block.addr().get();
        if layout.size() > BYTES / 2 {
            self.forget(address);
            // SAFETY: this method's own clauses.
            unsafe { heap.deallocate(block, layout) };
            return self.settle(found);
        }
        if let Some(entry) = self.blocks.find(address) {
            (entry.is_free, entry.freed_by) = (true, caller);
        }
        // SAFETY: the block has `size` bytes, and is no longer used.
        unsafe { table::fill(block, size) };
        if self.count == COUNT {
            self.release_oldest(heap, found);
        }
        self.ring[(self.oldest + self.count) % COUNT] = address;
        self.count += 1;
        self.bytes += size;
        self.release(heap, BYTES, found);
    }

    /// Forgets a block that the heap gets back.
    fn forget(&mut self, address: usize) {
        self.blocks.remove(address);
        self.last_gone = (self.last_gone + 1) % COUNT;
        self.gone[self.last_gone] = address;
    }

    /// Gives the oldest blocks in quarantine back to the heap until at most `bytes` remain.
    fn release(&mut self, heap: &mut Heap, bytes: usize, found: Found) {
        while self.count > 0 && (self.bytes > bytes || bytes == 0) {
            self.release_oldest(heap, found);
        }
    }

    fn release_oldest(&mut self, heap: &mut Heap, found: Found) {
        let address = self.ring[self.oldest];
        self.oldest = (self.oldest + 1) % COUNT;
        self.count -= 1;
        self.bytes -= self.verify_freed(heap, address, found);
        self.forget(address);
        if let Some(block) = pointer(address) {
            // SAFETY: the block is the heap's, and was freed.
            unsafe { heap.deallocate_by_ptr(block) };
            self.settle(found);
        }
    }

    /// Verifies a block in quarantine. Returns its size.
    fn verify_freed(&mut self, heap: &mut Heap, address: usize, found: Found) -> usize {
        let (Some(&mut entry), Some(block)) = (self.blocks.find(address), pointer(address)) else {
            return 0;
        };
        let size = entry.layout.size();
        // SAFETY: the block is in quarantine, so it was filled.
        if let Some((at, byte, expected)) = unsafe { table::first_written(block, size) } {
            report::die(format_args!(
                "write after free: the free block at {address:#x} was written to (at {at:#x}: \
                 expected {expected:#x}, found {byte:#x}){found}{}",
                Origin(Some(&entry))
            ));
        }
        heap.verify(block, entry.layout);
        self.settle(found);
        size
    }

    /// Verifies all blocks, and every header.
    fn verify_all(&mut self, heap: &mut Heap) {
        for index in 0..self.count {
            self.verify_freed(heap, self.ring[(self.oldest + index) % COUNT], Found::InCheck);
        }
        for entry in self.blocks.entries().filter(|entry| !entry.is_free) {
            if let Some(block) = pointer(entry.address) {
                heap.verify(block, entry.layout);
                self.settle(Found::InCheck);
            }
        }
        if let Err(corruption) = heap.check() {
            let origin = Origin(self.blocks.around(corruption.at));
            report::die(format_args!("overflow: {corruption}{origin}"));
        }
    }
}

/// Returns the block at an address of the table.
fn pointer(address: usize) -> Option<NonNull<u8>> {
    NonNull::new(core::ptr::with_exposed_provenance_mut(address))
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
