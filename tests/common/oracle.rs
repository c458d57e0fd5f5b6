//! Knows every live block: where it is, how it must be aligned, and what it must contain.

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::NonNull;

use super::prelude::*;

/// A block that a heap handed out.
#[derive(Clone, Copy, Debug)]
pub struct Block {
    pub at: NonNull<u8>,
    pub layout: Layout,
    /// Seed of the bytes that were written into it.
    seed: u8,
}

impl Block {
    pub fn range(&self) -> Range<usize> {
        let start = self.at.addr().get();
        start..start + self.layout.size()
    }

    fn byte(&self, index: usize) -> u8 {
        self.seed.wrapping_add((index % 251) as u8)
    }

    fn fill(&self) {
        for index in 0..self.layout.size() {
            // SAFETY: the block is live and that long.
            unsafe { self.at.add(index).write(self.byte(index)) };
        }
    }

    fn assert_filled(&self, len: usize) {
        for index in 0..len {
            // SAFETY: the block is live and that long.
            let found = unsafe { self.at.add(index).read() };
            assert_eq!(
                found,
                self.byte(index),
                "byte {index} of the block at {:?} ({:?}) was changed",
                self.at,
                self.layout
            );
        }
    }
}

/// All live blocks, by address.
#[derive(Default)]
pub struct Oracle {
    live: BTreeMap<usize, Block>,
    blocks: u8,
}

impl Oracle {
    /// A new block: asserts that it is aligned and overlaps no other, and fills it.
    pub fn add(&mut self, at: NonNull<u8>, layout: Layout) -> Block {
        self.blocks = self.blocks.wrapping_add(1);
        let block = Block { at, layout, seed: self.blocks };
        assert_eq!(
            at.addr().get() % layout.align(),
            0,
            "{at:?} is not aligned to {}",
            layout.align()
        );
        // A block of no bytes has an address of its own too.
        let end = block.range().end.max(block.range().start + 1);
        if let Some((_, below)) = self.live.range(..end).next_back() {
            let below_end = below.range().end.max(below.range().start + 1);
            assert!(below_end <= block.range().start, "{block:?} overlaps {below:?}");
        }
        block.fill();
        self.live.insert(block.range().start, block);
        block
    }

    /// As [`add`](Oracle::add), for a block that must be all zeros.
    pub fn add_zeroed(&mut self, at: NonNull<u8>, layout: Layout) -> Block {
        for index in 0..layout.size() {
            // SAFETY: the block is new and that long.
            let found = unsafe { at.add(index).read() };
            assert_eq!(found, 0, "byte {index} of a zeroed block");
        }
        self.add(at, layout)
    }

    /// A block is about to be freed: asserts that nobody wrote into it.
    pub fn remove(&mut self, block: &Block) {
        let known = self.live.remove(&block.range().start).expect("a block is removed once");
        known.assert_filled(known.layout.size());
    }

    /// A block was resized to `new`, perhaps elsewhere: asserts that its contents came along.
    pub fn moved(&mut self, old: &Block, at: NonNull<u8>, layout: Layout) -> Block {
        let known = self.live.remove(&old.range().start).expect("a live block");
        Block { at, ..known }.assert_filled(known.layout.size().min(layout.size()));
        self.add(at, layout)
    }

    /// The n-th live block, counted round and round.
    pub fn pick(&self, n: usize) -> Option<Block> {
        let n = n.checked_rem(self.live.len())?;
        self.live.values().nth(n).copied()
    }

    pub fn blocks(&self) -> impl Iterator<Item = Block> {
        self.live.values().copied()
    }

    pub fn assert_all_filled(&self) {
        self.blocks().for_each(|block| block.assert_filled(block.layout.size()));
    }
}
