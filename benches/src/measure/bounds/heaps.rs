//! Heaps that are meant to be bad.

use crate::random::Random;
use crate::subject::Subject;
use crate::workload::{Block, OutOfMemory, allocate, free, words};
use std::alloc::Layout;

use serde::{Deserialize, Serialize};

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
    /// Small blocks only, which come and go in bursts: caches run empty and over.
    Bursts,
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Checkerboard, Self::EveryBin, Self::TooSmall, Self::Misaligned, Self::Bursts];

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
        })
    }

    /// What separates them.
    fn wall(self) -> Layout {
        match self {
            Self::Checkerboard => words(48),
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
        }
    }
}

/// A heap of that shape with `cells` cells, half of them free; returns the used ones, in random
/// order.
pub fn build<S: Subject>(
    shape: Shape,
    cells: usize,
    random: &mut Random,
    subject: &mut S,
) -> Result<Vec<Block>, OutOfMemory> {
    let (mut holes, mut walls) = (Vec::with_capacity(cells / 2), Vec::with_capacity(cells / 2));
    for _ in 0..cells / 2 {
        holes.push(allocate(subject, shape.hole(random))?);
        walls.push(allocate(subject, shape.wall())?);
    }
    random.shuffle(&mut holes);
    random.shuffle(&mut walls);
    for hole in holes {
        free(subject, hole);
    }
    Ok(walls)
}
