//! Text of a fixed size.

use core::fmt::{self, Write};

/// Text that is collected without a heap. What does not fit is left out.
#[derive(Debug)]
pub struct Text {
    bytes: [u8; Self::CAPACITY],
    len: usize,
}

impl Text {
    /// Maximum length, in bytes.
    const CAPACITY: usize = 512;

    /// No text yet.
    pub const fn new() -> Self {
        Self { bytes: [0; Self::CAPACITY], len: 0 }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.bytes[..self.len]).unwrap_or("")
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut len = text.len().min(Self::CAPACITY - self.len);
        while !text.is_char_boundary(len) {
            len -= 1;
        }
        self.bytes[self.len..self.len + len].copy_from_slice(&text.as_bytes()[..len]);
        self.len += len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_does_not_fit_ends_at_a_whole_letter() {
        let mut text = Text::new();
        write!(text, "{}äöü", "x".repeat(Text::CAPACITY - 3)).unwrap();
        assert_eq!(text.as_str(), format!("{}ä", "x".repeat(Text::CAPACITY - 3)));
    }
}
