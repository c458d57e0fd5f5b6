//! A heap with nothing live is as good as a fresh one: it grants every request that a fresh heap
//! grants, at the first attempt; and a request that is refused is refused again.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{Heap, NoMap};

use crate::common::case;
use crate::common::driver::Request;
use crate::common::platform::during;
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;

type TestHeap<P> = Heap<TestBreak, NoMap, P>;

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).unwrap()
}

fn heap<P: Variant>(len: usize) -> TestHeap<P> {
    Heap::with_profile(TestBreak::new(len, 0), NoMap)
}

/// Blocks of these sizes come, one by one, and go in the same order.
fn come_and_go<P: Variant>(heap: &mut TestHeap<P>, sizes: &[usize]) {
    let allocate = |&size: &usize| {
        // SAFETY: the heap outlives the block: the caller keeps the heap, and the loop below frees
        // the block.
        unsafe { heap.allocate(layout(size)) }.expect("there is enough")
    };
    let blocks: Vec<NonNull<u8>> = sizes.iter().map(allocate).collect();
    for (block, &size) in blocks.into_iter().zip(sizes) {
        // SAFETY: the block is live, and has this layout.
        unsafe { heap.deallocate(block, layout(size)) };
    }
    assert_eq!(heap.stats().live_cells, 0);
}

/// Allocates blocks of one size until the heap refuses one.
fn fill<P: Variant>(heap: &mut TestHeap<P>, size: usize) -> Vec<NonNull<u8>> {
    // SAFETY: the heap outlives the block: the caller keeps the heap while it uses the blocks.
    core::iter::from_fn(|| unsafe { heap.allocate(layout(size)) }).collect()
}

/// Every way to ask for these sizes is answered as a fresh heap of `len` bytes answers, whatever
/// came and went before.
fn as_a_fresh_heap<P: Variant>(len: usize, before: &[usize], sizes: &[usize]) {
    for kind in Request::ALL {
        for &size in sizes {
            during(&(kind, size, before.first(), before.len()), || {
                let is_granted_fresh = kind.is_granted(&mut heap::<P>(len), size);
                let mut used = heap::<P>(len);
                come_and_go(&mut used, before);
                assert_eq!(kind.is_granted(&mut used, size), is_granted_fresh);
                used.check().unwrap();
                assert_eq!(used.stats().live_cells, 0);
            });
        }
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_large_request_is_granted_after_blocks_that_came_and_went<P: Variant>() {
    const LEN: usize = 100 << 10;
    let sizes = [LEN - 64, 100_000, 90_000, 70_000, 66_000, 60_000, 33_000, 1_000];
    for before in [
        [60_000, 64].as_slice(),
        &[64, 60_000],
        &[24, 24, 24, 50_000, 1_500, 1_500, 24],
        &[1_100, 1_200, 1_300, 30_000, 30_000],
        &[99_000],
    ] {
        as_a_fresh_heap::<P>(LEN, before, &sizes);
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_large_request_is_granted_after_many_small_blocks_came_and_went<P: Variant>() {
    const LEN: usize = 1 << 20;
    let sizes = [LEN - 100, 975 << 10, 900 << 10, 700 << 10, 400 << 10];
    for small in [24, 100, 700, 1_000, 1_500, 4_000] {
        as_a_fresh_heap::<P>(LEN, &vec![small; 300_000 / small], &sizes);
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_refused_request_is_refused_again<P: Variant>() {
    for size in [24, 100, 1_000, 3_000] {
        let mut heap = heap::<P>(64 << 10);
        for (index, block) in fill(&mut heap, size).into_iter().enumerate() {
            if index % 2 == 0 {
                // SAFETY: the block is live, and has this layout.
                unsafe { heap.deallocate(block, layout(size)) };
            }
        }
        for kind in Request::ALL {
            for wanted in [size + 1, 2 * size, 20_000, 40_000, 64 << 10] {
                let answers = [(); 2].map(|()| kind.is_granted(&mut heap, wanted));
                assert_ne!(answers, [false, true], "{kind:?} of {wanted} bytes beside {size}");
            }
        }
        heap.check().unwrap();
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_full_heap_of_any_length_is_empty_again<P: Variant>() {
    for len in [100_usize, 1_000, 4_096, 5_000, 24 << 10, 100 << 10] {
        let most =
            (0..len).rev().find(|&size| Request::Allocate.is_granted(&mut heap::<P>(len), size));
        for size in [16, 64, 600, 2_000] {
            let mut heap = heap::<P>(len);
            for block in fill(&mut heap, size) {
                // SAFETY: the block is live, and has this layout.
                unsafe { heap.deallocate(block, layout(size)) };
            }
            let is_granted = most.is_none_or(|most| Request::Allocate.is_granted(&mut heap, most));
            assert!(is_granted, "{most:?} bytes of {len} after blocks of {size}");
        }
    }
}
