//! Two that use one heap, of which one comes after every instruction of the other.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

use brkalloc::{ArenaHeap, Break, Cpu, Map, Profile, RawLock};

use super::prelude::*;

/// Sizes that take all paths: slabs, cells, the parent.
const SIZES: [usize; 8] = [8, 100, 24, 1000, 40, 3000, 200, 40_000];

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

/// Writes to the first and the last byte of a block.
///
/// # Safety
///
/// The block is the caller's, and that long.
unsafe fn mark(block: NonNull<u8>, size: usize, mark: u8) {
    // SAFETY: the caller's promise.
    unsafe { block.write(mark) };
    // SAFETY: the caller's promise.
    unsafe { block.add(size - 1).write(mark) };
}

/// Whether the first and the last byte are as they were left.
///
/// # Safety
///
/// The block is the caller's, and that long.
unsafe fn is_marked(block: NonNull<u8>, size: usize, mark: u8) -> bool {
    // SAFETY: the caller's promise.
    let first = unsafe { block.read() };
    // SAFETY: the caller's promise.
    first == mark && unsafe { block.add(size - 1).read() } == mark
}

/// The one who interrupts: has a few blocks, and allocates or frees one each time.
pub struct Guest {
    blocks: [AtomicPtr<u8>; SIZES.len()],
    turn: AtomicUsize,
    allocated: AtomicUsize,
}

impl Guest {
    pub const fn new() -> Self {
        Self {
            blocks: [const { AtomicPtr::new(core::ptr::null_mut()) }; SIZES.len()],
            turn: AtomicUsize::new(0),
            allocated: AtomicUsize::new(0),
        }
    }

    /// How many blocks it got.
    pub fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }

    /// Frees the block whose turn it is, or allocates it. A small one is refused only if that may
    /// be.
    pub fn step<B: Break, C: Cpu, M: Map, P: Profile, L: RawLock>(
        &self,
        heap: &ArenaHeap<B, C, M, P, L>,
        may_be_refused: bool,
    ) {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let (place, size) = (&self.blocks[turn % SIZES.len()], SIZES[turn % SIZES.len()]);
        if let Some(block) = NonNull::new(place.load(Ordering::Relaxed)) {
            // SAFETY: live, and that long.
            assert!(
                // SAFETY: live, and that long.
                unsafe { is_marked(block, size, 0xEE) },
                "somebody wrote to a block of the handler's"
            );
            // SAFETY: live until now.
            unsafe { heap.deallocate(block, layout(size)) };
            place.store(core::ptr::null_mut(), Ordering::Relaxed);
            return;
        }
        // SAFETY: the heap outlives the block.
        let Some(block) = (unsafe { heap.allocate(layout(size)) }) else {
            assert!(size > 3000 || may_be_refused, "{size} bytes were refused");
            return;
        };
        // SAFETY: new, and that long.
        unsafe { mark(block, size, 0xEE) };
        place.store(block.as_ptr(), Ordering::Relaxed);
        self.allocated.fetch_add(1, Ordering::Relaxed);
    }

    /// Frees what it has.
    pub fn free_all<B: Break, C: Cpu, M: Map, P: Profile, L: RawLock>(
        &self,
        heap: &ArenaHeap<B, C, M, P, L>,
    ) {
        for (place, size) in self.blocks.iter().zip(SIZES) {
            if let Some(block) = NonNull::new(place.swap(core::ptr::null_mut(), Ordering::Relaxed))
            {
                // SAFETY: live until now.
                unsafe { heap.deallocate(block, layout(size)) };
            }
        }
    }
}

/// The one who is interrupted.
pub struct Host {
    blocks: Vec<(NonNull<u8>, usize)>,
    state: usize,
}

impl Host {
    pub fn new() -> Self {
        Self { blocks: Vec::with_capacity(1000), state: 1 }
    }

    fn random(&mut self, below: usize) -> usize {
        self.state = self.state.wrapping_mul(0x5851_F42D).wrapping_add(0x14057B7F);
        (self.state >> 16) % below
    }

    /// Allocates, resizes and frees blocks.
    pub fn run<B: Break, C: Cpu, M: Map, P: Profile, L: RawLock>(
        &mut self,
        heap: &ArenaHeap<B, C, M, P, L>,
        operations: usize,
    ) {
        for _ in 0..operations {
            let size = match self.random(40) {
                0 => 33_000 + self.random(8_000),
                1..12 => 1_100 + self.random(2_000),
                _ => 1 + self.random(900),
            };
            match self.random(5) {
                0..3 => {
                    // SAFETY: the heap outlives the block.
                    let block = unsafe { heap.allocate(layout(size)) }.expect("8 MiB are enough");
                    // SAFETY: new, and that long.
                    unsafe { mark(block, size, 0x55) };
                    self.blocks.push((block, size));
                }
                3 if !self.blocks.is_empty() => {
                    let index = self.random(self.blocks.len());
                    let (block, old) = self.blocks[index];
                    // SAFETY: live until now.
                    let block = unsafe { heap.reallocate(block, layout(old), size) }
                        .expect("8 MiB are enough");
                    // SAFETY: one byte at least.
                    assert_eq!(unsafe { block.read() }, 0x55, "its contents came along");
                    // SAFETY: that long.
                    unsafe { mark(block, size, 0x55) };
                    self.blocks[index] = (block, size);
                }
                _ if !self.blocks.is_empty() => {
                    let index = self.random(self.blocks.len());
                    let block = self.blocks.swap_remove(index);
                    Self::free(heap, block);
                }
                _ => {}
            }
        }
    }

    fn free<B: Break, C: Cpu, M: Map, P: Profile, L: RawLock>(
        heap: &ArenaHeap<B, C, M, P, L>,
        (block, size): (NonNull<u8>, usize),
    ) {
        // SAFETY: live, and that long.
        assert!(
            // SAFETY: live, and that long.
            unsafe { is_marked(block, size, 0x55) },
            "somebody wrote to a block of who is interrupted"
        );
        // SAFETY: live until now.
        unsafe { heap.deallocate(block, layout(size)) };
    }

    /// Frees what it has.
    pub fn free_all<B: Break, C: Cpu, M: Map, P: Profile, L: RawLock>(
        &mut self,
        heap: &ArenaHeap<B, C, M, P, L>,
    ) {
        while let Some(block) = self.blocks.pop() {
            Self::free(heap, block);
        }
    }
}
