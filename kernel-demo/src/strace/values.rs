//! How the value of an argument is shown: addresses, flags by name, texts, and what a structure in
//! the caller's memory holds.

use core::fmt::{self, Display, Write};

use super::signature::Names;
use crate::words::Status;

/// Which word of `struct rusage` is the largest resident set, in KiB.
pub const MAXRSS: usize = 4;

/// Which word of it is the number of page faults that needed no disk.
pub const MINFLT: usize = 8;

/// Reads the memory of the process that is traced: fills the buffer from the address on; `false`
/// when that cannot be read.
pub type Peek<'a> = dyn FnMut(u64, &mut [u8]) -> bool + 'a;

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
    let mut field =
        |index: usize| word(peek, at.wrapping_add(8 * index as u64)).map(u64::from_le_bytes);
    match (field(MAXRSS), field(MINFLT)) {
        (Some(maxrss), Some(minflt)) => {
            write!(line, "{{ru_maxrss={maxrss}, ru_minflt={minflt}, ...}}")
        }
        _ => address(line, at),
    }
}

/// How a child ended, as `wait4` has stored it.
pub(super) fn status(line: &mut dyn Write, peek: &mut Peek<'_>, at: u64) -> fmt::Result {
    match word(peek, at).and_then(|bytes| Status::from_word(u32::from_le_bytes(bytes))) {
        Some(Status::Exited(code)) => {
            write!(line, "[{{WIFEXITED(s) && WEXITSTATUS(s) == {code}}}]")
        }
        Some(Status::Killed(signal)) => {
            write!(line, "[{{WIFSIGNALED(s) && WTERMSIG(s) == {signal}}}]")
        }
        None => address(line, at),
    }
}

fn word<const N: usize>(peek: &mut Peek<'_>, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    peek(at, &mut bytes).then_some(bytes)
}
