//! Reports of a caller's misuse, and the hook that decides how the heap responds.

use core::fmt;

use crate::link_copy::BrokenLink;

/// Kind of a caller's misuse.
///
/// Each variant says what [`at`](Misuse::at), [`found`](Misuse::found) and
/// [`expected`](Misuse::expected) are in a [`Misuse`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MisuseKind {
    /// The caller freed or resized a block that is free.
    ///
    /// `at`: address of the word that says that the block is free, in its header or its record; for
    /// a block with a mapping of its own, the address of the block. `found`: the word, or the
    /// address. `expected`: the word of a live block, or 0.
    DoubleFree,
    /// The caller freed or resized an address where no block begins.
    ///
    /// `at` and `found`: that address. `expected`: address of the block around it, 0 if there is
    /// none.
    NeverAllocated,
    /// The caller freed or resized a block with another size than it requested.
    ///
    /// `at`: address of the block. `found`: the wrong size, in bytes. `expected`: the requested
    /// size.
    WrongSize,
    /// The caller freed or resized a block with another alignment than it requested.
    ///
    /// `at`: address of the block. `found`: the wrong alignment, in bytes. `expected`: the
    /// requested alignment.
    WrongAlignment,
    /// The caller wrote behind the end of a block.
    ///
    /// `at`: address of the first wrong byte, or of the first wrong word of the record behind the
    /// block. `found`: that byte or word. `expected`: its right value.
    Overflow,
    /// The header in front of a block was overwritten, usually by an overflow of the block before
    /// it.
    ///
    /// `at`: address of the header. If the word itself is wrong, `found` is the word, and
    /// `expected` is the word with the check bits and the state bits that belong to it. If only the
    /// size is wrong, `found` is the size, in bytes, and `expected` is its limit. If the head of a
    /// region is wrong, `at` is the address of the head, `found` is the length in it, and
    /// `expected` is the maximum length.
    Header,
    /// A free block was written to.
    ///
    /// `at`: address of the overwritten word: a link, the size at the end of a free cell, a byte of
    /// a freed block of a slab or behind a sent block, or its record. `found`: the word or byte.
    /// `expected`: its right value.
    WriteAfterFree,
}

/// Report of a caller's misuse, by a heap of profile [`Checked`](crate::Checked): the kind, the
/// address, and the found and the expected value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misuse {
    /// Kind of the misuse.
    pub kind: MisuseKind,
    /// Address of the block; for [`NeverAllocated`](MisuseKind::NeverAllocated) the address that
    /// the caller passed.
    pub block: usize,
    /// Address of the byte or word that shows the misuse: see [`MisuseKind`].
    pub at: usize,
    /// Value found: see [`MisuseKind`].
    pub found: usize,
    /// Value expected: see [`MisuseKind`].
    pub expected: usize,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, block, at, found, expected } = self;
        match kind {
            MisuseKind::DoubleFree => {
                write!(f, "double free of the block at {block:#x}: it is free already")?
            }
            MisuseKind::NeverAllocated => {
                write!(f, "free of {block:#x}, which was never allocated: it lies ")?;
                return match expected {
                    0 => f.write_str("in no block of this heap"),
                    around => write!(f, "inside the block at {around:#x}"),
                };
            }
            MisuseKind::WrongSize | MisuseKind::WrongAlignment => {
                let is_size = *kind == MisuseKind::WrongSize;
                let (of, unit) = if is_size { ("", " bytes") } else { ("alignment ", "") };
                write!(f, "wrong layout: the block at {block:#x} was allocated with ")?;
                return write!(f, "{of}{expected}{unit}, and is freed with {found}");
            }
            MisuseKind::Overflow => write!(
                f,
                "overflow: something was written behind the end of the block at {block:#x}"
            )?,
            MisuseKind::Header => write!(
                f,
                "overflow: the header in front of the block at {block:#x} was overwritten"
            )?,
            MisuseKind::WriteAfterFree => {
                write!(f, "write after free: the free block at {block:#x} was written to")?
            }
        }
        write!(f, " (at {at:#x}: expected {expected:#x}, found {found:#x})")
    }
}

impl Misuse {
    /// Returns the report for an address where no block begins. `around`: address of the block that
    /// it lies in.
    pub(crate) fn never_allocated(address: usize, around: Option<usize>) -> Self {
        Self {
            kind: MisuseKind::NeverAllocated,
            block: address,
            at: address,
            found: address,
            expected: around.unwrap_or(0),
        }
    }

    /// Returns the report for a second free of the block that was freed last.
    pub(crate) fn freed_last(address: usize) -> Self {
        Self { kind: MisuseKind::DoubleFree, ..Self::never_allocated(address, None) }
    }
}

impl From<BrokenLink> for Misuse {
    fn from(BrokenLink { block, found, expected }: BrokenLink) -> Self {
        Self { kind: MisuseKind::WriteAfterFree, block, at: block, found, expected }
    }
}

impl core::error::Error for Misuse {}

/// Response of a heap to a misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MisuseResponse {
    /// Panic with the report as the message.
    Panic,
    /// Do not carry out the operation, and continue. The heap does not reuse the block.
    Ignore,
}

/// Function that receives each misuse and chooses the response. The heap calls it with its lock
/// held, so it must not use the heap.
pub type MisuseHook = fn(&Misuse) -> MisuseResponse;

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    #[test]
    fn a_report_says_what_was_done() {
        let text = |kind, at, found, expected| {
            Misuse { kind, block: 0x1000, at, found, expected }.to_string()
        };
        for (kind, expected) in [
            (
                MisuseKind::DoubleFree,
                "double free of the block at 0x1000: it is free already (at 0x1040: expected 0x7, found 0x6)",
            ),
            (
                MisuseKind::NeverAllocated,
                "free of 0x1000, which was never allocated: it lies inside the block at 0x7",
            ),
            (
                MisuseKind::WrongSize,
                "wrong layout: the block at 0x1000 was allocated with 7 bytes, and is freed with 6",
            ),
            (
                MisuseKind::WrongAlignment,
                "wrong layout: the block at 0x1000 was allocated with alignment 7, and is freed with 6",
            ),
            (
                MisuseKind::Overflow,
                "overflow: something was written behind the end of the block at 0x1000 (at 0x1040: expected 0x7, found 0x6)",
            ),
            (
                MisuseKind::Header,
                "overflow: the header in front of the block at 0x1000 was overwritten (at 0x1040: expected 0x7, found 0x6)",
            ),
            (
                MisuseKind::WriteAfterFree,
                "write after free: the free block at 0x1000 was written to (at 0x1040: expected 0x7, found 0x6)",
            ),
        ] {
            assert_eq!(text(kind, 0x1040, 6, 7), expected);
        }
        let nowhere = text(MisuseKind::NeverAllocated, 0x1000, 0x1000, 0);
        assert_eq!(
            nowhere,
            "free of 0x1000, which was never allocated: it lies in no block of this heap"
        );
    }
}
