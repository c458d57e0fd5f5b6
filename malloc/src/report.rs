//! Messages, written without a buffer that somebody would have to allocate.

use core::ffi::c_int;
use core::fmt::{self, Write};
use core::sync::atomic::{AtomicI32, Ordering};

use crate::errno;

/// The longest message. What is longer is cut off.
const MOST: usize = 1024;

/// The least number of the copy of the standard error output.
const LEAST_NUMBER: c_int = 512;

/// A message that is put together on the stack, so that it is written at once.
struct Message {
    bytes: [u8; MOST],
    len: usize,
}

impl Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = &mut self.bytes[self.len..];
        let len = text.len().min(room.len());
        room[..len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

/// Where messages go.
static ERRORS: AtomicI32 = AtomicI32::new(libc::STDERR_FILENO);

/// Lets messages go where they go now, also if the program closes its standard error output: many
/// do when they exit.
pub(crate) fn keep_errors_open() {
    // SAFETY: makes another number for a file, well above those that programs count on.
    let copy = errno::unchanged(|| unsafe {
        libc::fcntl(libc::STDERR_FILENO, libc::F_DUPFD_CLOEXEC, LEAST_NUMBER)
    });
    if copy >= 0 {
        ERRORS.store(copy, Ordering::Relaxed);
    }
}

/// Writes a line to the standard error output.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut message = Message { bytes: [0; MOST], len: 0 };
    // A message always takes what it is given.
    let _ = writeln!(message, "brkmalloc: {text}");
    // SAFETY: so many bytes of the message are there. If nobody takes them, nobody wanted to know.
    errno::unchanged(|| unsafe {
        libc::write(ERRORS.load(Ordering::Relaxed), message.bytes.as_ptr().cast(), message.len)
    });
}

/// Writes a line and ends the process: for what must not go on.
#[cold]
pub(crate) fn die(text: fmt::Arguments<'_>) -> ! {
    line(text);
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}
