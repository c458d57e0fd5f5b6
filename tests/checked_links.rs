//! Checked heaps: links of free blocks, and ends of regions, are not followed once they
//! were overwritten.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellState, MisuseKind, RegionError};

use crate::common::case;
use crate::common::misuse::{
    Bench, CheckedVariant, TwoRegions, addr, at, layout, misuse, overwrite, read, reported,
    the_report,
};
use crate::common::prelude::*;
use crate::common::profile::WORD;
use crate::common::regions::{PAGE, RegionHeap, allocate, heap};
use crate::common::test_break::Part;

/// The links of a free cell, in this order.
const NEXT: usize = 0;
const PREV: usize = 1;

/// A heap with three free cells of one bin, the last freed first.
fn three_in_a_bin<P: CheckedVariant>() -> (Bench<P>, [NonNull<u8>; 3], Layout) {
    let mut bench = Bench::<P>::new();
    let layout = layout(1000, 8);
    let blocks = [(); 3].map(|()| {
        let block = bench.allocate(layout);
        bench.allocate(Bench::<P>::WALL);
        block
    });
    blocks.iter().rev().for_each(|&block| bench.free(block, layout));
    bench.heap.check().unwrap();
    (bench, blocks, layout)
}

#[case(Checked<Plain>, Checked<Small>)]
fn links_of_a_bin_are_not_followed_once_overwritten<P: CheckedVariant>() {
    let cell = |block: NonNull<u8>| addr(block) - WORD;
    for wild in [Some(0), Some(0xBAD0), Some(usize::MAX), Some(0x4141_4141), None] {
        for victim in 0..3 {
            for link in [0, 1] {
                let (mut bench, blocks, layout) = three_in_a_bin::<P>();
                // The last one leads into the heap, but to where no cell can begin.
                let value = wild.unwrap_or(cell(blocks[victim]) + WORD / 2);
                let place = addr(blocks[victim]) + link * WORD;
                let was = read(blocks[0], place);
                let neighbour =
                    if link == 0 { victim.checked_add(1) } else { victim.checked_sub(1) };
                let neighbour =
                    neighbour.and_then(|index| blocks.get(index)).map_or(0, |&block| cell(block));
                assert_eq!(was, neighbour);
                if was == value {
                    continue;
                }
                overwrite(blocks[0], place, value);
                let taken = bench.allocate(layout);
                assert!(blocks.contains(&taken));
                assert_eq!(
                    the_report(),
                    misuse(MisuseKind::WriteAfterFree, blocks[victim], place, value, was)
                );
                bench.free(taken, layout);
                bench.assert_serves();
            }
        }
    }

    // A cell that is merged: its neighbour is taken out of the middle of the list.
    let (mut bench, blocks, _) = three_in_a_bin::<P>();
    let wall =
        NonNull::new(blocks[1].as_ptr().with_addr(bench.heap.cells().nth(3).unwrap().payload()))
            .unwrap();
    assert!(addr(wall) > addr(blocks[1]));
    let place = addr(blocks[1]);
    let was = read(blocks[1], place);
    overwrite(blocks[1], place, 0x1234);
    bench.free(wall, Bench::<P>::WALL);
    assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, blocks[1], place, 0x1234, was));
    bench.assert_serves();

    // It is linked from both sides.
    for (victim, link, value) in [(1, PREV, 0), (0, NEXT, 2)] {
        let (mut bench, blocks, _) = three_in_a_bin::<P>();
        let wall = bench.heap.cells().nth(3).unwrap().payload();
        let place = addr(blocks[victim]) + link * WORD;
        let (was, value) =
            (read(blocks[0], place), if value == 0 { 0 } else { cell(blocks[value]) });
        overwrite(blocks[0], place, value);
        let wall = NonNull::new(blocks[1].as_ptr().with_addr(wall)).unwrap();
        bench.free(wall, Bench::<P>::WALL);
        assert_eq!(
            the_report(),
            misuse(MisuseKind::WriteAfterFree, blocks[victim], place, value, was)
        );
        bench.assert_serves();
    }
}

#[case(Checked<Plain>, Checked<Small>)]
fn the_size_at_the_end_of_a_free_cell_is_compared<P: CheckedVariant>() {
    let (mut bench, blocks, layout) = three_in_a_bin::<P>();
    let cell = bench.heap.cells().nth(2).unwrap();
    assert_eq!(cell.payload(), addr(blocks[1]));
    let (end, wall) = (cell.address + cell.size - WORD, bench.heap.cells().nth(3).unwrap());
    overwrite(blocks[1], end, 99);
    bench.free(
        NonNull::new(blocks[1].as_ptr().with_addr(wall.payload())).unwrap(),
        Bench::<P>::WALL,
    );
    assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, blocks[1], end, 99, cell.size));
    let again = bench.allocate(layout);
    bench.free(again, layout);
    bench.assert_serves();
}

/// Wrong links: none, one into memory that is not mapped, one that cannot be an address.
const WRONG: [usize; 4] = [0, 0xBAD0, usize::MAX, 0x4141_4141];

/// Blocks at hand: those of a slab that come next.
#[case(Checked<Usual>)]
fn links_of_blocks_at_hand_are_not_followed_once_overwritten<P: CheckedVariant>() {
    for value in WRONG {
        for flush in [false, true] {
            let mut bench = Bench::<P>::new();
            let layout = layout(41, 8);
            let blocks = bench.blocks_of_slab(layout);
            let size = addr(blocks[1]) - addr(blocks[0]);
            let [next, behind] = [1, 2].map(|n| at(blocks[9], (n * size) as isize));
            assert_eq!(read(next, addr(next)), addr(behind));
            overwrite(next, addr(next), value);
            let _ = (bench.heap.stats(), bench.heap.cells().count());
            let expected =
                misuse(MisuseKind::WriteAfterFree, next, addr(next), value, addr(behind));
            if flush {
                bench.heap.flush();
                assert_eq!(the_report(), expected);
            } else {
                assert_eq!(bench.allocate(layout), next);
                assert_eq!(the_report(), expected);
                assert_ne!(bench.allocate(layout), behind, "what was behind is lost");
                bench.free(next, layout);
            }
            bench.assert_serves();
        }
    }
}

/// Freed blocks: those of a slab that come when none is at hand.
#[case(Checked<Usual>)]
fn links_of_freed_blocks_are_not_followed_once_overwritten<P: CheckedVariant>() {
    for value in WRONG {
        for victim in 0..3 {
            let mut bench = Bench::<P>::new();
            let layout = layout(41, 8);
            let [.., first, second, third] = bench.blocks_of_slab(layout);
            let freed = [third, second, first];
            freed.iter().rev().for_each(|&block| bench.free(block, layout));
            let victim_block = freed[victim];
            let behind = freed.get(victim + 1).map_or(0, |&block| addr(block));
            assert_eq!(read(victim_block, addr(victim_block)), behind);
            if behind == value {
                continue;
            }
            overwrite(victim_block, addr(victim_block), value);
            let _ = (bench.heap.stats(), bench.heap.cells().count());
            let taken: Vec<_> = (0..200).map(|_| bench.allocate(layout)).collect();
            let reported = reported();
            assert_eq!(reported.len(), 1, "{reported:x?}");
            let at = addr(victim_block);
            assert_eq!(
                reported[0],
                misuse(MisuseKind::WriteAfterFree, victim_block, at, value, behind)
            );
            let again = freed.map(|block| taken.contains(&block));
            assert_eq!(again, [0, 1, 2].map(|index| index <= victim), "what was behind is lost");
            for block in freed[victim + 1..].iter() {
                bench.free(*block, layout);
                assert_eq!(the_report().kind, MisuseKind::DoubleFree);
            }
            taken.into_iter().for_each(|block| bench.free(block, layout));
            bench.assert_serves();
        }
    }
}

/// A slab that becomes a free cell takes its links along.
#[case(Checked<Usual>)]
fn links_of_a_slab_that_is_released_are_not_followed<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let layout = layout(41, 8);
    let mut blocks: Vec<_> = (0..500).map(|_| bench.allocate(layout)).collect();
    let is_in_slab = |block: &NonNull<u8>| bench.slab_around(*block).is_some();
    let victim = *blocks.iter().find(|block| is_in_slab(block)).unwrap();
    assert!(bench.heap.stats().slabs > 1);
    bench.free(victim, layout);
    overwrite(victim, addr(victim), 0xBAD0);
    blocks.retain(|block| *block != victim);
    blocks.into_iter().for_each(|block| bench.free(block, layout));
    bench.assert_serves();
    assert_eq!(bench.heap.stats().slabs, 0);
}

#[case(Checked<Plain>, Checked<Small>)]
fn ends_of_regions_are_not_joined_once_overwritten<P: CheckedVariant>() {
    for value in [0xBAD0, usize::MAX, 0x4141_4141] {
        // A link of the free cell below, and of the one above.
        for cell in [0, 2] {
            let mut regions = TwoRegions::<P>::new();
            let memory = regions.memory();
            let block = NonNull::new(
                memory.as_ptr().with_addr(regions.heap.cells().nth(cell).unwrap().payload()),
            )
            .unwrap();
            overwrite(block, addr(block), value);
            assert!(regions.add_page(1).is_ok());
            assert_eq!(the_report().kind, MisuseKind::WriteAfterFree);
            regions.heap.check().unwrap();
            assert_eq!(regions.heap.stats().free_cells, 1);
        }
        // The fencepost between them, and the head of the one above.
        for distance in [0, PAGE + WORD] {
            let mut regions = TwoRegions::<P>::new();
            let memory = regions.memory();
            let fencepost = regions.heap.cells().nth(1).unwrap();
            assert_eq!(fencepost.state, CellState::Hole);
            let place = fencepost.address + distance;
            let was = read(memory, place);
            overwrite(memory, place, value);
            assert_eq!(regions.add_page(1), Err(RegionError::Overwritten));
            let report = the_report();
            assert_eq!((report.kind, report.at), (MisuseKind::Header, place));
            overwrite(memory, place, was);
            assert!(regions.add_page(1).is_ok());
            regions.heap.check().unwrap();
            assert_eq!(regions.heap.stats().free_cells, 1);
        }
    }
}

#[case(Checked<Plain>, Checked<Small>)]
fn a_fencepost_that_leads_into_a_hole_is_reported<P: CheckedVariant>() {
    let mut heap = heap::<P>();
    P::note_misuses(&mut heap);
    reported();
    let memory = allocate(&mut heap, 100);
    heap.provider_mut().foreign_up(PAGE);
    allocate(&mut heap, PAGE);
    let hole = heap.cells().find(|cell| cell.state == CellState::Hole).expect("two regions");
    let right = read(memory, hole.address);
    let wrong = right - hole.size + 4 * WORD;
    let (base, len) = heap.provider_mut().hand_over(1, Part::Whole, 0).unwrap();
    // SAFETY: the memory between the regions was handed over to the heap.
    let add = |heap: &mut RegionHeap<P>| unsafe { heap.add_region(base, len) };
    overwrite(memory, hole.address, wrong);
    assert_eq!(add(&mut heap), Err(RegionError::Overwritten));
    let block =
        NonNull::new(memory.as_ptr().with_addr(hole.payload())).expect("a place in the heap");
    assert_eq!(the_report(), misuse(MisuseKind::Header, block, hole.address, wrong, right));
    overwrite(memory, hole.address, right);
    add(&mut heap).unwrap();
    heap.check().unwrap();
}
