//! What real programs asked of `malloc`.
//!
//! ```text
//!   a program ──recorder──► raw records ──import──► benches/traces/NAME.trace ──Trace::load──► operations on slots
//!             (LD_PRELOAD)                (import.rs)                     (format.rs)
//!
//!   a file of calls on slots (slots.rs) ──import──► the same, or ──file::read──► the same operations
//! ```
//!
//! How the stored traces were made is written in `benches/traces/README.md`.

pub mod file;
mod format;
mod import;
mod op;
mod slots;

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

pub use import::import;
pub use op::{Act, Op};

/// The stored traces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// A C compiler.
    Compiler,
    /// A Python interpreter.
    Interpreter,
    /// A database.
    Database,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Compiler, Self::Interpreter, Self::Database];

    const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Compiler => include_bytes!("../../traces/compiler.trace"),
            Self::Interpreter => include_bytes!("../../traces/interpreter.trace"),
            Self::Database => include_bytes!("../../traces/database.trace"),
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Compiler => "compiler",
            Self::Interpreter => "interpreter",
            Self::Database => "database",
        })
    }
}

/// A sequence of allocations and frees.
///
/// # Invariants
///
/// Replayed from an empty table of `slots` slots: only empty slots are allocated into, only full
/// ones are freed or changed, and all are empty at the end. Sizes are at least 1, alignments at
/// most a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    ops: Vec<Op>,
    slots: usize,
}

impl Trace {
    /// A stored trace.
    ///
    /// # Errors
    ///
    /// The file is damaged.
    pub fn load(name: Name) -> Result<Self, Error> {
        format::read(name.bytes())
    }

    /// A trace of these operations, checked.
    ///
    /// # Errors
    ///
    /// An operation breaks the invariants.
    pub fn new(ops: Vec<Op>, slots: usize) -> Result<Self, Error> {
        let mut full = vec![false; slots];
        for (index, op) in ops.iter().enumerate() {
            let invalid = |what| Err(Error::Invalid { index, what });
            let Some(full) = full.get_mut(op.slot as usize) else {
                return invalid("a slot beyond the table");
            };
            let fills = matches!(op.act, Act::Allocate | Act::AllocateZeroed);
            if *full == fills {
                return invalid(if fills {
                    "an allocation into a full slot"
                } else {
                    "a free of an empty slot"
                });
            }
            if op.act != Act::Free && op.size == 0 {
                return invalid("a block of 0 bytes");
            }
            if op.align_log2 > format::MAX_ALIGN_LOG2 {
                return invalid("an alignment above a page");
            }
            *full = op.act != Act::Free;
        }
        match full.iter().any(|&full| full) {
            true => Err(Error::Invalid {
                index: ops.len(),
                what: "the end, with blocks that were not freed",
            }),
            false => Ok(Self { ops, slots }),
        }
    }

    /// The operations.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Slots that the table must have: the largest number of blocks live at a time.
    #[must_use]
    pub const fn slots(&self) -> usize {
        self.slots
    }

    /// Whether all blocks are aligned to `align` bytes.
    #[must_use]
    pub fn has_align(&self, align: usize) -> bool {
        self.ops.iter().all(|op| 1 << op.align_log2 == align)
    }

    /// The largest sum of the sizes of live blocks.
    #[must_use]
    pub fn peak_live(&self) -> usize {
        let mut sizes = vec![0_usize; self.slots];
        let (mut live, mut peak) = (0_usize, 0);
        for op in &self.ops {
            let size = if op.act == Act::Free { 0 } else { op.size as usize };
            live = live + size - std::mem::replace(&mut sizes[op.slot as usize], size);
            peak = peak.max(live);
        }
        peak
    }

    /// Writes the trace in its compact form.
    ///
    /// # Errors
    ///
    /// What the writer answers.
    pub fn write(&self, to: impl io::Write) -> io::Result<()> {
        format::write(self, to)
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |act| self.ops.iter().filter(|op| op.act == act).count();
        write!(
            f,
            "{} operations: {} malloc, {} calloc, {} realloc, {} free; at most {} blocks and {} bytes live",
            self.ops.len(),
            count(Act::Allocate),
            count(Act::AllocateZeroed),
            count(Act::Reallocate),
            count(Act::Free),
            self.slots,
            self.peak_live()
        )
    }
}

/// Why something is not a trace.
#[derive(Debug)]
pub enum Error {
    /// It could not be read or decompressed.
    Io(io::Error),
    /// It does not start as a trace does.
    NotATrace,
    /// It ends in the middle of an operation.
    Truncated,
    /// An operation that no program can have made.
    Invalid {
        /// Which one, from 0.
        index: usize,
        /// What it is.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "the trace cannot be read: {error}"),
            Self::NotATrace => {
                f.write_str("not a trace: it does not start with `brktrace` and version 1")
            }
            Self::Truncated => f.write_str("the trace ends in the middle of an operation"),
            Self::Invalid { index, what } => write!(f, "operation {index} of the trace: {what}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof { Self::Truncated } else { Self::Io(error) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn op(act: Act, slot: u32, size: u32) -> Op {
        Op { act, align_log2: 4, slot, size }
    }

    #[test]
    fn the_stored_traces_are_valid_and_large_enough_to_tell_something() {
        for name in Name::ALL {
            let trace = Trace::load(name).unwrap();
            assert!(trace.ops().len() > 50_000, "{name:?}: {trace}");
            assert!((100_000..32 << 20).contains(&trace.peak_live()), "{name:?}: {trace}");
            assert!(name.bytes().len() < 700_000, "{name:?}: {} bytes", name.bytes().len());
        }
    }

    #[test]
    fn what_no_program_can_have_done_is_refused() {
        for (ops, what) in [
            (vec![op(Act::Free, 0, 0)], "a free of an empty slot"),
            (vec![op(Act::Reallocate, 0, 8)], "a free of an empty slot"),
            (vec![op(Act::Allocate, 1, 8)], "a slot beyond the table"),
            (vec![op(Act::Allocate, 0, 0)], "a block of 0 bytes"),
            (
                vec![op(Act::Allocate, 0, 8), op(Act::Allocate, 0, 8)],
                "an allocation into a full slot",
            ),
            (vec![op(Act::Allocate, 0, 8)], "the end, with blocks that were not freed"),
        ] {
            match Trace::new(ops, 1) {
                Err(Error::Invalid { what: found, .. }) => assert_eq!(found, what),
                other => panic!("expected {what:?}, found {other:?}"),
            }
        }
    }

    #[test]
    fn the_peak_counts_what_is_live_at_a_time() {
        let ops = vec![
            op(Act::Allocate, 0, 100),
            op(Act::Allocate, 1, 50),
            op(Act::Reallocate, 0, 10),
            op(Act::Free, 1, 0),
            op(Act::AllocateZeroed, 1, 120),
            op(Act::Free, 0, 0),
            op(Act::Free, 1, 0),
        ];
        assert_eq!(Trace::new(ops, 2).unwrap().peak_live(), 150);
    }
}
