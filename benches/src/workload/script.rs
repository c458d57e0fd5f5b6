//! Any sequence of operations: `realloc` among others, mixed alignments, the replay of a trace.

use std::alloc::Layout;

use super::{Block, OutOfMemory, Workload, allocate, free, opaque, reallocate, words};
use crate::random::Random;
use crate::subject::Subject;
use crate::trace::{Act, Op, Trace};

/// A sequence of operations on a table of blocks.
#[derive(Clone, Debug)]
pub struct Script {
    /// Done once, in `begin`.
    fill: Vec<Op>,
    ops: Vec<Op>,
    table: Vec<Block>,
}

impl Script {
    /// Operations on `slots` blocks of up to `high` bytes: one in four changes a block's size, the
    /// others replace it.
    #[must_use]
    pub fn with_realloc(random: &mut Random, slots: usize, count: usize, high: usize) -> Self {
        Self::random(random, slots, count, |random| {
            let act = if random.one_in(4) { Act::Reallocate } else { Act::Replace };
            let layout = words(random.log_uniform(1, high));
            (act, layout.align().ilog2() as u8, layout.size())
        })
    }

    /// Replaces blocks of 8 to `high` bytes: half are aligned to 8 bytes, half of the others to 16,
    /// and so on up to 4096.
    #[must_use]
    pub fn aligned(random: &mut Random, slots: usize, count: usize, high: usize) -> Self {
        Self::random(random, slots, count, |random| {
            let align_log2 = 3 + random.bits().trailing_zeros().min(9);
            (Act::Replace, align_log2 as u8, random.log_uniform(8, high))
        })
    }

    /// `count` random actions on 300 to 600 blocks, a third each: allocate a block, free one,
    /// change the size of one. Sizes are uniform up to `high` bytes. The first actions make the
    /// blocks, and the last ones free all, so it can be repeated.
    #[must_use]
    pub fn actions(random: &mut Random, count: usize, high: usize) -> Self {
        const LEAST: usize = 300;
        const MOST: usize = 600;
        let (mut ops, mut live, mut free, mut slots) = (Vec::new(), Vec::new(), Vec::new(), 0);
        let op = |act, slot, layout: Layout| Op {
            act,
            align_log2: layout.align().ilog2() as u8,
            slot,
            size: layout.size() as u32,
        };
        for _ in 0..count {
            let action = random.below(3);
            let layout = words(random.uniform(1, high));
            // At a limit the action is the other one of the two.
            let allocates = match action {
                0 => live.len() < MOST,
                1 => live.len() < LEAST,
                _ => live.is_empty(),
            };
            if allocates {
                let slot = free.pop().unwrap_or(slots);
                slots = slots.max(slot + 1);
                live.push((slot, layout.align()));
                ops.push(op(Act::Allocate, slot, layout));
                continue;
            }
            let index = random.below(live.len());
            let (slot, align) = live[index];
            if action < 2 {
                live.swap_remove(index);
                free.push(slot);
                ops.push(op(Act::Free, slot, Layout::new::<()>()));
            } else {
                let layout = Layout::from_size_align(layout.size(), align)
                    .expect("sizes are far below the limit");
                ops.push(op(Act::Reallocate, slot, layout));
            }
        }
        ops.extend(live.into_iter().map(|(slot, _)| op(Act::Free, slot, Layout::new::<()>())));
        Self { fill: Vec::new(), ops, table: vec![Block::NONE; slots as usize] }
    }

    /// A program's operations, one after the other. A trace ends with every block freed, so it can
    /// be repeated.
    #[must_use]
    pub fn replay(trace: &Trace) -> Self {
        Self {
            fill: Vec::new(),
            ops: trace.ops().to_vec(),
            table: vec![Block::NONE; trace.slots()],
        }
    }

    fn random(
        random: &mut Random,
        slots: usize,
        count: usize,
        mut op: impl FnMut(&mut Random) -> (Act, u8, usize),
    ) -> Self {
        let mut on = |slot: usize| {
            let (act, align_log2, size) = op(random);
            (Op { act, align_log2, slot: slot as u32, size: size as u32 }, random.below(slots))
        };
        let fill = (0..slots).map(|slot| Op { act: Act::Allocate, ..on(slot).0 }).collect();
        let mut next = 0;
        let ops = (0..count)
            .map(|_| {
                let (op, following) = on(next);
                next = following;
                op
            })
            .collect();
        Self { fill, ops, table: vec![Block::NONE; slots] }
    }
}

/// Does one operation on its slot.
#[inline]
pub(super) fn step<S: Subject>(
    subject: &mut S,
    op: Op,
    block: &mut Block,
) -> Result<(), OutOfMemory> {
    match op.act {
        Act::Allocate => *block = allocate(subject, op.layout())?,
        Act::AllocateZeroed => {
            let layout = opaque(subject, op.layout());
            // SAFETY: the size is not 0: the invariant of `Op`.
            let start = unsafe { subject.allocate_zeroed(layout) };
            if start.is_null() {
                return Err(OutOfMemory);
            }
            *block = Block::new(start, layout);
        }
        Act::Free => {
            free(subject, *block);
            *block = Block::NONE;
        }
        Act::Reallocate => *block = reallocate(subject, *block, op.size as usize)?,
        Act::Replace => {
            free(subject, *block);
            *block = allocate(subject, op.layout())?;
        }
    }
    Ok(())
}

impl Script {
    /// A pass, from an empty table, that calls `look` with each block after the operation on it.
    pub(crate) fn pass_with<S: Subject>(
        &mut self,
        subject: &mut S,
        mut look: impl FnMut(Block),
    ) -> Result<(), OutOfMemory> {
        self.table.fill(Block::NONE);
        for &op in &self.ops {
            let block = &mut self.table[op.slot as usize];
            step(subject, op, block)?;
            if op.act != Act::Free {
                look(*block);
            }
        }
        Ok(())
    }
}

impl Workload for Script {
    fn operations(&self) -> usize {
        self.ops.len()
    }

    fn begin<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        self.fill.iter().try_for_each(|&op| step(subject, op, &mut self.table[op.slot as usize]))
    }

    fn pass<S: Subject>(&mut self, subject: &mut S) -> Result<(), OutOfMemory> {
        self.ops.iter().try_for_each(|&op| step(subject, op, &mut self.table[op.slot as usize]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_of_the_random_actions_is_realloc() {
        let script = Script::actions(&mut Random::new(1), 30_000, 200);
        let trace = Trace::new(script.ops.clone(), script.table.len()).unwrap();
        let count = |act| script.ops.iter().filter(|op| op.act == act).count();
        assert_eq!(count(Act::Allocate), count(Act::Free), "{trace}");
        assert!((9_000..11_000).contains(&count(Act::Reallocate)), "{trace}");
        assert!((300..=600).contains(&trace.slots()), "{trace}");
        let sizes = || script.ops.iter().filter(|op| op.act != Act::Free).map(|op| op.size);
        assert_eq!((sizes().min(), sizes().max()), (Some(1), Some(200)));
    }
}
