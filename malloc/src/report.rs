//! Messages on the standard error output, formatted without allocation.

use core::ffi::c_int;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicI32, Ordering};

use crate::errno;

/// Maximum length of a message, in bytes. A longer one is cut off.
const MAX_LEN: usize = 2048;

/// Lowest descriptor for the copy of the standard error output.
const LOWEST_COPY: c_int = 512;

/// Maximum length of a message of a signal handler, whose stack may be short, in bytes.
const SHORT_LEN: usize = 512;

/// A message on the stack, written by one system call.
pub(crate) struct Message<const LEN: usize = MAX_LEN> {
    bytes: [u8; LEN],
    len: usize,
}

impl<const LEN: usize> Message<LEN> {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; LEN], len: 0 }
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<const LEN: usize> Write for Message<LEN> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

/// Descriptor that messages are written to.
static ERRORS: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);

/// Duplicates the standard error output for messages: many programs close theirs when they exit.
pub(crate) fn keep_errors_open() {
    // SAFETY: creates a descriptor well above those that programs number themselves.
    let copy = errno::preserving(|| unsafe {
        libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, LOWEST_COPY)
    });
    if copy >= 0 {
        ERRORS.store(copy, Ordering::Relaxed);
    }
}

/// Writes a line to the standard error output.
pub(crate) fn line(line: fmt::Arguments<'_>) {
    text(format_args!("brkmalloc: {line}\n"));
}

/// Writes a line to the standard error output, for a signal handler.
pub(crate) fn short_line(line: fmt::Arguments<'_>) {
    write::<SHORT_LEN>(format_args!("brkmalloc: {line}\n"));
}

/// Writes text to the standard error output.
pub(crate) fn text(text: fmt::Arguments<'_>) {
    write::<MAX_LEN>(text);
}

fn write<const LEN: usize>(text: fmt::Arguments<'_>) {
    let mut message = Message::<LEN>::new();
    // `Message` never fails.
    let _ = message.write_fmt(text);
    let bytes = message.bytes();
    // SAFETY: the bytes are initialised. A failure is ignored: there is no place to report it.
    errno::preserving(|| unsafe {
        libc::write(ERRORS.load(Ordering::Relaxed), bytes.as_ptr().cast(), bytes.len())
    });
}

/// Writes a line and aborts the process.
#[cold]
pub(crate) fn die(text: fmt::Arguments<'_>) -> ! {
    line(text);
    // SAFETY: `abort` may be called at any time.
    unsafe { libc::abort() }
}
