//! Checked heaps: links of free blocks, and ends of regions, are not followed once they
//! were overwritten.

use core::alloc::Layout;
use core::ptr::NonNull;

use brkalloc::{CellState, MisuseKind, RegionError};

use crate::common::case;
use crate::common::misuse::{
    Bench, CheckedVariant, Kind, TwoRegions, addr, at, layout, misuse, overwrite, read, reported,
    the_report,
};
use crate::common::prelude::*;
use crate::common::profile::WORD;
use crate::common::regions::{PAGE, RegionHeap, allocate, heap};
use crate::common::test_break::Part;

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
    for value in [0, 0xBAD0, usize::MAX, 0x4141_4141] {
        for victim in 0..3 {
            for link in [0, 1] {
                let (mut bench, blocks, layout) = three_in_a_bin::<P>();
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

#[case(Checked<Usual>)]
fn links_of_the_front_cache_are_not_followed_once_overwritten<P: CheckedVariant>() {
    for kind in [Kind::Cached, Kind::SmallCell, Kind::Empty] {
        for value in [0, 0xBAD0, usize::MAX, 0x4141_4141] {
            let mut bench = Bench::<P>::new();
            let (first, layout) = bench.block(kind);
            let second = bench.allocate(layout);
            bench.free(first, layout);
            bench.free(second, layout);
            assert_eq!(read(second, addr(second)), addr(first));
            overwrite(second, addr(second), value);
            let _ = bench.heap.stats();
            let taken = bench.allocate(layout);
            assert_eq!(taken, second);
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WriteAfterFree, second, addr(second), value, addr(first)),
                "{kind:?}"
            );
            assert_ne!(bench.allocate(layout), first, "what was behind is lost");
            bench.free(first, layout);
            assert_eq!(the_report().kind, MisuseKind::DoubleFree);
            bench.free(taken, layout);
            bench.assert_serves();

            // The same when the cache is emptied.
            let (mut bench, mut blocks) = (Bench::<P>::new(), Vec::new());
            let (_, layout) = bench.block(kind);
            blocks.extend((0..4).map(|_| bench.allocate(layout)));
            blocks.iter().for_each(|&block| bench.free(block, layout));
            overwrite(blocks[2], addr(blocks[2]), value);
            bench.heap.flush();
            let expected = misuse(
                MisuseKind::WriteAfterFree,
                blocks[2],
                addr(blocks[2]),
                value,
                addr(blocks[1]),
            );
            assert_eq!(the_report(), expected, "{kind:?}");
            bench.assert_serves();
        }
    }
}

#[case(Checked<Usual>)]
fn links_of_kept_cells_are_not_followed_once_overwritten<P: CheckedVariant>() {
    for value in [0, 0xBAD0, usize::MAX, 0x4141_4141] {
        for flush in [false, true] {
            let mut bench = Bench::<P>::new();
            bench.heap.reserve(900_000).unwrap();
            let (first, layout) = bench.block(Kind::Cell);
            let (second, _) = bench.block(Kind::Cell);
            bench.free(first, layout);
            bench.free(second, layout);
            let was = addr(first) - WORD;
            assert_eq!(read(second, addr(second)), was, "both are kept");
            overwrite(second, addr(second), value);
            let _ = bench.heap.stats();
            if flush {
                bench.heap.flush();
            } else {
                assert_eq!(bench.allocate(layout), second);
            }
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WriteAfterFree, second, addr(second), value, was)
            );
            bench.free(first, layout);
            assert_eq!(the_report().kind, MisuseKind::DoubleFree);
            bench.assert_serves();
        }
    }
}

#[case(Checked<Usual>)]
fn links_of_a_run_are_not_followed_once_overwritten<P: CheckedVariant>() {
    for value in [0_u16, 1, 64, 0xBAD0, u16::MAX] {
        let mut bench = Bench::<P>::new();
        let (block, layout) = bench.block(Kind::Run);
        let (run, _) = bench.run_around(block).unwrap();
        let size = (layout.size() + 2 * WORD).next_multiple_of(8);
        let (behind, victim) = (block, at(block, -(size as isize)));
        assert_eq!(bench.run_around(victim), bench.run_around(behind), "two blocks of one run");
        bench.free(behind, layout);
        bench.free(victim, layout);
        let expected = addr(behind) - run;
        assert_eq!(read(victim, addr(victim)) & 0xFFFF, expected);
        // SAFETY: the free block's first bytes.
        unsafe { victim.cast::<u16>().write(value) };
        assert_eq!(bench.allocate(layout), victim);
        let report = the_report();
        assert_eq!(
            report,
            misuse(MisuseKind::WriteAfterFree, victim, addr(victim), usize::from(value), expected)
        );
        assert_ne!(bench.allocate(layout), behind, "what was behind is lost");
        bench.free(victim, layout);
        bench.assert_serves();
    }
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
