//! A heap with nothing live is as good as a fresh one: it grants every request that a fresh heap
//! grants, at the first attempt; and a request that is refused is refused again.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{FixedBreak, Heap, NoMap};
use proptest::prelude::*;

use crate::common::case;
use crate::common::driver::{Request, assert_nothing_fits};
use crate::common::oracle::Oracle;
use crate::common::platform::{Memory, during};
use crate::common::prelude::*;
use crate::common::profile::Variant;
use crate::common::property::for_some;
use crate::common::regions::arena;
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

/// A step of a random program: what to do, with which block, and how large.
type Step = (u8, usize, usize);

/// Random programs of mostly small blocks, and requests after them.
fn programs() -> impl Strategy<Value = (usize, Vec<Step>, usize)> {
    let size = prop_oneof![4 => 1..300_usize, 2 => 1..5_000_usize];
    let steps = prop::collection::vec((0..16_u8, any::<usize>(), size), 1..200);
    (1_000..400_000_usize, steps, any::<usize>())
}

type FixedHeap<P> = Heap<FixedBreak, NoMap, P>;

/// A heap that has all of the memory, and no block.
fn fixed<P: Variant>(memory: &Memory, len: usize) -> FixedHeap<P> {
    // SAFETY: the memory is the heap's alone while it is in use, and outlives it.
    Heap::with_profile(unsafe { FixedBreak::from_raw(memory.base().as_ptr(), len) }, NoMap)
}

/// Returns whether a heap that cannot grow grants so many bytes at the first request. The block is
/// freed.
fn is_granted<P: Variant>(kind: Request, heap: &mut FixedHeap<P>, size: usize) -> bool {
    // SAFETY: the heap outlives the block, which is freed once, with its layout.
    unsafe {
        let block = match kind {
            Request::Allocate => heap.allocate(layout(size)),
            Request::AllocateZeroed => heap.allocate_zeroed(layout(size)),
            Request::Reserve => return heap.reserve(size).is_ok(),
            Request::Reallocate => {
                let Some(block) = heap.allocate(layout(Request::RESIZED)) else { return false };
                let resized = heap.reallocate(block, layout(Request::RESIZED), size);
                if resized.is_none() {
                    heap.deallocate(block, layout(Request::RESIZED));
                }
                resized
            }
        };
        block.inspect(|&block| heap.deallocate(block, layout(size))).is_some()
    }
}

/// Runs the steps, and frees everything.
fn run<P: Variant>(heap: &mut FixedHeap<P>, steps: &[Step]) {
    let mut oracle = Oracle::default();
    for &(action, pick, size) in steps {
        let block = oracle.pick(pick);
        // SAFETY: the heap outlives the blocks; the oracle knows those that are live.
        unsafe {
            match (action, block) {
                (0..6, _) => {
                    let Some(block) = heap.allocate(layout(size)) else {
                        assert_nothing_fits(heap, layout(size));
                        continue;
                    };
                    oracle.add(block, layout(size));
                }
                (6..9, _) => {
                    for _ in 0..1 + pick % 100 {
                        let Some(block) = heap.allocate(layout(size)) else {
                            assert_nothing_fits(heap, layout(size));
                            break;
                        };
                        oracle.add(block, layout(size));
                    }
                }
                (9..12, Some(block)) => {
                    let Some(at) = heap.reallocate(block.at, block.layout, size) else {
                        assert_nothing_fits(heap, layout(size));
                        continue;
                    };
                    oracle.moved(&block, at, layout(size));
                }
                (_, Some(block)) => {
                    oracle.remove(&block);
                    heap.deallocate(block.at, block.layout);
                }
                (_, None) => {}
            }
        }
    }
    let mut pick = steps.len();
    while let Some(block) = oracle.pick(pick) {
        pick = pick.wrapping_mul(31).wrapping_add(7);
        oracle.remove(&block);
        // SAFETY: the oracle knew it as live.
        unsafe { heap.deallocate(block.at, block.layout) };
    }
    assert_eq!(heap.stats().live_cells, 0);
}

#[case(Usual, Plain, Small, Checked<Usual>)]
fn every_request_is_granted_after_any_program_in_a_heap_that_cannot_grow<P: Variant>() {
    for_some(2 * P::RARER, &programs(), |(len, steps, chance)| {
        let memory = arena(*len);
        for kind in Request::ALL {
            let sizes = (0..64).map(|words| len.saturating_sub(words * size_of::<usize>()));
            let most = sizes
                .into_iter()
                .find(|&size| is_granted(kind, &mut fixed::<P>(&memory, *len), size));
            let Some(most) = most else { continue };
            for size in [most, chance % (most + 1), chance % most.min(5_000)] {
                if !is_granted(kind, &mut fixed::<P>(&memory, *len), size) {
                    continue;
                }
                let mut heap = fixed::<P>(&memory, *len);
                run(&mut heap, steps);
                let is_granted = is_granted(kind, &mut heap, size);
                assert!(is_granted, "{kind:?} of {size} bytes of {len}: {}", heap.stats());
                heap.check().unwrap();
            }
        }
    });
}
