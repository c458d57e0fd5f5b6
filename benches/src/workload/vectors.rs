//! Vectors that grow side by side, each in the other's way.

use super::{Block, OutOfMemory, Workload, allocate, free, reallocate, words};
use crate::subject::Subject;

/// `count` vectors of `first` bytes are doubled in turn until they have `last`, then freed; this
/// `rounds` times. An operation is one `realloc`; the `malloc` and the `free` of each vector are
/// divided among its own.
#[derive(Clone, Debug)]
pub struct Vectors {
    /// How many grow in lockstep.
    pub count: usize,
    /// Bytes at first.
    pub first: usize,
    /// Bytes at last: `first` times a power of two.
    pub last: usize,
    /// How often in a pass.
    pub rounds: usize,
}

impl Workload for Vectors {
    fn operations(&self) -> usize {
        self.rounds * self.count * (self.last / self.first).ilog2() as usize
    }

    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        let mut vectors = vec![Block::NONE; self.count];
        for _ in 0..self.rounds {
            for vector in &mut vectors {
                *vector = allocate(subject, words(self.first))?;
            }
            let mut size = self.first;
            while size < self.last {
                size *= 2;
                for vector in &mut vectors {
                    *vector = reallocate(subject, *vector, size)?;
                }
            }
            for vector in &vectors {
                free(subject, *vector);
            }
        }
        Ok(())
    }
}
