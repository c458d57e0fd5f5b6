//! Shortens addresses: `0xffff908000000000 -> 0xffff908000004000` is printed as
//! `0xffff908000000000 -> 0x…00004000`. The high half of an address is left out if it is that of
//! the address before; a [forgotten](Shorten::forget) one is printed again.

use core::fmt::{self, Write};

/// Maximum length of a line whose addresses are all shortened, in bytes.
const LONGEST_LINE: usize = 512;

/// Bits of the half of an address that is always printed.
const LOW_HALF: u32 = 32;

/// Length of a shortened address behind `0x`, in characters.
const SHORT_LEN: usize = 9;

/// A place to print to that shortens addresses, line by line.
///
/// # Invariants
///
/// `line[..len]` is what was printed of the line so far, whole characters.
pub struct Shorten<'out> {
    out: &'out mut dyn Write,
    line: [u8; LONGEST_LINE],
    len: usize,
    /// High half of the last address.
    high: u64,
}

impl<'out> Shorten<'out> {
    /// Prints to `out`.
    pub const fn new(out: &'out mut dyn Write) -> Self {
        Self { out, line: [0; LONGEST_LINE], len: 0, high: 0 }
    }

    /// Prints the next address whole.
    pub const fn forget(&mut self) {
        self.high = 0;
    }

    /// Prints what there is of the line.
    fn flush(&mut self) -> fmt::Result {
        let Self { out, line, len, high } = self;
        let line = core::str::from_utf8(&line[..*len]).map_err(|_| fmt::Error)?;
        *len = 0;
        shorten(line, high, *out)
    }
}

impl Write for Shorten<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.split_inclusive('\n') {
            if self.len + piece.len() > LONGEST_LINE {
                self.flush()?;
            }
            let Some(free) = self.line.get_mut(self.len..self.len + piece.len()) else {
                self.out.write_str(piece)?;
                continue;
            };
            free.copy_from_slice(piece.as_bytes());
            self.len += piece.len();
            if piece.ends_with('\n') {
                self.flush()?;
            }
        }
        Ok(())
    }
}

/// Prints a line without the high halves of addresses that are `high`, which becomes that of the
/// last one.
fn shorten(mut line: &str, high: &mut u64, out: &mut dyn Write) -> fmt::Result {
    let mut is_first = true;
    while let Some((before, rest)) = line.split_once("0x") {
        let begins_line = is_first && before.trim().is_empty();
        is_first = false;
        let len = rest.bytes().take_while(u8::is_ascii_hexdigit).count();
        let (digits, after) = rest.split_at(len);
        let address = u64::from_str_radix(digits, 16).unwrap_or(0);
        out.write_str(before)?;
        match address >> LOW_HALF {
            0 => write!(out, "0x{digits}")?,
            half if half == *high => {
                // A column of addresses stays one.
                let width = if begins_line { len } else { 0 };
                (SHORT_LEN..width).try_for_each(|_| out.write_char(' '))?;
                write!(out, "0x…{:08x}", address as u32)?;
            }
            half => {
                *high = half;
                write!(out, "0x{digits}")?;
            }
        }
        line = after;
    }
    out.write_str(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(print: impl Fn(&mut Shorten<'_>) -> fmt::Result) -> String {
        let mut text = String::new();
        print(&mut Shorten::new(&mut text)).unwrap();
        text
    }

    #[test]
    fn a_high_half_is_printed_once() {
        let (one, other) = (0xffff_9080_0000_0000_u64, 0x5555_5555_6123_u64);
        let text = printed(|out| writeln!(out, "{one:#x} -> {:#x}, {:#x}", one + 0x4000, one));
        assert_eq!(text, "0xffff908000000000 -> 0x…00004000, 0x…00000000\n");
        let text = printed(|out| {
            writeln!(out, "{one:#x} {other:#018x}")?;
            writeln!(out, "at {other:#x} {other:#x} {one:#x}")
        });
        assert_eq!(
            text,
            "0xffff908000000000 0x0000555555556123\nat 0x…55556123 0x…55556123 0xffff908000000000\n"
        );
    }

    #[test]
    fn a_forgotten_half_is_printed_again() {
        let text = printed(|out| {
            writeln!(out, "{:#x}", 0x1_0000_0000_u64)?;
            out.forget();
            writeln!(out, "{:#x}", 0x1_0000_0000_u64)
        });
        assert_eq!(text, "0x100000000\n0x100000000\n");
    }

    #[test]
    fn addresses_at_the_beginning_of_lines_form_a_column() {
        let cells = |out: &mut Shorten<'_>| {
            out.write_str("  0xffff908000000008 4 a\n  0xffff9080000000c8 4 b\n")
        };
        assert_eq!(printed(cells), "  0xffff908000000008 4 a\n         0x…000000c8 4 b\n");
    }

    #[test]
    fn what_is_no_address_stays() {
        let line = "0x 0x1f 0xffffffff 0xffff9080000000001 x0 0x100000000z 0x1f\n";
        assert_eq!(printed(|out| out.write_str(line)), line);
    }

    #[test]
    fn a_line_of_any_length_is_printed_whole() {
        for len in [LONGEST_LINE - 1, LONGEST_LINE, LONGEST_LINE + 1, 3 * LONGEST_LINE] {
            let long = "ä".repeat(len);
            let text = printed(|out| {
                write!(out, "0x100000000 ")?;
                writeln!(out, "{long}")?;
                writeln!(out, "0x100000001")
            });
            assert_eq!(text, format!("0x100000000 {long}\n0x…00000001\n"));
        }
    }
}
