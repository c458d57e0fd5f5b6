//! How many instructions a single operation takes at worst, in heaps of ten cells to a million that
//! are meant to be bad.
//!
//! ```text
//!   heaps.rs  builds the heap ─► here: operations, one by one ─► step.rs  counts each ─► percentiles, maximum
//! ```
//!
//! single.rs counts the common path and the first refused request.
//!
//! A `realloc` that moves the block is not counted: what it copies depends on the size.

mod heaps;
pub mod single;
mod step;

use std::alloc::Layout;
use std::ptr::NonNull;

use serde::{Deserialize, Serialize};

use super::{Failure, Job, Outcome, process};
use crate::memory::{self, Pages};
use crate::random::Random;
use crate::subject::{self, Kind, Subject};
use crate::workload::{Block, OutOfMemory, allocate, free};

pub use heaps::Shape;
pub use step::LIMIT as STEP_LIMIT;
use step::Stepper;

/// A child that takes longer is killed, in seconds.
const LIMIT: u32 = 12;

/// Operations of each kind counted for each shape.
const SAMPLES: usize = 120;

/// A shape in which so many operations reached the step limit is bad enough.
const SATURATED: usize = 3;

/// Operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `malloc`.
    Malloc,
    /// `free`.
    Free,
    /// `realloc` that stays where it is.
    Realloc,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Malloc, Self::Free, Self::Realloc];
}

impl std::fmt::Display for Operation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Malloc => "malloc",
            Self::Free => "free",
            Self::Realloc => "realloc",
        })
    }
}

/// Instructions of one kind of operation in heaps of one number of cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Which operation.
    pub operation: Operation,
    /// How many were counted.
    pub samples: usize,
    /// Half of them take no more.
    pub p50: u64,
    /// 99 of 100 take no more.
    pub p99: u64,
    /// The most that one took; [`STEP_LIMIT`] stands for that many or more.
    pub max: u64,
    /// In which heap.
    pub worst: Option<Shape>,
}

/// The figures of a subject in heaps of `cells` cells, by a child.
///
/// # Errors
///
/// Why there are none.
pub fn once(subject: subject::Name, cells: usize) -> Outcome<Vec<Bound>> {
    if subject.kind() == Kind::Library {
        return Err(Failure::Unsupported);
    }
    process::run(&Job::Bounds { subject, cells }, LIMIT)
}

/// The figures, in this process.
pub(super) fn here(subject: subject::Name, cells: usize) -> Outcome<Vec<Bound>> {
    of_samples(subject, cells, SAMPLES)
}

fn of_samples(subject: subject::Name, cells: usize, samples: usize) -> Outcome<Vec<Bound>> {
    // The largest shape takes 1.2 KiB for two cells; buddies double it.
    let region =
        memory::region((16 << 20) + cells * 2048, Pages::OnTouch).map_err(Failure::because)?;
    subject.visit(Count { cells, samples, region, stepper: Stepper::new()? })
}

struct Count {
    cells: usize,
    samples: usize,
    region: NonNull<[u8]>,
    stepper: Stepper,
}

impl subject::Visitor for Count {
    type Output = Outcome<Vec<Bound>>;

    fn visit<S: Subject>(self) -> Self::Output {
        let mut counted = Counted::default();
        for shape in Shape::ALL {
            let mut random = Random::new(0xB0D5_0000 + self.cells as u64);
            let enough = counted.malloc.len() + self.samples;
            let saturated = counted.saturated() + SATURATED;
            while counted.malloc.len() < enough && counted.saturated() < saturated {
                // SAFETY: the region is never given back, and the subject that was on it is no
                // longer used.
                let mut subject = unsafe { S::new(self.region) };
                let walls = heaps::build(shape, self.cells, &mut random, &mut subject)?;
                let rounds = walls.len().min(enough - counted.malloc.len());
                counted.operations(
                    &self.stepper,
                    shape,
                    &mut random,
                    &mut subject,
                    &walls[..rounds],
                )?;
            }
        }
        Ok(counted.bounds())
    }
}

/// Counts, each with the heap in which it was made.
#[derive(Default)]
struct Counted {
    malloc: Vec<(u64, Shape)>,
    free: Vec<(u64, Shape)>,
    realloc: Vec<(u64, Shape)>,
}

impl Counted {
    /// A `malloc`, a `realloc` and a `free` for each of the walls: some of what was allocated is
    /// freed at once, some at the end, and all walls fall.
    fn operations<S: Subject>(
        &mut self,
        stepper: &Stepper,
        shape: Shape,
        random: &mut Random,
        subject: &mut S,
        walls: &[Block],
    ) -> Result<(), OutOfMemory> {
        let mut blocks = Vec::new();
        let saturated = self.saturated() + SATURATED;
        for &wall in walls {
            if self.saturated() >= saturated {
                return Ok(());
            }
            let layout = shape.request(random);
            let (block, count) = stepper.count(|| allocate(subject, layout));
            self.malloc.push((count, shape));
            let block = self.resize(stepper, shape, random, subject, block?);
            blocks.push(block);
            let victim = if random.one_in(2) {
                wall
            } else {
                blocks.swap_remove(random.below(blocks.len()))
            };
            self.free.push((stepper.count(|| free(subject, victim)).1, shape));
        }
        for block in blocks {
            self.free.push((stepper.count(|| free(subject, block)).1, shape));
        }
        Ok(())
    }

    /// A `realloc` to between half and one and a half of the size.
    fn resize<S: Subject>(
        &mut self,
        stepper: &Stepper,
        shape: Shape,
        random: &mut Random,
        subject: &mut S,
        block: Block,
    ) -> Block {
        let layout = block.layout();
        let size = (layout.size() / 2 + random.below(layout.size())).max(1);
        // SAFETY: a live block with its layout; the size is not 0.
        let (start, count) =
            stepper.count(|| unsafe { subject.reallocate(block.start(), layout, size) });
        if start.is_null() {
            return block;
        }
        if start == block.start() {
            self.realloc.push((count, shape));
        }
        let layout = Layout::from_size_align(size, layout.align())
            .expect("half as much again is no overflow");
        Block::new(start, layout)
    }

    /// Operations that reached the step limit.
    fn saturated(&self) -> usize {
        let all = self.malloc.iter().chain(&self.free).chain(&self.realloc);
        all.filter(|&&(count, _)| count >= STEP_LIMIT).count()
    }

    fn bounds(self) -> Vec<Bound> {
        [
            (Operation::Malloc, self.malloc),
            (Operation::Free, self.free),
            (Operation::Realloc, self.realloc),
        ]
        .map(|(operation, counts)| bound(operation, counts))
        .to_vec()
    }
}

fn bound(operation: Operation, mut counts: Vec<(u64, Shape)>) -> Bound {
    counts.sort_by_key(|&(count, _)| count);
    let percentile =
        |percent: usize| counts.get(rank(counts.len(), percent)).map_or(0, |&(count, _)| count);
    Bound {
        operation,
        samples: counts.len(),
        p50: percentile(50),
        p99: percentile(99),
        max: percentile(100),
        worst: counts.last().map(|&(_, shape)| shape),
    }
}

/// The index of a percentile among `len` sorted figures (nearest rank).
fn rank(len: usize, percent: usize) -> usize {
    (len * percent).div_ceil(100).saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_by_nearest_rank() {
        assert_eq!([0, 50, 99, 100].map(|percent| rank(100, percent)), [0, 49, 98, 99]);
        assert_eq!([50, 99, 100].map(|percent| rank(10, percent)), [4, 9, 9]);
        assert_eq!(rank(0, 50), 0);
        let counts = (1..=200)
            .rev()
            .map(|count| (count, if count == 200 { Shape::Bursts } else { Shape::EveryBin }));
        let bound = bound(Operation::Free, counts.collect());
        assert_eq!(
            (bound.p50, bound.p99, bound.max, bound.worst),
            (100, 198, 200, Some(Shape::Bursts))
        );
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_bare_list_takes_as_many_instructions_in_any_heap() {
        let few = of_samples(subject::Name::Floor, 10, 6).unwrap();
        let many = of_samples(subject::Name::Floor, 10_000, 6).unwrap();
        for (few, many) in few.iter().zip(&many) {
            assert!(few.samples > 0 && many.samples > 0, "{few:?} {many:?}");
            assert!(many.max > 0 && many.max <= few.max * 2, "{few:?} {many:?}");
        }
    }
}
