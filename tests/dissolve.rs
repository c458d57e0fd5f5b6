//! A slab of which few blocks are live becomes the cells of those: what is free between them serves
//! other sizes.

use core::alloc::Layout;
use core::ptr::NonNull;

use proptest::prelude::{any, prop};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{Variant, WORD};
use crate::common::property::for_all;
use crate::common::small::{
    SmallBlockHeap, allocate, assert_filled, fill, free, free_all, heap_of, layout, try_allocate,
};

use crate::common::subject::Subject;

const LEN: usize = 1 << 20;

/// Fills a heap with blocks, fills each of them with a byte, and frees all but those for which
/// `stays` holds. Returns the others.
fn survivors<P: Variant>(
    heap: &mut SmallBlockHeap<P>,
    of: Layout,
    stays: impl Fn(usize) -> bool,
) -> Vec<NonNull<u8>> {
    let mut blocks = fill(heap, of);
    blocks.sort_unstable();
    let (kept, freed): (Vec<_>, Vec<_>) =
        blocks.into_iter().enumerate().partition(|(number, _)| stays(*number));
    for (_, block) in &kept {
        // SAFETY: a live block of this length.
        unsafe { block.write_bytes(0x5A, of.size()) };
    }
    free_all(heap, freed.into_iter().map(|(_, block)| block), of);
    kept.into_iter().map(|(_, block)| block).collect()
}

/// Frees blocks that still have their contents, after which the heap is one free cell.
fn end<P: Variant>(heap: &mut SmallBlockHeap<P>, kept: Vec<NonNull<u8>>, of: Layout) {
    for block in kept {
        assert_filled(block, of.size(), 0x5A);
        // SAFETY: the block is live.
        assert!(unsafe { heap.usable_size(block) } >= of.size());
        free(heap, block, of);
        heap.check().unwrap();
    }
    heap.flush();
    heap.assert_one_free_cell_a_region();
}

#[case(Usual)]
fn what_is_free_between_live_blocks_of_slabs_serves_other_sizes<P: Variant>() {
    // A word of the header in front of each block is all that a block costs.
    for size in [16, 64, 256, 1_024, 4_096] {
        // Two fit between two blocks.
        let other = 15 * size / 2 - 40;
        let mut heap = heap_of::<P>(LEN);
        let of = layout(size, 8);
        let kept = survivors(&mut heap, of, |number| number.is_multiple_of(16));
        let others = fill(&mut heap, layout(other, 8));
        heap.check().unwrap();
        let (bytes, freed) = (others.len() * other, LEN - kept.len() * size);
        assert!(bytes * 5 >= freed * 3, "{bytes} of {freed} bytes between blocks of {size}");
        free_all(&mut heap, others, layout(other, 8));
        end(&mut heap, kept, of);
    }
}

/// Between the cells of two live blocks lies the shortest cell that there is.
#[case(Usual)]
fn a_shortest_cell_between_live_blocks_serves<P: Variant>() {
    let mut heap = heap_of::<P>(LEN / 16);
    let (of, other) = (layout(WORD, WORD), layout(3 * WORD, WORD));
    let kept = survivors(&mut heap, of, |number| number.is_multiple_of(8));
    let others = fill(&mut heap, other);
    heap.check().unwrap();
    // Not all slabs are dissolved: a request looks at some.
    assert!(others.len() * 3 > kept.len(), "{} for {}", others.len(), kept.len());
    free_all(&mut heap, others, other);
    end(&mut heap, kept, of);
}

#[case(Usual)]
fn a_slab_with_two_live_blocks_side_by_side_stays<P: Variant>() {
    let mut heap = heap_of::<P>(LEN);
    let of = layout(64, 8);
    let kept = survivors(&mut heap, of, |number| number % 32 < 2);
    let before = heap.stats().slabs;
    assert!(try_allocate(&mut heap, layout(4_000, 8)).is_none());
    heap.check().unwrap();
    assert!(heap.stats().slabs * 10 > before * 9, "{} of {before} slabs", heap.stats().slabs);
    // Its free blocks still serve their class.
    let more = fill(&mut heap, of);
    assert!(more.len() > kept.len() * 10, "{} blocks", more.len());
    free_all(&mut heap, more, of);
    end(&mut heap, kept, of);
}

#[case(Usual)]
fn live_blocks_wherever_they_lie_in_their_slab_keep_their_contents<P: Variant>() {
    let sizes = vec![8, 16, 24, 32, 40, 48, 80, 112, 160, 336, 704, 1_280, 3_072];
    let sizes = prop::sample::select(sizes);
    let inputs = (sizes, 2..40_u32, any::<u64>(), prop::collection::vec(any::<u16>(), 1..1_000));
    for_all::<P, _>(&inputs, |(size, share, seed, others)| {
        let (mut heap, of) = (heap_of::<P>(LEN / 16), layout(*size, 8));
        let hash = |number| (number as u64 ^ seed).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let kept =
            survivors(&mut heap, of, |number| hash(number).is_multiple_of(u64::from(*share)));
        let others = others.iter().map(|other| layout(usize::from(*other) % (3 * size) + 1, 8));
        let others: Vec<_> =
            others.map_while(|of| try_allocate(&mut heap, of).map(|block| (block, of))).collect();
        heap.check().unwrap();
        for (block, of) in others {
            free(&mut heap, block, of);
        }
        end(&mut heap, kept, of);
    });
}

#[case(Usual)]
fn a_heap_whose_sizes_drift_grows_little_beyond_its_live_bytes<P: Variant>() {
    const LIVE: usize = 4 << 20;
    let mut heap = heap_of::<P>(64 << 20);
    let (mut kept, mut live, mut size, mut most) = (Vec::new(), 0, 16_usize, 0);
    while size <= 4_096 {
        let of = layout(size, 16);
        let blocks: Vec<_> = (0..(LIVE - live) / size).map(|_| allocate(&mut heap, of)).collect();
        most = most.max(heap.stats().granted_bytes);
        for (number, block) in blocks.into_iter().enumerate() {
            if number.is_multiple_of(16) {
                kept.push((block, of));
                live += size;
            } else {
                free(&mut heap, block, of);
            }
        }
        heap.check().unwrap();
        size = size * 6 / 5 + 1;
    }
    // With slabs that stay, eight times; with a header in front of every block, 2.3 times.
    assert!(most <= 4 * LIVE, "{most} bytes for {LIVE} at a time");
    for (block, of) in kept {
        free(&mut heap, block, of);
    }
    heap.flush();
    heap.assert_one_free_cell_a_region();
}
