//! What becomes smaller does not need memory, whoever's it is.

use std::alloc::Layout;
use std::ptr::NonNull;

use super::blocks::layout;
use super::slots::{TestArenas, arenas, assert_all_is_free, on_slot};
use crate::common::case;
use crate::common::profile::Variant;

/// Everything that the caller can still have, in blocks.
fn all_there_is<P: Variant>(heap: &TestArenas<P>) -> Vec<(NonNull<u8>, Layout)> {
    let sizes =
        [100_000, 10_000, 4_000, 1_000, 300, 100, 48, 32, 16, 8, 1].map(|size| layout(size, 8));
    let take = |layout| {
        // SAFETY: the heap outlives the blocks.
        std::iter::from_fn(move || unsafe { heap.allocate(layout) })
            .map(move |block| (block, layout))
    };
    sizes.into_iter().flat_map(take).collect()
}

/// Another's blocks of each size become blocks of each smaller size, by their layout or by address
/// alone, while there is no memory.
fn becomes_smaller<P: Variant>(align: usize, knows_layout: bool) {
    let sizes =
        [150_000, 60_000, 50_000, 20_000, 5_000, 3_000, 1_500, 1_000, 500, 250, 96, 64, 40, 24, 17];
    for old_size in sizes {
        let new_sizes = sizes.into_iter().chain([8, 1]).filter(|&size| size < old_size);
        for new_size in new_sizes {
            let heap = arenas::<P>(2 << 20, 2);
            let (old, new) = (layout(old_size, align), layout(new_size, align));
            let block = on_slot(0, || {
                // SAFETY: the heap outlives the block.
                let block = unsafe { heap.allocate(old) }.unwrap();
                // SAFETY: a new block of that size.
                unsafe { block.write_bytes(0xA5, old_size) };
                block
            });
            on_slot(1, || {
                let others = all_there_is(&heap);
                let smaller = if knows_layout {
                    // SAFETY: live, with that layout.
                    unsafe { heap.reallocate(block, old, new_size) }
                } else {
                    // SAFETY: live.
                    unsafe { heap.reallocate_by_ptr(block, new) }
                };
                let smaller = smaller.unwrap_or_else(|| {
                    panic!("{old_size} bytes, aligned to {align}, become {new_size}")
                });
                // SAFETY: live, and so long.
                let contents = unsafe { std::slice::from_raw_parts(smaller.as_ptr(), new_size) };
                assert!(contents.iter().all(|byte| *byte == 0xA5));
                // SAFETY: live.
                assert!(unsafe { heap.usable_size(smaller) } >= new_size);
                // SAFETY: live until now.
                others
                    .into_iter()
                    .for_each(|(block, layout)| unsafe { heap.deallocate(block, layout) });
                // SAFETY: as above.
                unsafe { heap.deallocate(smaller, new) };
                // What this slot keeps is not for the other.
                heap.flush();
            });
            // Whoever has it serves blocks of its new size from there.
            on_slot(0, || {
                heap.flush();
                // SAFETY: the heap outlives the block.
                let again = unsafe { heap.allocate(new) }.unwrap();
                // SAFETY: a new block of that size.
                unsafe { again.write_bytes(0x5A, new_size) };
                // SAFETY: live until now.
                unsafe { heap.deallocate(again, new) };
            });
            assert_all_is_free(heap);
        }
    }
}

#[case(Usual, Checked<Usual>)]
fn what_becomes_smaller_needs_no_memory_whoever_has_it<P: Variant>() {
    for align in [16, 32] {
        becomes_smaller::<P>(align, true);
        becomes_smaller::<P>(align, false);
    }
}
