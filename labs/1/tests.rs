//! Lab 1: first fit, split and free list. No test depends on coalescing, which is lab 2.

use core::alloc::Layout;

use proptest::prelude::*;

use super::small_heap::*;
use crate::common::case;
use crate::common::oracle::Oracle;
use crate::common::prelude::*;
use crate::common::property::for_some;
use crate::common::subject::Subject;

#[case]
fn a_block_is_split_off_the_free_cell() {
    let mut heap = heap(1);
    let (first, second) = (malloc(&mut heap, 3), malloc(&mut heap, 1));
    assert_eq!(second.addr().get() - first.addr().get(), 4 * UNIT, "a header lies between");
    assert_eq!(sizes(&heap), [PAGE - 1 - 4 - 2], "the rest is one free cell");
}

#[case]
fn the_first_cell_that_fits_is_taken() {
    let mut heap = heap(1);
    let [long, short] = apart(&mut heap, [5, 3]);
    free(&mut heap, short, 3);
    free(&mut heap, long, 5);
    assert_eq!(malloc(&mut heap, 3), long, "the first one, though the second fits better");
    let rest = PAGE - 1 - 6 - 2 - 4 - 2;
    assert_eq!(sizes(&heap), [2, 4, rest]);
}

#[case]
fn a_cell_that_is_too_small_is_passed_over() {
    let mut heap = heap(1);
    let [small, large] = apart(&mut heap, [3, 6]);
    free(&mut heap, small, 3);
    free(&mut heap, large, 6);
    assert_eq!(malloc(&mut heap, 4), large);
    assert_eq!(malloc(&mut heap, 3), small);
}

#[case]
fn free_cells_are_listed_in_the_order_of_addresses() {
    let mut heap = heap(1);
    let blocks = apart(&mut heap, [1, 2, 3, 4]);
    for index in [2, 0, 3, 1] {
        free(&mut heap, blocks[index], index + 1);
    }
    let rest = PAGE - 1 - (2 + 3 + 4 + 5) - 4 * 2;
    assert_eq!(sizes(&heap), [2, 3, 4, 5, rest]);
    let addresses: Vec<_> = heap.free_cells().map(|(address, _)| address).collect();
    assert!(addresses.is_sorted(), "{addresses:x?}");
}

#[case]
fn freed_memory_is_searched_before_the_break_is_asked() {
    let mut heap = heap(8);
    let [block] = apart(&mut heap, [100]);
    free(&mut heap, block, 100);
    let asked = heap.provider().asked;
    assert_eq!(malloc(&mut heap, 50), block);
    assert_eq!(heap.provider().asked, asked, "a free cell was large enough");
    malloc(&mut heap, PAGE);
    assert_eq!(heap.provider().asked, asked + 1, "no free cell was large enough");
}

#[case]
fn an_exact_fit_leaves_no_cell() {
    let mut heap = heap(1);
    let [block] = apart(&mut heap, [3]);
    free(&mut heap, block, 3);
    assert_eq!(malloc(&mut heap, 3), block);
    assert_eq!(sizes(&heap), [PAGE - 1 - 4 - 2]);
    let rest = PAGE - 1 - 4 - 2 - 1;
    malloc(&mut heap, rest);
    assert_eq!(sizes(&heap), [], "the heap is full to the last unit");
    assert_eq!(try_malloc(&mut heap, 1), None);
}

#[case]
fn a_rest_of_one_unit_stays_on_the_list() {
    let mut heap = heap(1);
    let [block] = apart(&mut heap, [3]);
    free(&mut heap, block, 3);
    assert_eq!(malloc(&mut heap, 2), block);
    assert_eq!(sizes(&heap), [1, PAGE - 1 - 4 - 2], "a header without a payload, then the rest");
}

#[case]
fn what_lies_in_front_of_an_aligned_block_stays_free() {
    let mut heap = heap(1);
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(Layout::from_size_align(UNIT, 512).unwrap()) };
    let block = block.expect("a page has room for it");
    assert!(block.addr().get().is_multiple_of(512), "{block:?} is not aligned");
    let free: usize = sizes(&heap).iter().sum();
    assert_eq!(free, PAGE - 1 - 2, "one cell of two units is used, in {:?}", sizes(&heap));
    assert!(sizes(&heap).len() == 2, "one in front, one behind: {:?}", sizes(&heap));
}

#[case]
fn a_request_that_is_refused_changes_nothing() {
    let mut heap = heap(1);
    let [block] = apart(&mut heap, [3]);
    free(&mut heap, block, 3);
    let before: Vec<_> = heap.free_cells().collect();
    for bytes in [4096, isize::MAX as usize - 4096] {
        // SAFETY: the heap outlives the case.
        let block = unsafe { heap.allocate(Layout::from_size_align(bytes, 1).unwrap()) };
        assert_eq!(block, None, "{bytes} bytes");
    }
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(Layout::from_size_align(1, 1 << 40).unwrap()) };
    assert_eq!(block, None, "aligned to 1 TiB");
    assert_eq!(heap.free_cells().collect::<Vec<_>>(), before);
}

#[case]
fn blocks_do_not_overlap_and_keep_their_bytes() {
    let step = (0..600_usize, 0..7_u32, any::<Option<usize>>());
    for_some(2, &prop::collection::vec(step, 1..150), |steps| {
        let (mut heap, mut oracle) = (heap(16), Oracle::default());
        for &(size, log, freed) in steps {
            let layout = Layout::from_size_align(size, 1 << log).unwrap();
            // SAFETY: the heap outlives the case.
            if let Some(at) = unsafe { heap.allocate(layout) } {
                let block = oracle.add(at, layout);
                assert!(heap.provider().owns(block.range()), "{block:?} was not granted");
            }
            if let Some(block) = freed.and_then(|freed| oracle.pick(freed)) {
                oracle.remove(&block);
                // SAFETY: the oracle knows it as live, with this layout.
                unsafe { heap.deallocate(block.at, block.layout) };
            }
            let cells: Vec<_> = heap.free_cells().collect();
            let is_apart = |pair: &[(usize, usize)]| pair[0].0 + pair[0].1 <= pair[1].0;
            assert!(cells.windows(2).all(is_apart), "out of order, or overlapping: {cells:x?}");
        }
        oracle.assert_all_filled();
        heap.brk().assert_foreign_untouched();
    });
}
