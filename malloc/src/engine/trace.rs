//! A record of every call, for `bench import` to make a trace of, which the benchmark replays.
//!
//! A record is four native 64-bit words: `act | alignment << 8`, the size, the address of the
//! block, and the address before. Each is made with the trace locked while the heap does what it
//! says, so that the order of the records is the order of what happened.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crate::lock::HeapLock;
use crate::request::ALIGN;
use crate::{errno, report};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Allocate = 0,
    AllocateZeroed = 1,
    Free = 2,
    Reallocate = 3,
}

type Record = [u64; 4];

/// Records that are written at once.
const CAPACITY: usize = 4096;

/// All zeros at first, so that it takes no room in the file of the library.
///
/// # Invariants
///
/// The buffer is touched with `is_locked` taken only.
struct Trace {
    is_locked: AtomicBool,
    /// The number of the file that is written to, and 1; 0: there is none.
    file: AtomicI32,
    buffer: UnsafeCell<Buffer>,
}

struct Buffer {
    records: [Record; CAPACITY],
    len: usize,
}

// SAFETY: the type's invariant.
unsafe impl Sync for Trace {}

static TRACE: Trace = Trace {
    is_locked: AtomicBool::new(false),
    file: AtomicI32::new(0),
    buffer: UnsafeCell::new(Buffer { records: [[0; 4]; CAPACITY], len: 0 }),
};

/// Opens the file. Whether there is one.
pub(super) fn start(path: &CStr) -> bool {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: a string.
    let file = errno::unchanged(|| unsafe { libc::open(path.as_ptr(), flags, 0o644) });
    TRACE.file.store(file + 1, Ordering::Relaxed);
    if file < 0 {
        report::line(format_args!("no trace: cannot write to {path:?}"));
    }
    file >= 0
}

/// An allocation.
pub(super) fn allocated(
    act: Act,
    layout: Layout,
    run: impl FnOnce() -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    recorded(run, |block| record(act, layout, *block, None))
}

/// A `free`.
pub(super) fn freed(block: NonNull<u8>, run: impl FnOnce()) {
    recorded(run, |()| [Act::Free as u64, 0, address(Some(block)), 0]);
}

/// A `realloc`.
pub(super) fn reallocated(
    old: NonNull<u8>,
    new: Layout,
    run: impl FnOnce() -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    recorded(run, |block| record(Act::Reallocate, new, *block, Some(old)))
}

fn record(
    act: Act,
    layout: Layout,
    block: Option<NonNull<u8>>,
    old: Option<NonNull<u8>>,
) -> Record {
    let align = if layout.align() > ALIGN { layout.align() as u64 } else { 0 };
    [act as u64 | align << 8, layout.size() as u64, address(block), address(old)]
}

fn address(block: Option<NonNull<u8>>) -> u64 {
    block.map_or(0, |block| block.addr().get() as u64)
}

fn recorded<R>(run: impl FnOnce() -> R, record: impl FnOnce(&R) -> Record) -> R {
    let is_held = HeapLock::is_callers_fork();
    if !is_held {
        hold();
    }
    let answer = run();
    with_buffer(|buffer, file| buffer.add(record(&answer), file));
    if !is_held {
        release();
    }
    answer
}

/// Runs `act` with the buffer and the file, if there is one. The trace is locked.
fn with_buffer(act: impl FnOnce(&mut Buffer, c_int)) {
    if let Some(file) = TRACE.file.load(Ordering::Relaxed).checked_sub(1).filter(|&file| file >= 0)
    {
        // SAFETY: the trace is locked.
        act(unsafe { &mut *TRACE.buffer.get() }, file);
    }
}

impl Buffer {
    fn add(&mut self, record: Record, file: c_int) {
        self.records[self.len] = record;
        self.len += 1;
        if self.len == CAPACITY {
            self.write(file);
        }
    }

    fn write(&mut self, file: c_int) {
        let mut bytes = self.records[..self.len].as_flattened().as_ptr().cast::<u8>();
        let mut left = self.len * size_of::<Record>();
        self.len = 0;
        while left > 0 {
            // SAFETY: so many bytes are left of the records.
            let written = errno::unchanged(|| unsafe { libc::write(file, bytes.cast(), left) });
            let Ok(written) = usize::try_from(written) else {
                report::die(format_args!("the trace cannot be written on"));
            };
            // SAFETY: no more than was left.
            bytes = unsafe { bytes.add(written) };
            left -= written;
        }
    }
}

/// Locks the trace.
pub(super) fn hold() {
    while TRACE.is_locked.swap(true, Ordering::Acquire) {
        // SAFETY: lets others run.
        unsafe { libc::sched_yield() };
    }
}

/// Unlocks it.
pub(super) fn release() {
    TRACE.is_locked.store(false, Ordering::Release);
}

/// Unlocks it in a child, whose calls are not recorded.
pub(super) fn stop_in_child() {
    TRACE.file.store(0, Ordering::Relaxed);
    release();
}

/// Writes what is left.
pub(super) fn finish() {
    hold();
    with_buffer(Buffer::write);
    release();
}
