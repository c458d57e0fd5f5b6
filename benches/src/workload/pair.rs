//! The same size, allocated and freed, again and again: the shortest way through a heap.

use super::{OutOfMemory, Workload, allocate, free, words};
use crate::subject::Subject;

/// `count` pairs of `malloc(size)` and `free`. An operation is a pair.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Bytes.
    pub size: usize,
    /// Pairs in a pass.
    pub count: usize,
}

impl Workload for Pair {
    fn operations(&self) -> usize {
        self.count
    }

    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        for _ in 0..self.count {
            let block = allocate(subject, words(self.size))?;
            free(subject, block);
        }
        Ok(())
    }
}
