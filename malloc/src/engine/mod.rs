//! Which heap serves the process. What C means by its names is not known here: layouts come in,
//! blocks go out.
//!
//! ```text
//!   Mode   Unstarted ──first call──► Usual     usual.rs       arenas; one test, then the heap
//!                              └───► Special ─┬─ usual.rs      with a record of each call    trace.rs
//!                                             └─ checked.rs    every misuse is found
//! ```
//!
//! The mode is chosen once, before the first block: who has a block came from is never a question.

mod checked;
mod locked;
mod trace;
mod usual;

use core::alloc::Layout;
use core::ffi::CStr;
use core::fmt;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::decay;
use crate::lock::HeapLock;
use crate::options::Options;
use crate::{pause, thread};

const UNSTARTED: u8 = 0;
const USUAL: u8 = 1;
const TRACED: u8 = 2;
const CHECKED: u8 = 3;

static MODE: AtomicU8 = AtomicU8::new(UNSTARTED);

/// True if neither the checked profile nor a trace was asked for.
#[inline(always)]
fn is_usual() -> bool {
    MODE.load(Ordering::Relaxed) == USUAL
}

/// True if a trace was asked for, and is written.
fn is_traced() -> bool {
    MODE.load(Ordering::Relaxed) == TRACED
}

/// The mode, once it is chosen.
#[cold]
fn mode() -> u8 {
    match MODE.load(Ordering::Acquire) {
        UNSTARTED => start(),
        mode => mode,
    }
}

/// Chooses the mode.
#[cold]
pub(crate) fn start() -> u8 {
    let options = Options::read();
    if options.checked {
        checked::start();
    }
    let held = HeapLock::hold();
    let before = MODE.load(Ordering::Acquire);
    if before != UNSTARTED {
        return before;
    }
    thread::start();
    decay::start(options.decay);
    let mode = match options.trace {
        _ if options.checked => CHECKED,
        Some(file) if trace::start(file) => TRACED,
        _ => USUAL,
    };
    MODE.store(mode, Ordering::Release);
    drop(held);
    if options.decay.is_some() {
        set(Setting::TrimThreshold(decay::TRIM_THRESHOLD));
    }
    mode
}

/// A block of this layout, if the usual heap has one at hand. `None` only says that [`allocate`]
/// may have one.
#[inline(always)]
pub(crate) fn allocate_at_once(layout: Layout) -> Option<NonNull<u8>> {
    if is_usual() { usual::allocate_at_once(layout) } else { None }
}

/// A block of this layout; its contents are unspecified. `None`: there is no memory.
pub(crate) fn allocate(layout: Layout) -> Option<NonNull<u8>> {
    if is_usual() { usual::allocate(layout) } else { allocate_specially(layout) }
}

#[cold]
fn allocate_specially(layout: Layout) -> Option<NonNull<u8>> {
    match mode() {
        CHECKED => checked::allocate(layout),
        TRACED => trace::allocated(trace::Act::Allocate, layout, || usual::allocate(layout)),
        _ => usual::allocate(layout),
    }
}

/// A block of zeros.
#[inline(always)]
pub(crate) fn allocate_zeroed(layout: Layout) -> Option<NonNull<u8>> {
    if is_usual() { usual::allocate_zeroed(layout) } else { allocate_zeroed_specially(layout) }
}

#[cold]
fn allocate_zeroed_specially(layout: Layout) -> Option<NonNull<u8>> {
    match mode() {
        CHECKED => checked::allocate_zeroed(layout),
        TRACED => {
            trace::allocated(trace::Act::AllocateZeroed, layout, || usual::allocate_zeroed(layout))
        }
        _ => usual::allocate_zeroed(layout),
    }
}

/// Frees a block.
///
/// # Safety
///
/// It came from here, was not freed since, and is not used any more.
#[inline(always)]
pub(crate) unsafe fn deallocate(block: NonNull<u8>) {
    if is_usual() {
        // SAFETY: the caller's promise.
        unsafe { usual::deallocate(block) };
    } else {
        // SAFETY: the caller's promise.
        unsafe { deallocate_specially(block) };
    }
}

/// # Safety
///
/// As for [`deallocate`].
#[cold]
unsafe fn deallocate_specially(block: NonNull<u8>) {
    match mode() {
        // SAFETY: the caller's promise, which is also looked at.
        CHECKED => unsafe { checked::deallocate(block) },
        // SAFETY: the caller's promise.
        TRACED => trace::freed(block, || unsafe { usual::deallocate(block) }),
        // SAFETY: the caller's promise.
        _ => unsafe { usual::deallocate(block) },
    }
}

/// Gives a block another size; it may move. `None`: there is no memory, and the block is as it was.
///
/// # Safety
///
/// As for [`deallocate`], if there is an answer; then only the new block is used.
#[inline(always)]
pub(crate) unsafe fn reallocate(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    if is_usual() {
        // SAFETY: the caller's promise.
        unsafe { usual::reallocate(block, new) }
    } else {
        // SAFETY: the caller's promise.
        unsafe { reallocate_specially(block, new) }
    }
}

/// # Safety
///
/// As for [`reallocate`].
#[cold]
unsafe fn reallocate_specially(block: NonNull<u8>, new: Layout) -> Option<NonNull<u8>> {
    match mode() {
        // SAFETY: the caller's promise, which is also looked at.
        CHECKED => unsafe { checked::reallocate(block, new) },
        // SAFETY: the caller's promise.
        TRACED => trace::reallocated(block, new, || unsafe { usual::reallocate(block, new) }),
        // SAFETY: the caller's promise.
        _ => unsafe { usual::reallocate(block, new) },
    }
}

/// How many bytes of a block may be used.
///
/// # Safety
///
/// It came from here and was not freed since.
pub(crate) unsafe fn usable_size(block: NonNull<u8>) -> usize {
    match mode() {
        // SAFETY: the caller's promise.
        CHECKED => unsafe { checked::usable_size(block) },
        // SAFETY: the caller's promise.
        _ => unsafe { usual::usable_size(block) },
    }
}

/// Gives memory back to the system, but for `keep` bytes at the break. Whether there was any.
pub(crate) fn trim(keep: usize) -> bool {
    match mode() {
        CHECKED => checked::trim(keep),
        _ => usual::trim(keep),
    }
}

/// A setting of the heap that C can change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Setting {
    /// From which size on a block has a mapping of its own; it does not adapt any more.
    MapThreshold(usize),
    /// From how much free memory at the break on it is given back; half of it stays.
    TrimThreshold(usize),
}

/// Changes a setting.
pub(crate) fn set(setting: Setting) {
    match mode() {
        CHECKED => checked::set(setting),
        _ => usual::set(setting),
    }
}

/// How much memory is in use, as far as C has names for it. All in bytes, or numbers of blocks.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// What the system granted, without mappings of large blocks.
    pub(crate) granted: usize,
    pub(crate) live: usize,
    pub(crate) free: usize,
    pub(crate) free_cells: usize,
    pub(crate) cached: usize,
    pub(crate) cached_blocks: usize,
    pub(crate) mapped: usize,
    pub(crate) mapped_blocks: usize,
}

/// Counts what is in use. Looks at everything.
pub(crate) fn usage() -> Usage {
    match mode() {
        CHECKED => checked::usage(),
        _ => usual::usage(),
    }
}

/// Calls `show` with the statistics in words.
pub(crate) fn describe(show: impl FnOnce(&dyn fmt::Display)) {
    match mode() {
        CHECKED => checked::describe(show),
        _ => usual::describe(show),
    }
}

/// Before a fork, so many pauses whoever is in the middle of something in an arena is waited for at
/// most.
const PAUSES: usize = 1000;

/// Takes everything that another thread might hold, in the order in which everybody takes it:
/// before `fork`. What nobody else can hold is not even touched, here and below: of each page that
/// is written to, parent and child need a copy each.
pub(crate) fn hold_for_fork() {
    if is_traced() {
        trace::hold();
    }
    let is_shared = HeapLock::take_if_shared();
    thread::before_fork();
    let mut pauses = 0..PAUSES;
    while !usual::hold_for_fork() && is_shared && pauses.next().is_some() {
        // Who is in an arena may wait for the lock.
        HeapLock::give_back_if_taken();
        pause::pause();
        HeapLock::take_if_shared();
    }
}

/// Gives it back, in the parent.
pub(crate) fn release_in_parent() {
    usual::release_after_fork();
    HeapLock::give_back_if_taken();
    if is_traced() {
        trace::release();
    }
}

/// Gives it back, in the child, which has one thread and writes no trace: the file is the parent's.
pub(crate) fn release_in_child() {
    HeapLock::give_back_if_taken();
    usual::after_fork();
    thread::after_fork();
    if is_traced() {
        trace::stop_in_child();
    }
}

/// Makes the slot of a thread that is not in the child of a fork ready for another one. False: its
/// memory is lost, and nobody should get it.
///
/// # Safety
///
/// A thread had it that is not there, and nobody has got it since.
pub(crate) unsafe fn take_over_slot(slot: usize) -> bool {
    // SAFETY: the caller's promise.
    unsafe { usual::take_over_slot(slot) }
}

/// The calling thread ends: its arena is for others.
pub(crate) fn retire_thread() {
    usual::retire_thread();
}

/// Writes what is left of the trace.
pub(crate) fn finish() {
    if is_traced() {
        trace::finish();
    }
}

/// Gives unused memory back if it is time. Called by who is in no heap, and holds nothing.
pub(crate) fn now_and_then() {
    usual::give_back_if_due();
}

/// The name of the variable that asks for a trace.
pub(crate) const TRACE_VARIABLE: &CStr = c"BRKALLOC_TRACE";
