//! The same size, allocated and freed, again and again: the shortest way through a heap.

use super::{OutOfMemory, Workload, allocate, free, words};
use crate::subject::Subject;

/// `COUNT` pairs of `malloc(SIZE)` and `free`, in a pass. An operation is a pair.
///
/// The numbers are parameters of the type, so that the measured loop has them as constants. As
/// fields they are constants only if the compiler inlines the functions around the loop, and else
/// take registers: two instructions a pair more.
#[derive(Clone, Debug)]
pub struct Pair<const SIZE: usize, const COUNT: usize>;

impl<const SIZE: usize, const COUNT: usize> Workload for Pair<SIZE, COUNT> {
    fn operations(&self) -> usize {
        COUNT
    }

    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        for _ in 0..COUNT {
            let block = allocate(subject, words(SIZE))?;
            free(subject, block);
        }
        Ok(())
    }
}
