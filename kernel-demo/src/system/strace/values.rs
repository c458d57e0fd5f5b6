//! How the value of an argument is shown: addresses, flags by name, texts, and what a structure in
//! the caller's memory holds.

use core::fmt::{self, Display, Write};

use super::Peek;
use crate::system::status::Status;
use crate::system::usage::{MAXRSS_OFFSET, MINFLT_OFFSET};

/// Shows a number of flags by name.
pub(super) type Names = [(u64, &'static str)];

pub(super) const PROTECTION: &Names = &[(1, "PROT_READ"), (2, "PROT_WRITE"), (4, "PROT_EXEC")];
pub(super) const MAP_FLAGS: &Names = &[
    (0x01, "MAP_SHARED"),
    (0x02, "MAP_PRIVATE"),
    (0x10, "MAP_FIXED"),
    (0x20, "MAP_ANONYMOUS"),
    (0x4000, "MAP_NORESERVE"),
    (0x10_0000, "MAP_FIXED_NOREPLACE"),
];
pub(super) const WAIT_OPTIONS: &Names = &[(1, "WNOHANG")];
pub(super) const CLONE_FLAGS: &Names = &[
    (0x100, "CLONE_VM"),
    (0x200, "CLONE_FS"),
    (0x400, "CLONE_FILES"),
    (0x800, "CLONE_SIGHAND"),
    (0x1_0000, "CLONE_THREAD"),
    (0x4_0000, "CLONE_SYSVSEM"),
    (0x8_0000, "CLONE_SETTLS"),
    (0x10_0000, "CLONE_PARENT_SETTID"),
    (0x20_0000, "CLONE_CHILD_CLEARTID"),
    (0x100_0000, "CLONE_CHILD_SETTID"),
];
pub(super) const FUTEX_OPERATIONS: &Names = &[
    (0, "FUTEX_WAIT"),
    (1, "FUTEX_WAKE"),
    (128, "FUTEX_WAIT_PRIVATE"),
    (129, "FUTEX_WAKE_PRIVATE"),
];
pub(super) const ARCH_CODES: &Names = &[(0x1002, "ARCH_SET_FS"), (0x1003, "ARCH_GET_FS")];
pub(super) const WHO: &Names = &[(0, "RUSAGE_SELF"), (0xFFFF_FFFF, "RUSAGE_CHILDREN")];

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
pub(super) fn text(line: &mut dyn Write, memory: &mut dyn Peek, at: u64, len: u64) -> fmt::Result {
    let mut buffer = [0; TEXT_SHOWN];
    let shown = &mut buffer[..len.min(TEXT_SHOWN as u64) as usize];
    if !memory.peek(at, shown) {
        return address(line, at);
    }
    line.write_char('"')?;
    for byte in shown {
        write!(line, "{}", byte.escape_ascii())?;
    }
    line.write_str(if len > TEXT_SHOWN as u64 { "\"..." } else { "\"" })
}

/// The fields of `struct rusage` that this kernel fills in.
pub(super) fn usage(line: &mut dyn Write, memory: &mut dyn Peek, at: u64) -> fmt::Result {
    let mut field =
        |offset: u64| word::<8>(memory, at.wrapping_add(offset)).map(u64::from_le_bytes);
    match (field(MAXRSS_OFFSET), field(MINFLT_OFFSET)) {
        (Some(maxrss), Some(minflt)) => {
            write!(line, "{{ru_maxrss={maxrss}, ru_minflt={minflt}, ...}}")
        }
        _ => address(line, at),
    }
}

pub(super) fn word<const N: usize>(memory: &mut dyn Peek, at: u64) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    memory.peek(at, &mut bytes).then_some(bytes)
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
