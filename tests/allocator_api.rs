//! Collections of the crate allocator-api2 on a locked heap.

#![cfg(feature = "allocator-api2")]

use core::alloc::Layout;
use core::ptr::NonNull;

use allocator_api2::alloc::Allocator;
use allocator_api2::boxed::Box;
use allocator_api2::vec::Vec;
use brkalloc::{ArenaHeap, Heap, Locked, LockedHeap, NoMap, SimpleHeap, SingleCpu};

use crate::common::case;
use crate::common::profile::Variant;
use crate::common::test_break::TestBreak;

fn locked<P: Variant>(len: usize) -> LockedHeap<TestBreak, NoMap, P> {
    Locked::from_heap(Heap::with_profile(TestBreak::new(len, 0), NoMap))
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn collections_live_in_the_heap_that_they_are_given<P: Variant>() {
    let heap = locked::<P>(1 << 20);
    let boxed = Box::new_in([7_u64; 100], &heap);
    let mut numbers = Vec::new_in(&heap);
    numbers.extend(0..10_000_u64);
    numbers.shrink_to_fit();
    assert_eq!(heap.stats().live_cells, 2);
    let start = boxed.as_ptr().addr();
    assert!(heap.lock().provider().owns(start..start + 800));
    assert_eq!(numbers.iter().sum::<u64>(), 9_999 * 10_000 / 2);
    drop((boxed, numbers));
    assert_eq!(heap.stats().live_cells, 0);
    heap.check().unwrap();
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn out_of_memory_is_an_error<P: Variant>() {
    let heap = locked::<P>(1 << 16);
    assert!(Box::try_new_in([0_u8; 1 << 17], &heap).is_err());
    let mut bytes: Vec<u8, _> = Vec::new_in(&heap);
    assert!(bytes.try_reserve(1 << 17).is_err());
    assert!(bytes.try_reserve(1 << 12).is_ok());
}

/// Every way to resize, on both heaps: contents stay, what is new is zero where that is promised,
/// alignments are met.
fn resizing<A: Allocator>(heap: A) {
    let filled = |block: NonNull<[u8]>, len: usize, byte: u8| {
        // SAFETY: the block is live, and that long.
        unsafe { core::slice::from_raw_parts(block.cast::<u8>().as_ptr(), len) }
            .iter()
            .all(|&found| found == byte)
    };
    let small = layout(100, 8);
    // SAFETY: each block is resized or freed once, with the layout that it was last given.
    unsafe {
        let block = heap.allocate_zeroed(small).unwrap();
        assert!(filled(block, 100, 0));
        block.cast::<u8>().write_bytes(9, 100);
        let wall = heap.allocate(small).unwrap();
        let grown = heap.grow_zeroed(block.cast(), small, layout(3_000, 8)).unwrap();
        assert!(filled(grown, 100, 9));
        assert_eq!(grown.len(), 3_000);
        assert!(
            core::slice::from_raw_parts(grown.cast::<u8>().as_ptr().add(100), 2_900)
                .iter()
                .all(|&byte| byte == 0)
        );
        let aligned = heap.grow(grown.cast(), layout(3_000, 8), layout(5_000, 4_096)).unwrap();
        assert_eq!(aligned.cast::<u8>().addr().get() % 4_096, 0);
        assert!(filled(aligned, 100, 9));
        let shrunk = heap.shrink(aligned.cast(), layout(5_000, 4_096), layout(50, 4_096)).unwrap();
        assert!(filled(shrunk, 50, 9));
        assert!(
            heap.grow(shrunk.cast(), layout(50, 4_096), layout(isize::MAX as usize - 4_095, 4_096))
                .is_err()
        );
        assert!(filled(shrunk, 50, 9), "after an error the block is as it was");
        heap.deallocate(shrunk.cast(), layout(50, 4_096));
        heap.deallocate(wall.cast(), small);
    }
}

#[case(Usual, Plain, Small, Checked<Usual>, Checked<Plain>)]
fn blocks_are_resized_as_promised<P: Variant>() {
    let heap = locked::<P>(1 << 20);
    resizing(&heap);
    assert_eq!(heap.stats().live_cells, 0);
    heap.check().unwrap();
    resizing(&Locked::<_>::from_heap(SimpleHeap::new(TestBreak::new(1 << 20, 0))));
    // SAFETY: one thread uses it.
    let cpu = unsafe { SingleCpu::new() };
    let brk = TestBreak::new(1 << 20, 0);
    resizing(&ArenaHeap::<_, _, _, P>::with_profile(brk, cpu, NoMap));
}
