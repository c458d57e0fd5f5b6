//! Many equal blocks, then none: allocated in a row, and freed in an order of its own.

use super::{Block, OutOfMemory, Workload, allocate, free, words};
use crate::random::Random;
use crate::subject::Subject;

/// In which order blocks are freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they were allocated.
    Same,
    /// The last one first.
    Reverse,
    /// At random.
    Shuffled,
}

/// Allocates all blocks, then frees them. An operation is one `malloc` and one `free`.
#[derive(Clone, Debug)]
pub struct Fill {
    size: usize,
    /// Indices into `blocks`, in the order in which they are freed.
    order: Vec<u32>,
    blocks: Vec<Block>,
}

impl Fill {
    /// `count` blocks of `size` bytes.
    #[must_use]
    pub fn new(random: &mut Random, count: usize, size: usize, order: Order) -> Self {
        let mut indices: Vec<u32> = (0..count as u32).collect();
        match order {
            Order::Same => {}
            Order::Reverse => indices.reverse(),
            Order::Shuffled => random.shuffle(&mut indices),
        }
        Self { size, order: indices, blocks: vec![Block::NONE; count] }
    }
}

impl Workload for Fill {
    fn operations(&self) -> usize {
        self.order.len()
    }

    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        for block in &mut self.blocks {
            *block = allocate(subject, words(self.size))?;
        }
        for &index in &self.order {
            free(subject, self.blocks[index as usize]);
        }
        Ok(())
    }
}
