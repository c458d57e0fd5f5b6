//! Text to the standard output, one system call a line.

use core::fmt::{self, Write};

use crate::system::io;

/// Prints as `std` does.
#[macro_export]
macro_rules! print {
    ($($arguments:tt)*) => { $crate::print(::core::format_args!($($arguments)*)) };
}

/// Prints as `std` does.
#[macro_export]
macro_rules! println {
    () => { $crate::print!("\n") };
    ($($arguments:tt)*) => { $crate::print(::core::format_args!("{}\n", ::core::format_args!($($arguments)*))) };
}

/// Writes the text to the standard output. What cannot be written is lost.
pub fn print(text: fmt::Arguments<'_>) {
    let mut line = Line { bytes: [0; _], len: 0 };
    // It never says that it failed.
    let _ = line.write_fmt(text);
    line.flush();
}

/// Collects text, so that what several processes print is mixed by lines and not by letters.
///
/// # Invariants
///
/// `len ≤ bytes.len()`; what is in front of it is not written yet.
struct Line {
    bytes: [u8; 256],
    len: usize,
}

impl Line {
    fn flush(&mut self) {
        let mut rest = &self.bytes[..self.len];
        while !rest.is_empty() {
            match io::write(io::OUTPUT, rest) {
                Ok(written) if written > 0 => rest = &rest[written..],
                _ => break,
            }
        }
        self.len = 0;
    }
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            self.bytes[self.len] = byte;
            self.len += 1;
            if byte == b'\n' || self.len == self.bytes.len() {
                self.flush();
            }
        }
        Ok(())
    }
}
