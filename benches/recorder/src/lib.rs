//! Records what a program asks of `malloc`, in the order in which it asks. For glibc, which offers
//! its own functions under second names.
//!
//! ```text
//!   RECORD=raw LD_PRELOAD=librecorder.so program …        bench trace import raw → a compact trace
//!
//!   program ──malloc(24)──► this library ──► __libc_malloc
//!                              └─► buffer ──write──► the file named by RECORD
//! ```
//!
//! A record is four native 64-bit words: the act, the alignment (0 if plain), the size, the address
//! of the block, and the one before for `realloc`, packed as `act | alignment << 8`, `size`,
//! `block`, `old`. Nothing here allocates.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

unsafe extern "C" {
    fn __libc_malloc(size: usize) -> *mut c_void;
    fn __libc_calloc(count: usize, size: usize) -> *mut c_void;
    fn __libc_realloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn __libc_memalign(align: usize, size: usize) -> *mut c_void;
    fn __libc_free(block: *mut c_void);
}

const ALLOCATE: u64 = 0;
const ZEROED: u64 = 1;
const FREE: u64 = 2;
const REALLOCATE: u64 = 3;

const CAPACITY: usize = 4096;

/// What was recorded and not yet written.
struct Recorder {
    locked: AtomicBool,
    /// The file; -1 before the first record, -2 if nothing is to be recorded.
    file: AtomicI32,
    buffer: UnsafeCell<Buffer>,
}

struct Buffer {
    records: [[u64; 4]; CAPACITY],
    len: usize,
}

// SAFETY: the buffer is touched with `locked` held only.
unsafe impl Sync for Recorder {}

static RECORDER: Recorder = Recorder {
    locked: AtomicBool::new(false),
    file: AtomicI32::new(-1),
    buffer: UnsafeCell::new(Buffer { records: [[0; 4]; CAPACITY], len: 0 }),
};

impl Recorder {
    /// Calls `act` with the buffer and the file, unless nothing is to be recorded.
    fn with(&self, act: impl FnOnce(&mut Buffer, c_int)) {
        while self.locked.swap(true, Ordering::Acquire) {
            std::hint::spin_loop();
        }
        if self.file.load(Ordering::Relaxed) == -1 {
            self.file.store(open(), Ordering::Relaxed);
        }
        let file = self.file.load(Ordering::Relaxed);
        if file >= 0 {
            // SAFETY: the lock is held.
            act(unsafe { &mut *self.buffer.get() }, file);
        }
        self.locked.store(false, Ordering::Release);
    }

    fn record(&self, act: u64, align: usize, size: usize, block: *mut c_void, old: *mut c_void) {
        self.with(|buffer, file| {
            buffer.records[buffer.len] =
                [act | (align as u64) << 8, size as u64, block.addr() as u64, old.addr() as u64];
            buffer.len += 1;
            if buffer.len == CAPACITY {
                buffer.write(file);
            }
        });
    }
}

impl Buffer {
    fn write(&mut self, file: c_int) {
        let mut bytes: &[u8] =
            // SAFETY: the first `len` records are initialised words, and any word is four times two
            // bytes of `u8`.
            unsafe { std::slice::from_raw_parts(self.records.as_ptr().cast(), self.len * size_of::<[u64; 4]>()) };
        while !bytes.is_empty() {
            // SAFETY: the pointer and the length are those of a slice.
            let written = unsafe { libc::write(file, bytes.as_ptr().cast(), bytes.len()) };
            match usize::try_from(written) {
                Ok(written) => bytes = &bytes[written..],
                // SAFETY: ends the process; a recording with a gap is worse than none.
                Err(_) => unsafe { libc::abort() },
            }
        }
        self.len = 0;
    }
}

/// Opens the file that `RECORD` names.
fn open() -> c_int {
    // SAFETY: both strings end with a zero.
    let path = unsafe { libc::getenv(c"RECORD".as_ptr()) };
    if path.is_null() {
        return -2;
    }
    // A child process must not record into the same file.
    // SAFETY: the string ends with a zero.
    unsafe { libc::unsetenv(c"LD_PRELOAD".as_ptr()) };
    let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC | libc::O_CLOEXEC;
    // SAFETY: a string of the environment ends with a zero.
    match unsafe { libc::open(path.cast::<c_char>(), flags, 0o644) } {
        -1 => -2,
        file => file,
    }
}

/// Writes what is left when the program ends.
extern "C" fn finish() {
    RECORDER.with(Buffer::write);
}

#[used]
#[unsafe(link_section = ".fini_array")]
static FINISH: extern "C" fn() = finish;

/// C's `malloc`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    // SAFETY: any size will do.
    let block = unsafe { __libc_malloc(size) };
    RECORDER.record(ALLOCATE, 0, size, block, std::ptr::null_mut());
    block
}

/// C's `calloc`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    // SAFETY: any count and size will do.
    let block = unsafe { __libc_calloc(count, size) };
    RECORDER.record(ZEROED, 0, count.wrapping_mul(size), block, std::ptr::null_mut());
    block
}

/// C's `realloc`.
///
/// # Safety
///
/// As in C: the block is live, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realloc(block: *mut c_void, size: usize) -> *mut c_void {
    // SAFETY: the caller's promise.
    let new = unsafe { __libc_realloc(block, size) };
    RECORDER.record(REALLOCATE, 0, size, new, block);
    new
}

/// C's `free`.
///
/// # Safety
///
/// As in C: the block is live, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn free(block: *mut c_void) {
    if !block.is_null() {
        RECORDER.record(FREE, 0, 0, block, std::ptr::null_mut());
    }
    // SAFETY: the caller's promise.
    unsafe { __libc_free(block) };
}

/// glibc's `memalign`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    // SAFETY: the library checks the alignment.
    let block = unsafe { __libc_memalign(align, size) };
    RECORDER.record(ALLOCATE, align, size, block, std::ptr::null_mut());
    block
}

/// C's `aligned_alloc`.
///
/// # Safety
///
/// None beyond C's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    // SAFETY: as for `memalign`.
    unsafe { memalign(align, size) }
}

/// POSIX's `posix_memalign`.
///
/// # Safety
///
/// `out` is valid for writing a pointer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || !align.is_multiple_of(size_of::<usize>()) {
        return libc::EINVAL;
    }
    // SAFETY: a power of two.
    let block = unsafe { memalign(align, size) };
    if block.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(block) };
    0
}
