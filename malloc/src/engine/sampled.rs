//! The usual heap, of which one allocation in `n` lies between guard pages. Blocks at hand are
//! allocated and freed as in the usual mode; what is counted, and what is looked for in the pool,
//! is the rest.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::inner::SampledHooks;
use brkalloc::{SampleReport, Trace};

use super::Usage;
use super::call::Call;
use super::usual::{self, HEAP};
use crate::report;

/// Samples one allocation in `n`. Called before the first one.
pub(super) fn start(n: u32) {
    // SAFETY: `getauxval` has no preconditions. The kernel gives each process 16 random bytes.
    let random: *const usize =
        core::ptr::with_exposed_provenance(unsafe { libc::getauxval(libc::AT_RANDOM) } as usize);
    // SAFETY: the bytes are there as long as the process.
    let seed = if random.is_null() { 0 } else { unsafe { random.read_unaligned() } };
    HEAP.set_rate(n, seed);
}

/// Allocates a block where the shortest path found none.
pub(super) fn allocate_missed(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    let sampled = HEAP.allocate_due(layout, false, Trace::of([call.caller]));
    sampled.or_else(|| usual::allocate_missed(layout))
}

pub(super) fn allocate_zeroed(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    if let Some(block) = usual::allocate_at_hand(layout) {
        // SAFETY: a new block of that size.
        unsafe { block.write_bytes(0, layout.size()) };
        return Some(block);
    }
    let sampled = HEAP.allocate_due(layout, true, Trace::of([call.caller]));
    sampled.or_else(|| usual::allocate_zeroed(layout))
}

/// # Safety
///
/// The clauses of [`deallocate_missed`](super::deallocate_missed).
pub(super) unsafe fn deallocate_missed(block: NonNull<u8>, call: Call) {
    let address = block.addr().get();
    if !HEAP.has(address) {
        // SAFETY: `block` is live, and no longer used.
        return unsafe { usual::deallocate_missed(block) };
    }
    // SAFETY: `block` is no longer used.
    if let Some(report) = unsafe { HEAP.free_sampled(address, Trace::of([call.caller])) } {
        die(report, call);
    }
}

#[cold]
fn die(report: SampleReport, call: Call) -> ! {
    report::die(format_args!("{report}; found in a call by {:#x}", call.caller))
}

/// # Safety
///
/// The clauses of [`reallocate`](super::reallocate).
pub(super) unsafe fn reallocate(
    block: NonNull<u8>,
    new: Layout,
    call: Call,
) -> Option<NonNull<u8>> {
    let address = block.addr().get();
    let is_sampled = HEAP.has(address);
    let old = if is_sampled { HEAP.sampled_size(address) } else { None };
    if old == Some(new.size()) && address.is_multiple_of(new.align()) {
        return Some(block);
    }
    let sampled = HEAP.allocate_due(new, false, Trace::of([call.caller]));
    // SAFETY: `block` is live, and no longer used after `Some`. Both blocks have as many bytes as
    // are copied; if there is no live block in the pool, nothing is.
    unsafe {
        let moved = match sampled {
            Some(moved) => moved,
            None if is_sampled => usual::allocate(new)?,
            None => return usual::reallocate(block, new),
        };
        let len = if is_sampled { old.unwrap_or(0) } else { usual::usable_size(block) };
        moved.copy_from_nonoverlapping(block, len.min(new.size()));
        deallocate_missed(block, call);
        Some(moved)
    }
}

/// # Safety
///
/// The clauses of [`usable_size`](super::usable_size).
pub(super) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    let address = block.addr().get();
    if HEAP.has(address) {
        return HEAP.sampled_size(address).unwrap_or(0);
    }
    // SAFETY: `block` is live, and of the heap.
    unsafe { usual::usable_size(block) }
}

/// Counts the memory in use. The pages of sampled blocks are granted, and live.
pub(super) fn usage() -> Usage {
    let (mut usage, sampled) = (usual::usage(), HEAP.sampled_bytes());
    usage.granted += sampled;
    usage.live += sampled;
    usage
}

/// Explains an access that faulted, if it was one to a guard page or a freed block.
pub(super) fn explain(address: usize) -> Option<SampleReport> {
    HEAP.explain(address)
}
