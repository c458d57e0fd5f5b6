//! A case written as bytes, for a fuzzer to change and for files to keep.
//!
//! ```text
//!   ┌───────┬─────────┬─────┬──────┬─────┬──────┬─────────┬─────
//!   │ shape │   len   │ op  │ one  │ op  │ one  │   two   │ …
//!   └───────┴─────────┴─────┴──────┴─────┴──────┴─────────┴─────
//!    skew,   of the    low half: which one; high half: a detail (an alignment, a switch);
//!    zeroed  region    behind it as many bytes as this operation needs
//! ```
//!
//! Every sequence of bytes is a case, and means the same on every target: a file that was found on
//! one machine is a test on all.

use brkalloc::{Heap, NoMap};

use super::driver::Driver;
use super::ops::Op;
use super::prelude::*;
use super::profile::Variant;
use super::subject::Mappings;
use super::test_break::{BadBreak, Part};
use super::test_map::TestMap;

/// The shortest region of a case, too short for anything.
const SHORTEST: usize = 64;

/// What the high half of an allocation's first byte chooses from: mostly the alignments that
/// programs ask for.
const ALIGN_LOGS: [u32; 16] = [3, 0, 4, 3, 1, 2, 3, 4, 3, 4, 5, 6, 7, 9, 12, 13];

/// What an added region is of somebody else's memory.
const PARTS: [Part; 4] = [Part::Lower, Part::Upper, Part::Whole, Part::Middle];

/// A region of memory, and what is done with a heap over it.
#[derive(Clone, Debug)]
pub struct Program {
    /// Length of the break's region in bytes.
    pub len: usize,
    /// How far above an aligned address the region begins.
    pub skew: usize,
    /// Whether the break promises zeros. Only `Heap` makes use of that.
    pub zeroed: bool,
    pub ops: Vec<Op>,
}

impl Program {
    pub fn decode(bytes: &[u8]) -> Self {
        let mut bytes = Bytes(bytes);
        let shape = bytes.one();
        let len = SHORTEST + 8 * bytes.two();
        let ops = core::iter::from_fn(|| bytes.op()).flatten().collect();
        Self { len, skew: shape / 2, zeroed: shape % 2 == 1, ops }
    }

    /// Runs it on a heap.
    pub fn run_on_heap<P: Variant>(&self) {
        self.run_on::<NoMap, P>(Driver::full, Driver::full);
    }

    /// Runs it on a heap with mappings.
    pub fn run_on_mapping_heap<P: Variant>(&self) {
        self.run_on::<TestMap, P>(Driver::mapping, Driver::mapping);
    }

    pub fn run_on_simple_heap(&self) {
        Driver::simple(BadBreak::new(self.len, self.skew)).run(&self.ops);
    }

    fn run_on<M: Mappings, P: Variant>(
        &self,
        over: fn(BadBreak<false>) -> HeapDriver<false, M, P>,
        over_zeroed: fn(BadBreak<true>) -> HeapDriver<true, M, P>,
    ) {
        if self.zeroed {
            over_zeroed(BadBreak::new(self.len, self.skew)).run(&self.ops);
        } else {
            over(BadBreak::new(self.len, self.skew)).run(&self.ops);
        }
    }
}

type HeapDriver<const ZEROED: bool, M, P> = Driver<Heap<BadBreak<ZEROED>, M, P>, ZEROED>;

/// Bytes that have not been read yet; behind the last one, zeros.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn one(&mut self) -> usize {
        let Some((&first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        usize::from(first)
    }

    /// A number from 0 to 32 760 in two bytes, fine-grained where it is small.
    fn two(&mut self) -> usize {
        let word = self.one() | self.one() << 8;
        (word & 0xFFF) << ((word >> 12) / 5)
    }

    /// The next operation; `Some(None)` is one that does not exist (yet), `None` the end.
    fn op(&mut self) -> Option<Option<Op>> {
        if self.0.is_empty() {
            return None;
        }
        let first = self.one();
        let (kind, detail) = (first & 0xF, first >> 4);
        let align = 1 << ALIGN_LOGS[detail];
        Some(Some(match kind {
            0 | 1 => Op::Allocate { size: self.one(), align, zeroed: false },
            2 => Op::Allocate { size: self.two(), align, zeroed: false },
            3 => Op::Allocate { size: self.one(), align, zeroed: true },
            4 => Op::Allocate { size: self.two(), align, zeroed: true },
            5 | 6 => Op::Free { block: self.one() },
            7 => Op::Resize { block: self.one(), size: self.one() },
            8 => Op::Resize { block: self.one(), size: self.two() },
            9 => Op::Reserve { bytes: self.two() },
            10 => Op::Trim { keep: self.two() },
            11 if detail < 12 => Op::SetTrim { threshold: self.two() },
            11 if detail < 14 => Op::MapThreshold { bytes: self.two() },
            11 => Op::RefuseMap(detail == 14),
            12 => Op::ForeignUp { bytes: 1 + self.two() },
            13 => match detail % 5 {
                0 => Op::ForeignUndo,
                1 => Op::RefuseGrow(true),
                2 => Op::RefuseGrow(false),
                3 => Op::RefuseShrink(true),
                _ => Op::RefuseShrink(false),
            },
            14 if detail < 13 => Op::Granule { log: detail as u32 },
            14 => Op::Surplus { bytes: self.two() },
            15 if detail < 4 => {
                Op::AddRegion { place: self.one(), part: PARTS[detail], len: self.one() }
            }
            15 if detail < 8 => {
                Op::AddRegion { place: self.one(), part: PARTS[detail - 4], len: self.two() }
            }
            15 if detail < 10 => {
                Op::AllocateMany { size: self.one(), align: 8 * (detail - 7), count: self.one() }
            }
            15 if detail < 12 => Op::AllocateMany {
                size: 4 * self.one(),
                align: 8 * (detail - 9),
                count: self.one(),
            },
            15 if detail < 14 => {
                Op::FreeMany { block: self.one(), step: detail - 12, count: self.one() }
            }
            15 if detail == 14 => Op::Flush,
            15 => {
                // Once a limit of the front cache, in a byte more: files keep their meaning.
                self.one();
                Op::Flush
            }
            _ => unreachable!("half a byte"),
        }))
    }
}
