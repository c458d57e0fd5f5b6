//! A record of every call. `bench import` converts it into a trace that the benchmark replays;
//! `make story TRACE=file` makes a page of it.
//!
//! A record is four native 64-bit words: `act | alignment << 8`, the size, the address of the
//! block, and its address before. The trace is locked during each call of the heap, so the order of
//! the records is the order of the calls. Where the process's memory has changed since the record
//! before, one of it comes first: act, the break, bytes of mappings, number of mappings.

use core::alloc::Layout;
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_int};
use core::ptr::NonNull;
use core::sync::atomic::{AtomicI32, Ordering};

use crate::lock;
use crate::provider::{break_position, figures};
use crate::request::ALIGN;
use crate::{errno, report};

/// Kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Allocate = 0,
    AllocateZeroed = 1,
    Free = 2,
    Reallocate = 3,
    /// No call: where the break stands, and what is mapped.
    Memory = 4,
}

type Record = [u64; 4];

/// Number of records that are written at once.
const CAPACITY: usize = 4096;

/// The file and the records not yet written. Zeroed at first: it takes no room in the library's
/// file.
///
/// # Invariants
///
/// Only a thread that holds [`lock::TRACE`] uses the buffer.
struct Trace {
    /// Descriptor of the file plus 1; 0 without a file.
    file: AtomicI32,
    buffer: UnsafeCell<Buffer>,
}

struct Buffer {
    records: [Record; CAPACITY],
    len: usize,
    /// The last record of memory.
    memory: Record,
}

// SAFETY: by the type's invariant, one thread at a time uses the buffer.
unsafe impl Sync for Trace {}

static TRACE: Trace = Trace {
    file: AtomicI32::new(0),
    buffer: UnsafeCell::new(Buffer { records: [[0; 4]; CAPACITY], len: 0, memory: [0; 4] }),
};

/// Opens the file. Returns whether that succeeded.
pub(super) fn start(path: &CStr) -> bool {
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: `path` is a C string.
    let file = errno::preserving(|| unsafe { libc::open(path.as_ptr(), flags, 0o644) });
    TRACE.file.store(file + 1, Ordering::Relaxed);
    if file < 0 {
        report::line(format_args!("no trace: cannot write to {path:?}"));
    }
    file >= 0
}

/// Runs and records an allocation.
pub(super) fn allocated(
    act: Act,
    layout: Layout,
    run: impl FnOnce() -> Option<NonNull<u8>>,
) -> Option<NonNull<u8>> {
    recorded(run, |block| record(act, layout, *block, None))
}

/// Runs and records a `free`.
pub(super) fn freed(block: NonNull<u8>, run: impl FnOnce()) {
    recorded(run, |()| [Act::Free as u64, 0, address(Some(block)), 0]);
}

/// Runs and records a `realloc`.
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

/// What memory the process has, as a record.
fn memory() -> Record {
    let end = break_position().addr();
    let (mapped, mappings) = (figures::MAPPED.now(), figures::MAPPINGS.now());
    [Act::Memory as u64, end as u64, mapped as u64, mappings as u64]
}

fn address(block: Option<NonNull<u8>>) -> u64 {
    block.map_or(0, |block| block.addr().get() as u64)
}

fn recorded<R>(run: impl FnOnce() -> R, record: impl FnOnce(&R) -> Record) -> R {
    let _held = lock::TRACE.hold();
    let answer = run();
    with_buffer(|buffer, file| {
        let memory = memory();
        if buffer.memory != memory {
            buffer.memory = memory;
            buffer.add(memory, file);
        }
        buffer.add(record(&answer), file);
    });
    answer
}

/// Runs `act` with the buffer and the file, if there is one. The caller has locked the trace.
fn with_buffer(act: impl FnOnce(&mut Buffer, c_int)) {
    if let Some(file) = TRACE.file.load(Ordering::Relaxed).checked_sub(1).filter(|&file| file >= 0)
    {
        // SAFETY: the trace is locked, so no other thread uses the buffer.
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
            // SAFETY: `left` bytes of the records follow `bytes`.
            let written = errno::preserving(|| unsafe { libc::write(file, bytes.cast(), left) });
            let Ok(written) = usize::try_from(written) else {
                report::die(format_args!("the trace cannot be written"));
            };
            // SAFETY: `written ≤ left`.
            bytes = unsafe { bytes.add(written) };
            left -= written;
        }
    }
}

/// Ends the trace in the child of a fork, whose calls are not recorded.
pub(super) fn stop_in_child() {
    TRACE.file.store(0, Ordering::Relaxed);
}

/// Writes the remaining records.
pub(super) fn finish() {
    let _held = lock::TRACE.hold();
    with_buffer(Buffer::write);
}
