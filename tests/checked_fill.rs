//! Checked heaps: a freed block of a slab is filled, and a write to any of its bytes is found when
//! the block is allocated again.

use brkalloc::MisuseKind;

use crate::common::case;
use crate::common::misuse::{Bench, CheckedVariant, addr, layout, misuse, reported, the_report};
use crate::common::prelude::*;
use crate::common::profile::WORD;

/// Number of blocks of one size after which its class has a slab.
const MANY: usize = 300;

#[case(Checked<Usual>)]
fn a_write_to_any_byte_of_a_freed_block_of_a_slab_is_found_on_reuse<P: CheckedVariant>() {
    for size in [24, 100, 400] {
        let layout = layout(size, 8);
        let mut bench = Bench::<P>::new();
        let blocks: Vec<_> = (0..MANY).map(|_| bench.allocate(layout)).collect();
        let last = blocks[MANY - 1];
        for offset in 2 * WORD..size {
            bench.free(last, layout);
            // SAFETY: memory of the heap; the write is the mistake.
            unsafe { last.add(offset).write(0x41) };
            let others: Vec<_> = core::iter::repeat_with(|| bench.allocate(layout))
                .take_while(|&block| block != last)
                .take(MANY)
                .collect();
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WriteAfterFree, last, addr(last) + offset, 0x41, 0xDF)
            );
            others.into_iter().for_each(|block| bench.free(block, layout));
        }
        bench.assert_serves();
    }
}

#[case(Checked<Usual>, Checked<Plain>)]
fn whoever_writes_to_live_blocks_only_is_not_accused<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    for round in 0..6 {
        for size in [1, 24, 100, 400, 1500] {
            let layout = layout(size, 8);
            let blocks: Vec<_> = (0..MANY).map(|_| bench.allocate(layout)).collect();
            for &block in &blocks {
                // SAFETY: the block has that many bytes.
                unsafe { block.write_bytes(0x42, size) };
            }
            // Blocks that grow into places that were freed.
            let grown: Vec<_> =
                (0..MANY / 2).map(|_| bench.allocate(self::layout(16, 8))).collect();
            for &block in &grown {
                // SAFETY: the block has 16 bytes, and is resized once.
                unsafe {
                    block.write_bytes(0x43, 16);
                    let moved = bench.heap.reallocate(block, self::layout(16, 8), size.max(16));
                    bench.free(moved.expect("memory"), self::layout(size.max(16), 8));
                }
            }
            let is_freed = |index: usize| round % 2 == 0 || !index.is_multiple_of(3);
            let (freed, kept): (Vec<_>, Vec<_>) =
                blocks.into_iter().enumerate().partition(|&(index, _)| is_freed(index));
            freed.into_iter().for_each(|(_, block)| bench.free(block, layout));
            kept.into_iter().rev().for_each(|(_, block)| bench.free(block, layout));
            bench.heap.check().unwrap();
        }
    }
    assert!(reported().is_empty());
}
