//! The same workload on a fixed heap and on one that grows.

use core::alloc::{GlobalAlloc, Layout};
use core::ptr;

use crate::evidence::{Evidence, Shown, Step};
use crate::memory::Policy;
use crate::memory::kernel_break::ScratchBreak;
use brkalloc::LockedHeap;

use super::watch::{Bytes, Watch};

/// The size of the heap that hobby kernels usually begin with.
const FIXED: usize = 100 << 10;
/// The workload: so many blocks, all live at once.
const BLOCKS: usize = 1000;
const BLOCK: Layout = Layout::new::<[u64; 128]>();

/// The steps of this part.
pub(super) const STEPS: &[Step] = &[Step {
    name: "compare::side_by_side",
    claim: "side",
    text: "Side by side: 1000 live blocks of 1 KiB on a fixed heap, and on a break",
    shown_by: "linked_list_allocator on 100 KiB, LockedHeap on a break",
    show: side_by_side,
}];

fn side_by_side(evidence: &mut Evidence<'_>) -> Shown {
    static mut ARENA: [u8; FIXED] = [0; FIXED];
    let fixed = linked_list_allocator::LockedHeap::empty();
    let (mut uninitialised, arena) = (fixed.lock(), (&raw mut ARENA).cast());
    // SAFETY: this function runs once, and nobody else names ARENA.
    unsafe { uninitialised.init(arena, FIXED) };
    drop(uninitialised);
    let on_fixed = Chain::fill(&fixed);
    evidence.say(format_args!(
        "linked_list_allocator on {}: {} blocks, then null",
        Bytes(FIXED as u64),
        on_fixed.len
    ));
    evidence.expect_that("it ends in out-of-memory", on_fixed.len < BLOCKS);
    evidence.expect_at_least(
        "bytes allocated by then",
        FIXED - 2 * BLOCK.size(),
        on_fixed.len * BLOCK.size(),
    );
    on_fixed.free(&fixed);

    let watch = Watch::start();
    let brk =
        evidence.need("a break", ScratchBreak::claim(Policy::Strict).ok_or("all are in use"))?;
    let growing = LockedHeap::new(brk);
    let on_break = Chain::fill(&growing);
    evidence.say(format_args!(
        "LockedHeap on a break: {} blocks; {}",
        on_break.len,
        growing.stats()
    ));
    evidence.expect("it goes on to the last block", BLOCKS, on_break.len);
    evidence.expect_at_least(
        "frames taken",
        (BLOCKS * BLOCK.size() / 4096).cast_signed(),
        watch.frames(),
    );
    on_break.free(&growing);
    growing.trim(0);
    evidence.expect("live cells after all are freed", 0, growing.stats().live_cells);
    evidence.expect("frames in use after all are freed, and the heap trimmed", 0, watch.frames());
    Ok(())
}

/// Blocks that are linked through their first word.
struct Chain {
    first: *mut *mut u8,
    len: usize,
}

impl Chain {
    /// Allocates blocks until there are [`BLOCKS`], or until the answer is null.
    fn fill(heap: &impl GlobalAlloc) -> Self {
        let mut chain = Self { first: ptr::null_mut(), len: 0 };
        while chain.len < BLOCKS {
            // SAFETY: the layout is not empty.
            let block: *mut *mut u8 = unsafe { heap.alloc(BLOCK) }.cast();
            if block.is_null() {
                break;
            }
            // SAFETY: a block of that layout holds a pointer.
            unsafe { block.write(chain.first.cast()) };
            chain = Self { first: block, len: chain.len + 1 };
        }
        chain
    }

    /// Frees them all.
    fn free(self, heap: &impl GlobalAlloc) {
        let mut block = self.first;
        while !block.is_null() {
            // SAFETY: written by `fill`.
            let next = unsafe { block.read() }.cast();
            // SAFETY: allocated by `fill` with this layout, and freed once.
            unsafe { heap.dealloc(block.cast(), BLOCK) };
            block = next;
        }
    }
}
