//! Blocks that know whose they are and what must be in them.

use std::alloc::Layout;
use std::ptr::NonNull;

use brkalloc::inner::Slots as SlotProvider;
use brkalloc::{ArenaHeap, Break, Map, RawLock};

use crate::common::profile::Variant;

/// A small generator of numbers, the same on every machine.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        // xorshift64*
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() >> 33) as usize % bound
    }

    /// A size: most are small, some are large.
    pub fn size(&mut self) -> usize {
        match self.below(100) {
            0 => self.below(200_000),
            1..10 => self.below(20_000),
            _ => self.below(1_100),
        }
    }
}

pub fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

/// The heap itself thinks that a new block is long enough. (It cannot say so in a handler that
/// interrupted who has the parent's lock.)
fn assert_long_enough<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
    heap: &ArenaHeap<B, C, M, P, L>,
    block: NonNull<u8>,
    layout: Layout,
) {
    // SAFETY: live.
    let usable = unsafe { heap.usable_size(block) };
    assert!(usable == 0 || usable >= layout.size(), "{usable} bytes for {layout:?}");
}

/// A live block, filled with one byte.
pub struct Block {
    at: NonNull<u8>,
    layout: Layout,
    byte: u8,
}

// SAFETY: a block is its owner's, and goes from thread to thread as a value does.
unsafe impl Send for Block {}

impl Block {
    /// Allocates a block and fills it.
    pub fn new<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
        heap: &ArenaHeap<B, C, M, P, L>,
        layout: Layout,
        byte: u8,
    ) -> Option<Self> {
        // SAFETY: the tests keep the heap.
        let at = unsafe { heap.allocate(layout) }?;
        assert!(at.addr().get().is_multiple_of(layout.align()));
        assert_long_enough(heap, at, layout);
        // SAFETY: new, and that long.
        unsafe { at.write_bytes(byte, layout.size()) };
        Some(Self { at, layout, byte })
    }

    /// Nobody else has written there.
    pub fn verify(&self) {
        // SAFETY: live, and that long.
        let bytes = unsafe { std::slice::from_raw_parts(self.at.as_ptr(), self.layout.size()) };
        assert!(
            bytes.iter().all(|&byte| byte == self.byte),
            "somebody wrote to {:?} {:?}",
            self.at,
            self.layout
        );
    }

    pub fn resize<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
        &mut self,
        heap: &ArenaHeap<B, C, M, P, L>,
        size: usize,
    ) -> Option<()> {
        self.verify();
        // SAFETY: live until now.
        self.at = unsafe { heap.reallocate(self.at, self.layout, size) }?;
        assert_long_enough(heap, self.at, layout(size, self.layout.align()));
        self.layout = layout(self.layout.size().min(size), self.layout.align());
        self.verify();
        self.layout = layout(size, self.layout.align());
        // SAFETY: that long.
        unsafe { self.at.write_bytes(self.byte, size) };
        Some(())
    }

    /// [`resize`](Block::resize) by address alone. A refused block is as it was.
    pub fn resize_by_ptr<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
        &mut self,
        heap: &ArenaHeap<B, C, M, P, L>,
        size: usize,
    ) -> Option<()> {
        self.verify();
        let new = layout(size, self.layout.align());
        // SAFETY: live until now.
        let resized = unsafe { heap.reallocate_by_ptr(self.at, new) };
        if let Some(at) = resized {
            self.at = at;
            assert_long_enough(heap, at, new);
            self.layout = layout(self.layout.size().min(size), new.align());
        }
        self.verify();
        resized?;
        self.layout = new;
        // SAFETY: that long.
        unsafe { self.at.write_bytes(self.byte, size) };
        Some(())
    }

    pub fn free<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
        self,
        heap: &ArenaHeap<B, C, M, P, L>,
    ) {
        self.verify();
        // SAFETY: live until now.
        unsafe { heap.deallocate(self.at, self.layout) };
    }
}

/// The blocks of one thread.
pub struct Blocks {
    pub live: Vec<Block>,
    byte: u8,
}

impl Blocks {
    pub const fn new(byte: u8) -> Self {
        Self { live: Vec::new(), byte }
    }

    /// Allocates, resizes or frees a block.
    pub fn step<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
        &mut self,
        heap: &ArenaHeap<B, C, M, P, L>,
        rng: &mut Rng,
    ) {
        match rng.below(8) {
            0..4 if self.live.len() < 400 => {
                let most = if rng.below(50) == 0 { 14 } else { 5 };
                let align = 1 << rng.below(most);
                self.byte = self.byte.wrapping_add(16);
                self.live
                    .push(Block::new(heap, layout(rng.size(), align), self.byte).expect("memory"));
            }
            4 if !self.live.is_empty() => {
                let index = rng.below(self.live.len());
                self.live[index].resize(heap, rng.size()).expect("memory");
            }
            _ if !self.live.is_empty() => {
                self.live.swap_remove(rng.below(self.live.len())).free(heap)
            }
            _ => {}
        }
    }

    pub fn free_all<B: Break, C: SlotProvider, M: Map, P: Variant, L: RawLock>(
        &mut self,
        heap: &ArenaHeap<B, C, M, P, L>,
    ) {
        self.live.drain(..).for_each(|block| block.free(heap));
    }
}
