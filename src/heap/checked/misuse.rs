//! What a caller did wrong, and who decides what becomes of it.

use core::fmt;

/// What was done wrong. Each tells what [`Misuse::at`], [`Misuse::found`] and [`Misuse::expected`]
/// are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MisuseKind {
    /// A block that is free was freed or resized. (The word that says so; what it would be for a
    /// live block.)
    DoubleFree,
    /// An address was given that is not that of any block. (The address, twice; expected: the block
    /// in which it lies, 0 if there is none.)
    NeverAllocated,
    /// A block was given back with another size than it was asked for with. (The block; the size
    /// given, the size asked for.)
    WrongSize,
    /// The same for the alignment.
    WrongAlignment,
    /// Something was written behind the end of a block. (The first byte that is wrong, or, if it is
    /// the heap's record behind the block, the word.)
    Overflow,
    /// A header in front of a block was overwritten, most likely by the block before it. (The
    /// header's word; expected: with the check bits that belong to it, or what
    /// [`Rule`](crate::Rule) tells.)
    Header,
    /// A block was written to after it was freed: one of the words that the heap keeps in it. (That
    /// word.)
    WriteAfterFree,
}

/// A caller's mistake, found by the `checked` profile: where, what should be there, what is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misuse {
    /// What was done wrong.
    pub kind: MisuseKind,
    /// Address of the block that it is about; for [`NeverAllocated`](MisuseKind::NeverAllocated)
    /// the address that was given.
    pub block: usize,
    /// Address of the byte or word that shows it: see [`MisuseKind`].
    pub at: usize,
    /// What is there.
    pub found: usize,
    /// What should be there.
    pub expected: usize,
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, block, at, found, expected } = self;
        match kind {
            MisuseKind::DoubleFree => {
                write!(f, "double free of the block at {block:#x}: it is free already")?
            }
            MisuseKind::NeverAllocated if *expected == 0 => {
                return write!(
                    f,
                    "free of {block:#x}, which was never allocated: it lies in no block of this heap"
                );
            }
            MisuseKind::NeverAllocated => {
                return write!(
                    f,
                    "free of {block:#x}, which was never allocated: it lies inside the block at {expected:#x}"
                );
            }
            MisuseKind::WrongSize => {
                return write!(
                    f,
                    "wrong layout: the block at {block:#x} was allocated with {expected} bytes, and is freed with {found}"
                );
            }
            MisuseKind::WrongAlignment => {
                return write!(
                    f,
                    "wrong layout: the block at {block:#x} was allocated with alignment {expected}, and is freed with {found}"
                );
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

impl core::error::Error for Misuse {}

/// What becomes of an operation that was a misuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Panic with the text of the misuse.
    Panic,
    /// Drop the operation and go on. The block in question is not used again.
    Ignore,
}

/// Is told of each misuse, and decides. It is called with the heap locked: it must not use the
/// heap.
pub type MisuseHook = fn(&Misuse) -> Decision;
