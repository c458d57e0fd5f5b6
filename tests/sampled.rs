//! Sampled blocks: which allocations they are, and what becomes of a misuse of one. An access to a
//! guard page is a fault of this process, whose handler asks the heap, and lets the access pass.

#[path = "sampled/interrupted.rs"]
mod interrupted;
#[path = "sampled/misuse.rs"]
mod misuse;
#[path = "sampled/world.rs"]
mod world;

use std::alloc::{GlobalAlloc, Layout};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use brkalloc::{LockedHeap, SharedHeap};

use self::world::*;
use crate::common::host_only;

host_only!("it needs a handler of page faults");

/// Returns `n` programs' share of sampled allocations, in a thousandth of the expected one.
fn share<H: SharedHeap>(
    heap: &TestHeap<H>,
    n: usize,
    program: impl Fn(&TestHeap<H>) -> usize,
) -> usize {
    let before = heap.sampled();
    let mut allocations = 0;
    while allocations < 400 * n {
        allocations += program(heap);
    }
    (heap.sampled() - before) * n * 1000 / allocations
}

/// Allocates and frees one block after the other.
fn pairs<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    for _ in 0..100 {
        let block = allocate(heap, 40);
        write(block, 39, 1);
        free(heap, block, 40);
    }
    100
}

/// Allocates many blocks of some sizes, and frees them.
fn batches<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    let blocks: Vec<_> =
        (0..500).map(|i| (allocate(heap, 16 + i % 7 * 90), 16 + i % 7 * 90)).collect();
    blocks.iter().for_each(|&(block, size)| write(block, size as isize - 1, 2));
    blocks.iter().for_each(|&(block, size)| free(heap, block, size));
    500
}

/// Allocates and frees blocks of one size, so that the heap has more of them at hand than are
/// allocated until the next one is sampled.
fn lists<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    let blocks: Vec<_> = (0..40).map(|_| allocate(heap, 16)).collect();
    blocks.into_iter().for_each(|block| free(heap, block, 16));
    40
}

/// Allocates longer blocks, which are cells.
fn cells<H: SharedHeap>(heap: &TestHeap<H>) -> usize {
    let sizes = [9_000, 20_000, 5_000];
    let blocks = sizes.map(|size| allocate(heap, size));
    blocks.iter().zip(sizes).for_each(|(&block, size)| free(heap, block, size));
    3
}

#[test]
fn one_allocation_in_n_is_sampled_whatever_the_program_does() {
    // A pool without a place samples nothing, so few blocks are live at a time.
    fn assert_shares<H: SharedHeap + 'static>(heap: impl Fn() -> H) {
        for n in [50, 333] {
            let programs = [pairs::<H>, batches::<H>, cells::<H>];
            for (number, program) in programs.into_iter().enumerate() {
                let heap = sampled(heap(), ProcessPages::default(), n, number);
                let share = share(heap, n as usize, program);
                assert!((850..=1150).contains(&share), "{n} {number}: {share}");
                assert_eq!(heap.live(), 0);
            }
        }
        let heap = sampled(heap(), ProcessPages::default(), 10, 0);
        let share = share(heap, 10, lists);
        assert!((850..=1150).contains(&share), "{share}");
    }
    assert_shares(arenas);
    assert_shares(|| LockedHeap::new(memory()));
}

#[test]
fn each_allocation_is_sampled_if_n_is_1_as_long_as_there_is_a_place() {
    let heap = sampled(arenas(), ProcessPages::default(), 1, 0);
    let blocks: Vec<_> = (0..40).map(|_| allocate(heap, 100)).collect();
    assert_eq!((heap.sampled(), heap.live()), (SLOTS, SLOTS));
    blocks.into_iter().for_each(|block| free(heap, block, 100));
    assert_eq!(heap.live(), 0);
    heap.heap().check().unwrap();
}

#[test]
fn none_is_sampled_if_n_is_0() {
    let heap = sampled(arenas(), ProcessPages::default(), 0, 0);
    (0..20).for_each(|_| _ = batches(heap));
    assert_eq!(heap.sampled(), 0);
}

#[test]
fn a_block_that_is_resized_may_be_sampled() {
    let heap = sampled(arenas(), ProcessPages::default(), 10, 1);
    let mut block = allocate(heap, 16);
    for size in 16..2000 {
        // SAFETY: a live block of that layout.
        block =
            NonNull::new(unsafe { heap.realloc(block.as_ptr(), layout(size), size + 1) }).unwrap();
    }
    assert!(heap.sampled() > 100, "{}", heap.sampled());
    free(heap, block, 2000);
}

#[test]
fn a_provider_that_refuses_costs_no_allocation() {
    for pages in [
        ProcessPages { refuses_addresses: true, ..ProcessPages::default() },
        ProcessPages { refuses_memory: true, ..ProcessPages::default() },
    ] {
        let heap = sampled(arenas(), pages, 2, 0);
        (0..10).for_each(|_| _ = batches(heap) + pairs(heap) + cells(heap));
        assert_eq!(heap.sampled(), 0);
    }
}

#[test]
fn long_and_very_aligned_blocks_are_the_heaps() {
    let heap = sampled(arenas(), ProcessPages::default(), 1, 0);
    for (size, align) in [(8 * PAGE + 1, 16), (100, 2 * PAGE), (200_000, 16)] {
        let layout = Layout::from_size_align(size, align).unwrap();
        for _ in 0..3 {
            // SAFETY: the heap is leaked, and the block is freed once, with its layout.
            unsafe {
                let block = heap.alloc(layout);
                assert!(!block.is_null() && block.addr().is_multiple_of(align));
                heap.dealloc(block, layout);
            }
        }
    }
    assert_eq!(heap.sampled(), 0);
    // The longest ones that are.
    let block = allocate(heap, 8 * PAGE);
    assert_eq!(heap.sampled(), 1);
    free(heap, block, 8 * PAGE);
}

#[test]
fn threads_share_the_pool() {
    static LIVE: AtomicUsize = AtomicUsize::new(0);
    let heap = sampled(LockedHeap::new(memory()), ProcessPages::default(), 4, 0);
    std::thread::scope(|scope| {
        for thread in 1..=4_u8 {
            scope.spawn(move || {
                let mut blocks = Vec::new();
                for step in 0..5_000_usize {
                    let size = 1 + step * 37 % 700;
                    let block = allocate(heap, size);
                    // SAFETY: the block has that many bytes.
                    unsafe { block.write_bytes(thread, size) };
                    blocks.push((block, size));
                    if blocks.len() > 5 {
                        let (block, size) = blocks.swap_remove(step % 5);
                        // SAFETY: as before.
                        let bytes = unsafe { std::slice::from_raw_parts(block.as_ptr(), size) };
                        assert!(bytes.iter().all(|&byte| byte == thread));
                        free(heap, block, size);
                    }
                }
                blocks.into_iter().for_each(|(block, size)| free(heap, block, size));
                LIVE.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!((LIVE.load(Ordering::Relaxed), heap.live()), (4, 0));
    // A thread that finds another one in the pool allocates elsewhere.
    assert!(heap.sampled() > 100, "{}", heap.sampled());
    heap.heap().check().unwrap();
}
