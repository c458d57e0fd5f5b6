//! The list of blocks that others have freed.

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::thread;

use crate::remote::{Chain, RemoteList};
use crate::sync::Link;

/// The blocks of a model, and the list of their owner.
pub(crate) struct Blocks {
    pub(crate) list: RemoteList,
    blocks: Vec<Link>,
}

// SAFETY: loom looks whether accesses to a block are ordered; the list is for many threads.
unsafe impl Sync for Blocks {}
// SAFETY: as above.
unsafe impl Send for Blocks {}

impl Blocks {
    pub(crate) fn new(len: usize) -> Self {
        Self { list: RemoteList::new(), blocks: (0..len).map(|_| Link::default()).collect() }
    }

    /// Uses some blocks, and frees them together.
    pub(crate) fn free(&self, blocks: std::ops::Range<usize>) {
        let mut chain = Chain::EMPTY;
        for index in blocks {
            let block = &self.blocks[index];
            // SAFETY: loom looks whether it is ordered.
            block.contents.with_mut(|contents| unsafe { *contents = index + 1 });
            // SAFETY: nobody else frees this block.
            unsafe { chain.add(NonNull::from(block)) };
        }
        chain.send(&self.list);
    }

    /// Takes up what is there, and uses it again. Returns the sum of what was in the blocks.
    pub(crate) fn take_up(&self) -> usize {
        let mut sum = 0;
        if self.list.is_empty() {
            return sum;
        }
        let mut next = self.list.take_all();
        while let Some(at) = next {
            // SAFETY: it was in the list.
            next = unsafe { Link::read(at) };
            // SAFETY: the model keeps its blocks.
            let block = unsafe { at.as_ref() };
            // SAFETY: loom looks whether it is ordered.
            sum += block.contents.with_mut(|contents| unsafe { std::mem::take(&mut *contents) });
        }
        sum
    }
}

#[test]
fn what_several_free_is_taken_up_once_and_as_they_left_it() {
    loom::model(|| {
        let blocks = Arc::new(Blocks::new(3));
        let others: Vec<_> = [0..2, 2..3]
            .into_iter()
            .map(|range| {
                let blocks = Arc::clone(&blocks);
                thread::spawn(move || blocks.free(range))
            })
            .collect();
        thread::yield_now();
        let meanwhile = blocks.take_up();
        others.into_iter().for_each(|other| other.join().unwrap());
        assert_eq!(meanwhile + blocks.take_up(), 1 + 2 + 3);
        assert!(blocks.list.is_empty());
    });
}

#[test]
fn a_block_that_is_freed_used_and_freed_again_is_not_taken_for_the_old_one() {
    loom::model(|| {
        let blocks = Arc::new(Blocks::new(2));
        blocks.free(0..1);
        let other = {
            let blocks = Arc::clone(&blocks);
            thread::spawn(move || blocks.free(1..2))
        };
        thread::yield_now();
        let first = blocks.take_up();
        let second = if first & 1 == 1 {
            // Block 0 is the owner's again: another user, another free.
            blocks.free(0..1);
            1
        } else {
            0
        };
        other.join().unwrap();
        assert_eq!(first + blocks.take_up(), 1 + 2 + second);
    });
}
