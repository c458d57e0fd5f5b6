//! What the subjects are asked to do.
//!
//! ```text
//!   Name ──build──► a workload ──begin──► pass, pass, pass …
//!  (this file)      (pair, replace, fill, vectors, script)
//! ```
//!
//! Every subject gets the same sequence: it is made from a fixed seed before anything is timed.
//! Each operation finds the heap's state and its layout in memory or in a register that the
//! compiler knows nothing about (`opaque`), as in a program whose heap is a global; so nobody's
//! size class is computed at compile time, and nobody's list lives in a register. The first byte of
//! each block is written.

mod fill;
mod pair;
mod replace;
mod script;
mod vectors;

use std::alloc::Layout;

use serde::{Deserialize, Serialize};

use crate::random::Random;
use crate::subject::Subject;
use crate::trace::{self, Trace};

pub use fill::{Fill, Order};
pub use pair::Pair;
pub use replace::Replace;
pub use script::Script;
pub use vectors::Vectors;

/// The subject had no memory left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory;

/// A sequence of operations that can be repeated.
pub trait Workload {
    /// Operations in a pass.
    fn operations(&self) -> usize;

    /// Brings the subject into the state in which each pass finds it.
    ///
    /// # Errors
    ///
    /// The subject had no memory left.
    fn begin<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        let _ = subject;
        Ok(())
    }

    /// Does all operations once.
    ///
    /// # Errors
    ///
    /// The subject had no memory left.
    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory>;
}

/// Something to be done with a workload whose type is known at compile time.
pub trait Visitor {
    /// What comes of it.
    type Output;

    /// Does it.
    fn visit<W: Workload>(self, workload: W) -> Self::Output;
}

/// The names of the workloads. Unless said otherwise, sizes are log-uniform from 1 byte, and the
/// alignment is 8, or what a smaller size can need.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    clap::ValueEnum,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Name {
    /// `malloc(64)`, `free`, and again.
    Pair,
    /// A random one of 4096 blocks is freed and another allocated, up to 256 bytes.
    #[value(name = "random-256")]
    #[serde(rename = "random-256")]
    Random256,
    /// The same up to 4 KiB.
    #[value(name = "random-4k")]
    #[serde(rename = "random-4k")]
    Random4K,
    /// The same up to 128 KiB, with 1024 blocks.
    #[value(name = "random-128k")]
    #[serde(rename = "random-128k")]
    Random128K,
    /// Up to 256 bytes, a quarter of the operations `realloc`.
    #[value(name = "realloc-256")]
    #[serde(rename = "realloc-256")]
    Realloc256,
    /// Up to 4 KiB, a quarter of the operations `realloc`.
    #[value(name = "realloc-4k")]
    #[serde(rename = "realloc-4k")]
    Realloc4K,
    /// Up to 128 KiB, a quarter of the operations `realloc`.
    #[value(name = "realloc-128k")]
    #[serde(rename = "realloc-128k")]
    Realloc128K,
    /// 100,000 blocks of 512 bytes, freed in the order in which they were allocated.
    FillInOrder,
    /// 100,000 blocks of 512 bytes, freed in the opposite order.
    FillReverse,
    /// 100,000 blocks of 512 bytes, freed in random order.
    FillShuffled,
    /// Eight vectors grow from 16 bytes to 32 KiB by doubling, in lockstep.
    Vectors,
    /// A random one of 4096 blocks up to 1 KiB, half of them aligned to 8 bytes, a quarter to 16, …
    /// up to a page.
    Aligned,
    /// A random one of 8192 blocks, in five phases of different sizes.
    Churn,
    /// On 300 to 600 blocks, a third each: allocate, free a random one, `realloc` a random one.
    /// Sizes are uniform up to 200 bytes.
    #[value(name = "actions-200")]
    #[serde(rename = "actions-200")]
    Actions200,
    /// The same up to 1,000 bytes.
    #[value(name = "actions-1000")]
    #[serde(rename = "actions-1000")]
    Actions1000,
    /// The same up to 10,000 bytes.
    #[value(name = "actions-10000")]
    #[serde(rename = "actions-10000")]
    Actions10000,
    /// A random one of 20,000 blocks of 64 bytes is freed and another allocated.
    #[value(name = "full-64")]
    #[serde(rename = "full-64")]
    Full64,
    /// The same with 512 bytes.
    #[value(name = "full-512")]
    #[serde(rename = "full-512")]
    Full512,
    /// What a C compiler did.
    TraceCompiler,
    /// What a Python interpreter did.
    TraceInterpreter,
    /// What a database did.
    TraceDatabase,
}

/// Operations in a pass of the random workloads.
const STEPS: usize = 100_000;

impl Name {
    /// All workloads, in the report's order.
    #[must_use]
    pub fn all() -> &'static [Self] {
        <Self as clap::ValueEnum>::value_variants()
    }

    /// True for those of which the instructions count, in the report's targets.
    #[must_use]
    pub const fn is_counted(self) -> bool {
        matches!(
            self,
            Self::Actions200
                | Self::Actions1000
                | Self::Actions10000
                | Self::Full64
                | Self::Full512
        )
    }

    /// The trace that it replays.
    #[must_use]
    pub const fn trace(self) -> Option<trace::Name> {
        match self {
            Self::TraceCompiler => Some(trace::Name::Compiler),
            Self::TraceInterpreter => Some(trace::Name::Interpreter),
            Self::TraceDatabase => Some(trace::Name::Database),
            _ => None,
        }
    }

    /// A region in which even the wasteful have room.
    #[must_use]
    pub const fn region(self) -> usize {
        match self {
            Self::Pair | Self::Random256 | Self::Realloc256 | Self::Vectors => 16 << 20,
            Self::Random128K
            | Self::Realloc128K
            | Self::FillInOrder
            | Self::FillReverse
            | Self::FillShuffled => 128 << 20,
            _ => 64 << 20,
        }
    }

    /// Builds the workload and calls the visitor with its type.
    ///
    /// # Errors
    ///
    /// The trace cannot be read.
    pub fn visit<V: Visitor>(self, visitor: V) -> Result<V::Output, trace::Error> {
        let mut random = Random::new(0x5EED_0000 + self as u64);
        let replace =
            |random: &mut Random, slots, high| Replace::new(random, slots, STEPS, 1, high);
        Ok(match self {
            Self::Pair => visitor.visit(Pair::<64, STEPS>),
            Self::Random256 => visitor.visit(replace(&mut random, 4096, 256)),
            Self::Random4K => visitor.visit(replace(&mut random, 4096, 4096)),
            Self::Random128K => visitor.visit(replace(&mut random, 1024, 128 << 10)),
            Self::Realloc256 => visitor.visit(Script::with_realloc(&mut random, 4096, STEPS, 256)),
            Self::Realloc4K => visitor.visit(Script::with_realloc(&mut random, 4096, STEPS, 4096)),
            Self::Realloc128K => {
                visitor.visit(Script::with_realloc(&mut random, 1024, STEPS, 128 << 10))
            }
            Self::FillInOrder => visitor.visit(Fill::new(&mut random, 100_000, 512, Order::Same)),
            Self::FillReverse => {
                visitor.visit(Fill::new(&mut random, 100_000, 512, Order::Reverse))
            }
            Self::FillShuffled => {
                visitor.visit(Fill::new(&mut random, 100_000, 512, Order::Shuffled))
            }
            Self::Vectors => {
                visitor.visit(Vectors { count: 8, first: 16, last: 32 << 10, rounds: 100 })
            }
            Self::Aligned => visitor.visit(Script::aligned(&mut random, 4096, STEPS, 1024)),
            Self::Churn => visitor.visit(Replace::churn(&mut random, 8192, 40_000)),
            Self::Actions200 => visitor.visit(Script::actions(&mut random, STEPS, 200)),
            Self::Actions1000 => visitor.visit(Script::actions(&mut random, STEPS, 1000)),
            Self::Actions10000 => visitor.visit(Script::actions(&mut random, STEPS, 10_000)),
            Self::Full64 => visitor.visit(Replace::new(&mut random, 20_000, STEPS, 64, 64)),
            Self::Full512 => visitor.visit(Replace::new(&mut random, 20_000, STEPS, 512, 512)),
            Self::TraceCompiler | Self::TraceInterpreter | Self::TraceDatabase => {
                let trace = Trace::load(self.trace().expect("a trace's workload"))?;
                visitor.visit(Script::replay(&trace))
            }
        })
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(clap::ValueEnum::to_possible_value(self).expect("no name is skipped").get_name())
    }
}

/// A layout of which the compiler knows nothing, and a point at which all of the subject's state is
/// in memory. Costs no instruction.
///
/// The size is at least 1, the alignment a power of two, as they were before.
#[inline(always)]
fn opaque<S>(subject: &mut S, layout: Layout) -> Layout {
    let (mut size, mut align) = (layout.size(), layout.align());
    // SAFETY: no instruction at all; the operands come out as they went in.
    unsafe {
        std::arch::asm!("/* {0} {1} {2} */", in(reg) std::ptr::from_mut(subject), inout(reg) size, inout(reg) align,
            options(nostack, preserves_flags));
    }
    // SAFETY: the values of a layout.
    unsafe { Layout::from_size_align_unchecked(size, align) }
}

/// The layout of a size: aligned to 8 bytes, or to what a smaller one can need, as every C type and
/// every Rust type is.
///
/// # Panics
///
/// If the size is 0.
#[inline]
pub(crate) fn words(size: usize) -> Layout {
    let align = if size < 8 { 1 << size.ilog2() } else { 8 };
    Layout::from_size_align(size, align).expect("sizes are far below the limit")
}

/// A live block, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block {
    start: *mut u8,
    size: u32,
    align: u32,
}

impl Block {
    const NONE: Self = Self { start: std::ptr::null_mut(), size: 0, align: 1 };

    #[inline]
    pub(crate) fn new(start: *mut u8, layout: Layout) -> Self {
        Self { start, size: layout.size() as u32, align: layout.align() as u32 }
    }

    #[inline]
    pub(crate) fn layout(self) -> Layout {
        // SAFETY: both come from a layout, or from `NONE`.
        unsafe { Layout::from_size_align_unchecked(self.size as usize, self.align as usize) }
    }

    /// Where it starts.
    #[inline]
    pub(crate) fn start(self) -> *mut u8 {
        self.start
    }

    /// The first address behind it.
    #[inline]
    pub(crate) fn end(self) -> usize {
        self.start.addr() + self.size as usize
    }
}

/// Allocates a block and writes its first byte.
#[inline]
pub(crate) fn allocate<S: Subject>(subject: &mut S, layout: Layout) -> Result<Block, OutOfMemory> {
    let layout = opaque(subject, layout);
    // SAFETY: no workload asks for 0 bytes; subjects live as long as the process.
    let start = unsafe { subject.allocate(layout) };
    if start.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: the block has at least one byte.
    unsafe { start.write(1) };
    Ok(Block::new(start, layout))
}

/// Changes the size of a block and writes its first byte.
#[inline]
pub(crate) fn reallocate<S: Subject>(
    subject: &mut S,
    block: Block,
    size: usize,
) -> Result<Block, OutOfMemory> {
    let layout = opaque(subject, block.layout());
    // SAFETY: `block` was the last copy in use of a live block; no workload asks for 0 bytes.
    let start = unsafe { subject.reallocate(block.start, layout, size) };
    if start.is_null() {
        return Err(OutOfMemory);
    }
    // SAFETY: the block has at least one byte.
    unsafe { start.write(1) };
    Ok(Block { start, size: size as u32, align: block.align })
}

/// Frees a block.
#[inline]
pub(crate) fn free<S: Subject>(subject: &mut S, block: Block) {
    let layout = opaque(subject, block.layout());
    // SAFETY: blocks are forgotten when they are freed: `block` was the last copy in use.
    unsafe { subject.deallocate(block.start, layout) };
}
