//! How the value of an argument is shown: addresses, flags by name, texts, and what a structure in
//! the caller's memory holds.

use core::fmt::{self, Display, Write};

use super::Peek;
use crate::system::signature::Names;
use crate::system::status::Status;
use crate::system::usage::{MAXRSS_OFFSET, MINFLT_OFFSET};

/// Bytes of a text that are shown.
const TEXT_SHOWN: usize = 32;

pub(super) fn address(line: &mut dyn Write, value: u64) -> fmt::Result {
    write!(line, "{}", Pointer(value))
}

/// An address as C shows it.
pub struct Pointer(
    /// The address.
    pub u64,
);

impl Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_str("NULL") } else { write!(f, "{:#x}", self.0) }
    }
}

/// Names of the bits that are set; what has no name as a number.
pub(super) fn flags(line: &mut dyn Write, value: u64, names: &Names, none: &str) -> fmt::Result {
    let (mut rest, mut separator) = (value, "");
    for (bit, name) in names {
        if rest & bit != 0 {
            write!(line, "{separator}{name}")?;
            rest &= !bit;
            separator = "|";
        }
    }
    match (rest, separator) {
        (0, "") => line.write_str(none),
        (0, _) => Ok(()),
        _ => write!(line, "{separator}{rest:#x}"),
    }
}

/// The name of the number; one without a name as it is.
pub(super) fn choice(line: &mut dyn Write, value: u64, names: &Names) -> fmt::Result {
    match names.iter().find(|(number, _)| *number == value) {
        Some((_, name)) => line.write_str(name),
        None => write!(line, "{value:#x}"),
    }
}

/// Text in C's notation, or its address if it cannot be read.
pub(super) fn text(line: &mut dyn Write, peek: &mut Peek<'_>, at: u64, len: u64) -> fmt::Result {
    let mut buffer = [0; TEXT_SHOWN];
    let shown = &mut buffer[..len.min(TEXT_SHOWN as u64) as usize];
    if !peek(at, shown) {
        return address(line, at);
    }
    line.write_char('"')?;
    for byte in shown {
        write!(line, "{}", byte.escape_ascii())?;
    }
    line.write_str(if len > TEXT_SHOWN as u64 { "\"..." } else { "\"" })
}

/// Text that ends with a zero.
pub(super) fn path(line: &mut dyn Write, peek: &mut Peek<'_>, at: u64) -> fmt::Result {
    let (mut len, mut byte) = (0, [1]);
    while len <= TEXT_SHOWN as u64 && peek(at.wrapping_add(len), &mut byte) && byte != [0] {
        len += 1;
    }
    if (len, byte) == (0, [1]) { address(line, at) } else { text(line, peek, at, len) }
}

/// The fields of `struct rusage` that this kernel fills in.
pub(super) fn usage(line: &mut dyn Write, peek: &mut Peek<'_>, at: u64) -> fmt::Result {
    let mut field = |offset: u64| word::<8>(peek, at.wrapping_add(offset)).map(u64::from_le_bytes);
    match (field(MAXRSS_OFFSET), field(MINFLT_OFFSET)) {
        (Some(maxrss), Some(minflt)) => {
            write!(line, "{{ru_maxrss={maxrss}, ru_minflt={minflt}, ...}}")
        }
        _ => address(line, at),
    }
}

pub(super) fn word<const N: usize>(peek: &mut Peek<'_>, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    peek(at, &mut bytes).then_some(bytes)
}

/// How a child ended, from the word of `wait4`.
pub(super) struct WaitWord(pub(super) u32);

impl Display for WaitWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Status::from_word(self.0) {
            Some(status) => status.fmt(f),
            None => write!(f, "{:#x}", self.0),
        }
    }
}
