//! Heaps that are meant to be bad.

use crate::random::Random;
use crate::subject::Subject;
use crate::workload::{Block, OutOfMemory, allocate, free, words};
use std::alloc::Layout;

use serde::{Deserialize, Serialize};

/// Largest blocks of slabs of this project's heap, in bytes.
const SLAB_MAX: usize = 4096;

/// Blocks of a heap that is full of slabs, in bytes.
const SLAB_BLOCK: usize = 64;

/// One block in so many is free: fewer than the heap takes for a slab to be listed again.
const FREE_IN_FULL: usize = 32;

/// So many operations see a heap of which only the first few are bad.
const FIRST_FEW: usize = 8;

/// A kind of bad heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// Every other cell of a row is free: each free merges three, each malloc cuts.
    Checkerboard,
    /// Free cells of all sizes up to 2 KiB, none beside another: every bin has many.
    EveryBin,
    /// Free cells that are all a little too small for what is asked, though of its size class.
    TooSmall,
    /// Free cells that are large enough, and almost none aligned as is asked.
    Misaligned,
    /// Small blocks only, which come and go in bursts: lists run empty, slabs full and empty.
    Bursts,
    /// Blocks of every slab class, half of them free: each class has begun, and none is full.
    EveryClass,
    /// Equal blocks, all but one in 32 used: slabs have a free block, and too few to be listed.
    FullSlabs,
    /// Full slabs below a block as long as all of them: the next slab lies beyond the page map's
    /// last word, and needs a new leaf.
    LastLeaf,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Checkerboard => "checkerboard",
            Self::EveryBin => "every bin",
            Self::TooSmall => "too small",
            Self::Misaligned => "misaligned",
            Self::Bursts => "bursts",
            Self::EveryClass => "every class",
            Self::FullSlabs => "full slabs",
            Self::LastLeaf => "last leaf",
        })
    }
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Checkerboard,
        Self::EveryBin,
        Self::TooSmall,
        Self::Misaligned,
        Self::Bursts,
        Self::EveryClass,
        Self::FullSlabs,
        Self::LastLeaf,
    ];

    /// What the free cells of the heap are made of.
    fn hole(self, random: &mut Random) -> Layout {
        words(match self {
            Self::Checkerboard => 48,
            Self::EveryBin => random.log_uniform(8, 2048),
            // Between two bounds of size classes that are an eighth of a power of two apart, or
            // less far.
            Self::TooSmall => 1032 + 8 * random.below(6),
            Self::Misaligned => 312,
            Self::Bursts => random.log_uniform(8, 256),
            Self::EveryClass => random.log_uniform(8, SLAB_MAX),
            Self::FullSlabs | Self::LastLeaf => SLAB_BLOCK,
        })
    }

    /// What separates them.
    fn wall(self, random: &mut Random) -> Layout {
        match self {
            Self::Checkerboard => words(48),
            Self::EveryClass | Self::FullSlabs | Self::LastLeaf => self.hole(random),
            _ => words(24),
        }
    }

    /// What is asked of the heap.
    pub fn request(self, random: &mut Random) -> Layout {
        match self {
            Self::Checkerboard => words(8 + random.below(120)),
            Self::EveryBin => words(random.log_uniform(8, 4096)),
            Self::TooSmall => words(1088 + 8 * random.below(7)),
            Self::Misaligned => Layout::from_size_align(200, 256).expect("a power of two"),
            Self::Bursts => words(random.log_uniform(8, 256)),
            Self::EveryClass | Self::FullSlabs | Self::LastLeaf => self.hole(random),
        }
    }
}

/// A heap of that shape with `cells` cells, half of them free if the shape does not say otherwise;
/// returns used ones, in random order.
pub fn build<S: Subject>(
    shape: Shape,
    cells: usize,
    random: &mut Random,
    subject: &mut S,
) -> Result<Vec<Block>, OutOfMemory> {
    match shape {
        Shape::FullSlabs => return full_slabs(cells, random, subject),
        Shape::LastLeaf => return last_leaf(cells, random, subject),
        _ => {}
    }
    let (mut holes, mut walls) = (Vec::with_capacity(cells / 2), Vec::with_capacity(cells / 2));
    for _ in 0..cells / 2 {
        holes.push(allocate(subject, shape.hole(random))?);
        walls.push(allocate(subject, shape.wall(random))?);
    }
    random.shuffle(&mut holes);
    random.shuffle(&mut walls);
    for hole in holes {
        free(subject, hole);
    }
    Ok(walls)
}

/// `count` equal blocks, in the order of their addresses.
fn row<S: Subject>(count: usize, subject: &mut S) -> Result<Vec<Block>, OutOfMemory> {
    let row = (0..count).map(|_| allocate(subject, words(SLAB_BLOCK)));
    let mut row = row.collect::<Result<Vec<Block>, _>>()?;
    row.sort_unstable_by_key(|block| block.start());
    Ok(row)
}

/// [`Shape::FullSlabs`].
fn full_slabs<S: Subject>(
    cells: usize,
    random: &mut Random,
    subject: &mut S,
) -> Result<Vec<Block>, OutOfMemory> {
    let mut walls = Vec::with_capacity(cells);
    for (index, block) in row(cells, subject)?.into_iter().enumerate() {
        if index % FREE_IN_FULL == FREE_IN_FULL / 2 {
            free(subject, block);
        } else {
            walls.push(block);
        }
    }
    random.shuffle(&mut walls);
    Ok(walls)
}

/// [`Shape::LastLeaf`]; the block above the slabs is at least as long as the page map's first leaf
/// reaches.
fn last_leaf<S: Subject>(
    cells: usize,
    random: &mut Random,
    subject: &mut S,
) -> Result<Vec<Block>, OutOfMemory> {
    let mut walls = row(cells, subject)?;
    let least = cells * SLAB_BLOCK + (64 << 10);
    allocate(subject, words(random.uniform(least, 2 * least)))?;
    random.shuffle(&mut walls);
    walls.truncate(FIRST_FEW);
    Ok(walls)
}

/// A heap that had `count` equal blocks, of which a random quarter is left: almost no slab is full,
/// or empty.
pub fn sparse<S: Subject>(
    count: usize,
    random: &mut Random,
    subject: &mut S,
) -> Result<(), OutOfMemory> {
    let mut blocks = row(count, subject)?;
    random.shuffle(&mut blocks);
    for block in blocks.drain(count / 4..) {
        free(subject, block);
    }
    Ok(())
}

/// A heap that had `count` blocks of all sizes of slabs, of which the long ones are left: every
/// class has begun, and those of short blocks are empty.
pub fn begun<S: Subject>(
    count: usize,
    random: &mut Random,
    subject: &mut S,
) -> Result<(), OutOfMemory> {
    let blocks = (0..count).map(|_| allocate(subject, words(random.log_uniform(8, SLAB_MAX))));
    for block in blocks.collect::<Result<Vec<Block>, _>>()? {
        if block.layout().size() < SLAB_MAX / 2 {
            free(subject, block);
        }
    }
    Ok(())
}

/// Memory for [`begun`], in bytes; the blocks have 655 on average.
pub const fn len_of_begun(count: usize) -> usize {
    count * 2048 + (256 << 10)
}

/// A request that a fresh heap in that memory can serve, but not one after [`begun`], in bytes: it
/// overlaps some of the long blocks.
pub const fn too_much_for_begun(count: usize) -> usize {
    len_of_begun(count) - count * 256
}
