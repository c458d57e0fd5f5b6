//! A random block is freed and another allocated: a program in its steady state.

use super::{Block, OutOfMemory, Workload, allocate, free, words};
use crate::random::Random;
use crate::subject::Subject;

/// Replaces blocks in a table. An operation frees one and allocates one.
#[derive(Clone, Debug)]
pub struct Replace {
    steps: Vec<Step>,
    fill: Vec<u32>,
    table: Vec<Block>,
}

/// Replace the block in `slot` by one of `size` bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    slot: u32,
    size: u32,
}

impl Replace {
    /// `steps` operations over `slots` blocks of `low..=high` bytes.
    #[must_use]
    pub fn new(random: &mut Random, slots: usize, steps: usize, low: usize, high: usize) -> Self {
        Self {
            fill: (0..slots).map(|_| random.log_uniform(low, high) as u32).collect(),
            steps: phase(random, slots, steps, low, high).collect(),
            table: vec![Block::NONE; slots],
        }
    }

    /// Five phases of `steps` operations each; the sizes of the last are those of the first.
    #[must_use]
    pub fn churn(random: &mut Random, slots: usize, steps: usize) -> Self {
        let mut churn = Self::new(random, slots, 0, 8, 128);
        for (low, high) in [(64, 1024), (8, 64), (512, 8192), (16, 2048), (8, 128)] {
            churn.steps.extend(phase(random, slots, steps, low, high));
        }
        churn
    }
}

fn phase(
    random: &mut Random,
    slots: usize,
    steps: usize,
    low: usize,
    high: usize,
) -> impl Iterator<Item = Step> {
    (0..steps).map(move |_| Step {
        slot: random.below(slots) as u32,
        size: random.log_uniform(low, high) as u32,
    })
}

impl Workload for Replace {
    fn operations(&self) -> usize {
        self.steps.len()
    }

    fn begin<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        for (block, &size) in self.table.iter_mut().zip(&self.fill) {
            *block = allocate(subject, words(size as usize))?;
        }
        Ok(())
    }

    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        for step in &self.steps {
            let block = &mut self.table[step.slot as usize];
            free(subject, *block);
            *block = allocate(subject, words(step.size as usize))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_same_every_time() {
        let steps = |seed| Replace::new(&mut Random::new(seed), 100, 1000, 8, 256).steps;
        assert_eq!(steps(1), steps(1));
        assert_ne!(steps(1), steps(2));
    }

    #[test]
    fn each_phase_of_the_churn_has_its_own_sizes() {
        let churn = Replace::churn(&mut Random::new(1), 100, 1000);
        let largest = |phase: usize| {
            churn.steps[phase * 1000..][..1000].iter().map(|step| step.size).max().unwrap()
        };
        assert!(largest(0) <= 1024 && largest(1) <= 64 && largest(2) > 4096 && largest(4) <= 128);
    }
}
