//! Chooses the heap that serves the process. It takes layouts and returns blocks; what C's
//! functions mean is for `entry/`.
//!
//! ```text
//!   Mode   Unstarted ──first call──► Usual     usual.rs      arenas, behind one test
//!                              └───► other ─┬─ usual.rs      every call is recorded    trace.rs
//!                                           ├─ sampled.rs    some blocks between guard pages
//!                                           └─ checked.rs    every misuse is found
//!   any ──► Torn   torn.rs   a second heap, in a child that lost the first one
//! ```
//!
//! The mode is chosen once, before the first block: all blocks come from one heap.

mod call;
mod checked;
mod fork;
mod sampled;
mod torn;
mod trace;
mod usage;
mod usual;

pub(crate) use call::{Call, Family};
pub(crate) use fork::{postfork_child, postfork_parent, prefork};
pub(crate) use usage::{Setting, Usage};

use core::alloc::Layout;
use core::ffi::CStr;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::decay;
use crate::options::Options;
use crate::{lock, thread};

const UNSTARTED: u8 = 0;
const USUAL: u8 = 1;
const SAMPLED: u8 = 2;
const TRACED: u8 = 3;
const CHECKED: u8 = 4;
const TORN: u8 = 5;

static MODE: AtomicU8 = AtomicU8::new(UNSTARTED);

/// Returns whether the usual heap serves, without a trace.
#[inline(always)]
pub(crate) fn is_usual() -> bool {
    MODE.load(Ordering::Relaxed) == USUAL
}

/// Returns whether a thread may have its arena at hand.
#[inline(always)]
pub(crate) fn lends_arenas() -> bool {
    const { assert!(USUAL == 1 && SAMPLED == 2) };
    MODE.load(Ordering::Relaxed).wrapping_sub(USUAL) <= SAMPLED - USUAL
}

/// Returns whether a trace is written.
fn is_traced() -> bool {
    MODE.load(Ordering::Relaxed) == TRACED
}

/// Returns the mode; the first call chooses it.
#[cold]
fn mode() -> u8 {
    match MODE.load(Ordering::Acquire) {
        UNSTARTED => choose(),
        mode => mode,
    }
}

/// Chooses the mode, unless it is chosen. Returns whether faults are to be [explained](explain).
pub(crate) fn start() -> bool {
    mode() == SAMPLED
}

/// Chooses the mode, unless it is chosen.
#[cold]
fn choose() -> u8 {
    let options = Options::read();
    if options.checked {
        checked::start();
    }
    let held = lock::HEAP.hold();
    let before = MODE.load(Ordering::Acquire);
    if before != UNSTARTED {
        return before;
    }
    thread::start();
    decay::start(options.decay);
    let mode = match options.trace {
        _ if options.checked => CHECKED,
        Some(file) if trace::start(file) => TRACED,
        _ if options.sample > 0 => {
            sampled::start(options.sample);
            SAMPLED
        }
        _ => USUAL,
    };
    MODE.store(mode, Ordering::Release);
    drop(held);
    if options.decay.is_some() {
        set(Setting::trim(decay::TRIM_THRESHOLD));
    }
    mode
}

/// Allocates on the shortest path of the usual heap. Where that leads to no block, returns what
/// `otherwise` returns for the size: it calls [`allocate_missed`].
///
/// It does not test the mode: in any other mode no thread has the arena at hand
/// ([`Threads`](thread::Threads)).
#[inline(always)]
pub(crate) fn allocate_at_hand_or(
    size: usize,
    otherwise: impl FnOnce(usize) -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    usual::allocate_at_hand_or(size, otherwise)
}

/// [`allocate`] after [`allocate_at_hand_or`].
pub(crate) fn allocate_missed(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    if is_usual() { usual::allocate_missed(layout) } else { allocate_slow(layout, call) }
}

/// Allocates a block with unspecified contents. `None` if there is no memory.
pub(crate) fn allocate(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    if is_usual() { usual::allocate(layout) } else { allocate_slow(layout, call) }
}

#[cold]
fn allocate_slow(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    match mode() {
        SAMPLED => sampled::allocate_missed(layout, call),
        CHECKED => checked::allocate(layout, call),
        TORN => torn::allocate(layout),
        TRACED => trace::allocated(trace::Act::Allocate, layout, || usual::allocate(layout)),
        _ => usual::allocate(layout),
    }
}

/// Allocates a block of zeros, if the heap is the [usual](is_usual) one.
#[inline(always)]
pub(crate) fn allocate_zeroed_usual(layout: Layout) -> Option<NonNull<u8>> {
    usual::allocate_zeroed(layout)
}

/// Allocates a block of zeros.
#[cold]
pub(crate) fn allocate_zeroed(layout: Layout, call: Call) -> Option<NonNull<u8>> {
    match mode() {
        SAMPLED => sampled::allocate_zeroed(layout, call),
        CHECKED => checked::allocate_zeroed(layout, call),
        TORN => torn::allocate_zeroed(layout),
        TRACED => {
            trace::allocated(trace::Act::AllocateZeroed, layout, || usual::allocate_zeroed(layout))
        }
        _ => usual::allocate_zeroed(layout),
    }
}

/// Frees a block on the shortest path of the usual heap. `false` only means that
/// [`deallocate_missed`] has more to do, or that it is null. In any other mode no thread has the
/// arena at hand.
///
/// # Safety
///
/// The clause of [`deallocate_missed`], unless `block` is null.
#[inline(always)]
pub(crate) unsafe fn deallocate_at_hand(block: *mut u8) -> bool {
    // SAFETY: `block` is live, and no longer used.
    unsafe { usual::deallocate_at_hand(block) }
}

/// Frees a block where the shortest path did not end.
///
/// # Safety
///
/// `block` came from this module, was not freed since, and is no longer used.
#[inline(never)]
pub(crate) unsafe fn deallocate_missed(block: NonNull<u8>, call: Call) {
    if is_usual() {
        // SAFETY: `block` is live, and no longer used.
        unsafe { usual::deallocate_missed(block) };
    } else {
        // SAFETY: `block` is live, and no longer used.
        unsafe { deallocate_slow(block, call) };
    }
}

/// [`deallocate_missed`] in a mode other than the usual one.
///
/// # Safety
///
/// The clause of [`deallocate_missed`].
#[cold]
unsafe fn deallocate_slow(block: NonNull<u8>, call: Call) {
    // SAFETY: `block` is live, and no longer used; it came from the heap of this mode.
    unsafe {
        match mode() {
            SAMPLED => sampled::deallocate_missed(block, call),
            CHECKED => checked::deallocate(block, call),
            TORN => torn::deallocate(block),
            TRACED => trace::freed(block, || usual::deallocate(block)),
            _ => usual::deallocate(block),
        }
    }
}

/// [`reallocate`], if the heap is the [usual](is_usual) one.
///
/// # Safety
///
/// The clauses of [`reallocate`].
#[inline(always)]
pub(crate) unsafe fn reallocate_usual(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    // SAFETY: `block` is live, and no longer used after `Some`.
    unsafe { usual::reallocate(block, new) }
}

/// Changes the size of a block, which may move. `None` if there is no memory: the block is as it
/// was.
///
/// # Safety
///
/// `block` came from this module, and was not freed since. After `Some`, only the new block is
/// used.
#[cold]
pub(crate) unsafe fn reallocate(
    block: NonNull<u8>,
    new: Layout,
    call: Call,
) -> Option<NonNull<u8>> {
    // SAFETY: `block` is live, and no longer used after `Some`; it came from the heap of this mode.
    unsafe {
        match mode() {
            SAMPLED => sampled::reallocate(block, new, call),
            CHECKED => checked::reallocate(block, new, call),
            TORN => torn::reallocate(block, new),
            TRACED => trace::reallocated(block, new, || usual::reallocate(block, new)),
            _ => usual::reallocate(block, new),
        }
    }
}

/// Returns the number of usable bytes of a block.
///
/// # Safety
///
/// `block` came from this module and was not freed since.
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    // SAFETY: `block` is live; it came from the heap of this mode.
    unsafe {
        match mode() {
            SAMPLED => sampled::usable_size(block),
            CHECKED => checked::usable_size(block),
            TORN => torn::usable_size(block),
            _ => usual::usable_size(block),
        }
    }
}

/// Gives free memory back, but for `keep` bytes at the break. Returns whether there was any.
pub(crate) fn trim(keep: usize) -> bool {
    match mode() {
        CHECKED => checked::trim(keep),
        TORN => torn::trim(keep),
        _ => usual::trim(keep),
    }
}

/// Changes a setting.
pub(crate) fn set(setting: Setting) {
    match mode() {
        CHECKED => checked::set(setting),
        TORN => {}
        _ => usual::set(setting),
    }
}

/// Counts the memory in use. O(cells).
pub(crate) fn usage() -> Usage {
    match mode() {
        SAMPLED => sampled::usage(),
        CHECKED => checked::usage(),
        TORN => torn::usage(),
        _ => usual::usage(),
    }
}

/// Calls `show` with the statistics in words.
pub(crate) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
    match mode() {
        CHECKED => checked::describe(show),
        TORN => torn::describe(show),
        _ => usual::describe(show),
    }
}

/// Prepares the slot of a thread that does not exist in the child of a fork for another thread.
/// Returns `false` if its arena is lost; no thread may get the slot then.
///
/// # Safety
///
/// A thread of the parent had the slot, and no thread has taken it since the fork.
pub(crate) unsafe fn take_over_slot(slot: usize) -> bool {
    // SAFETY: this function's own clause.
    unsafe { usual::take_over_slot(slot) }
}

/// Abandons the calling thread's arena: the thread ends.
pub(crate) fn abandon_thread() {
    usual::abandon_thread();
}

/// Writes the rest of the trace, or verifies the checked heap, and lists live blocks if asked.
pub(crate) fn finish(lists_leaks: bool) {
    match mode() {
        TRACED => trace::finish(),
        CHECKED => checked::finish(lists_leaks),
        _ => {}
    }
}

/// Gives free memory back if the decay period is over. The caller is not inside the heap, and holds
/// no lock.
pub(crate) fn decay_if_due() {
    usual::decay_if_due();
}

/// Explains an access that faulted, if a misuse of a sampled block is the cause.
pub(crate) fn explain(address: usize) -> Option<brkalloc::SampleReport> {
    sampled::explain(address)
}

/// Number of allocations of which one is sampled, unless the environment says how many.
pub(crate) const SAMPLE_DEFAULT: u32 = usual::SAMPLE_DEFAULT;

/// Name of the variable that asks for a trace.
pub(crate) const TRACE_VARIABLE: &CStr = c"BRKALLOC_TRACE";
