//! Messages, written without a buffer that somebody would have to allocate.

use core::fmt::{self, Write};

/// The longest message. What is longer is cut off.
const MOST: usize = 1024;

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

/// Writes a line to the standard error output.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    let mut message = Message { bytes: [0; MOST], len: 0 };
    // A message always takes what it is given.
    let _ = writeln!(message, "brkmalloc: {text}");
    // SAFETY: so many bytes of the message are there. If nobody takes them, nobody wanted to know.
    crate::errno::unchanged(|| unsafe { libc::write(libc::STDERR_FILENO, message.bytes.as_ptr().cast(), message.len) });
}

/// Writes a line and ends the process: for what must not go on.
#[cold]
pub(crate) fn die(text: fmt::Arguments<'_>) -> ! {
    line(text);
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}
