//! The `checked` profile: what a caller may do wrong with a block itself is reported with address,
//! found and expected; and a heap whose hook lets it pass is whole afterwards, and serves on.

#![cfg(feature = "checked")]

#[cfg(test)]
mod common;

use core::ptr::{NonNull, without_provenance_mut};

use brkalloc::{CellState, FixedBreak, LockedHeap, Misuse, MisuseKind};

use crate::common::cases;
use crate::common::lengths::WORD;
use crate::common::misuse::{
    Bench, KINDS, Kind, addr, at, layout, misuse, note_and_ignore, read, reported, the_report,
    words_around,
};
use crate::common::prelude::*;

cases!(
    a_second_free_is_reported,
    a_second_free_is_reported_when_the_place_has_become_something_else,
    a_pointer_that_was_never_allocated_is_reported,
    a_wild_pointer_is_not_read,
    a_wrong_layout_is_reported,
    a_block_may_be_used_as_far_as_was_asked_for,
    a_misused_block_is_not_resized,
    a_locked_heap_in_a_static_asks_its_hook,
    a_report_says_what_was_done,
);

fn a_second_free_is_reported() {
    for kind in KINDS {
        let mut bench = Bench::new();
        let (block, layout) = bench.block(kind);
        let before = words_around(block, layout);
        bench.free(block, layout);
        assert_eq!(reported(), [], "{kind:?}");

        for _ in 0..2 {
            bench.free(block, layout);
            let report = the_report();
            if kind == Kind::Mapped {
                assert_eq!(
                    report,
                    misuse(MisuseKind::DoubleFree, block, addr(block), addr(block), 0)
                );
                continue;
            }
            assert_eq!(
                (report.kind, report.block),
                (MisuseKind::DoubleFree, addr(block)),
                "{kind:?}"
            );
            assert_eq!(
                report.found,
                read(block, report.at),
                "{kind:?}: what is found is what is there"
            );
            let is_alone = !matches!(kind, Kind::Merged | Kind::Last);
            if is_alone {
                assert_eq!(
                    report.expected, before[&report.at],
                    "{kind:?}: what is expected is what was there"
                );
            }
        }
        // SAFETY: the profile sees to it that nothing happens.
        assert_eq!(unsafe { bench.heap.reallocate(block, layout, 10) }, None);
        assert_eq!(the_report().kind, MisuseKind::DoubleFree);
        bench.assert_serves();
    }
}

fn a_second_free_is_reported_when_the_place_has_become_something_else() {
    // A run that is a free cell again.
    let mut bench = Bench::new();
    let small = layout(41, 8);
    let blocks: Vec<_> = (0..1000).map(|_| bench.allocate(small)).collect();
    blocks.iter().for_each(|&block| bench.free(block, small));
    bench.heap.flush();
    assert_eq!(reported(), []);
    assert!(bench.heap.cells().all(|cell| matches!(cell.state, CellState::Free | CellState::Top)));
    for &block in &blocks {
        bench.free(block, small);
        assert_eq!((the_report().kind, addr(block)), (MisuseKind::DoubleFree, addr(block)));
    }
    bench.assert_serves();

    // A cell that lies in a larger block now.
    let mut bench = Bench::plain();
    let half = layout(1000, 8);
    let (first, second) = (bench.allocate(half), bench.allocate(half));
    bench.free(first, half);
    bench.free(second, half);
    let whole = bench.allocate(layout(2000, 8));
    assert_eq!(whole, first);
    bench.free(second, half);
    assert_eq!((the_report().kind, reported()), (MisuseKind::DoubleFree, vec![]));
    bench.free(whole, layout(2000, 8));
    bench.assert_serves();

    // A block that has moved.
    let mut bench = Bench::plain();
    let (block, _wall) = (bench.allocate(half), bench.allocate(half));
    // SAFETY: a live block.
    let moved = unsafe { bench.heap.reallocate(block, half, 5000) }.unwrap();
    assert_ne!(moved, block);
    bench.free(block, half);
    assert_eq!(the_report().kind, MisuseKind::DoubleFree);
    bench.free(moved, layout(5000, 8));
    bench.assert_serves();
}

fn a_pointer_that_was_never_allocated_is_reported() {
    for kind in KINDS {
        let mut bench = Bench::new();
        let (block, layout) = bench.block(kind);
        for offset in [1, 8, WORD as isize, 2 * WORD as isize, -1, -(WORD as isize)] {
            let wild = at(block, offset);
            let is_inside = offset > 0 && kind != Kind::Mapped;
            // SAFETY: live, and that long, with its record.
            unsafe { block.write_bytes(0xC3, layout.size()) };
            bench.free(wild, layout);
            let report = the_report();
            let around = if is_inside { addr(block) } else { report.expected };
            assert_eq!(
                report,
                misuse(MisuseKind::NeverAllocated, wild, addr(wild), addr(wild), around),
                "{kind:?} {offset}"
            );
        }
        bench.free(block, layout);
        bench.assert_serves();
    }

    // The heap's own: a run's header, a block that a run never gave out, the map of runs, the top.
    let mut bench = Bench::new();
    let (block, layout) = bench.block(Kind::Run);
    let (run, _) = bench.run_around(block).unwrap();
    let last = bench
        .heap
        .cells()
        .filter(|cell| matches!(cell.state, CellState::Run { live, total, .. } if live < total))
        .last();
    let last = last.map(|run| run.payload() + 4096 - 2 * 64);
    let internal =
        bench.heap.cells().find(|cell| cell.state == CellState::Internal).unwrap().payload();
    let top = bench.heap.cells().last().unwrap().payload();
    for address in [run + 4096 - 3 * WORD, internal, internal + 2 * WORD, top + 10 * WORD]
        .into_iter()
        .chain(last)
    {
        bench.free(NonNull::new(block.as_ptr().with_addr(address)).unwrap(), layout);
        let report = the_report();
        assert_eq!((report.kind, report.at), (MisuseKind::NeverAllocated, address), "{report}");
    }
    bench.assert_serves();
}

fn a_wild_pointer_is_not_read() {
    let mut bench = Bench::new();
    bench.block(Kind::Mapped);
    let local = 0_usize;
    let wild = [
        1,
        8,
        16,
        4096,
        usize::MAX & !15,
        (usize::MAX / 2) & !15,
        usize::MAX,
        &raw const local as usize,
    ];
    for address in wild {
        for layout in [layout(0, 1), layout(40, 8), layout(3003, 4), layout(1 << 20, 4096)] {
            let wild = NonNull::new(without_provenance_mut::<u8>(address)).unwrap();
            bench.free(wild, layout);
            assert_eq!(the_report(), misuse(MisuseKind::NeverAllocated, wild, address, address, 0));
            // SAFETY: the profile sees to it that nothing happens.
            assert_eq!(unsafe { bench.heap.reallocate(wild, layout, 10) }, None);
            the_report();
            // SAFETY: as above.
            assert_eq!(unsafe { bench.heap.usable_size(wild) }, 0);
        }
    }
    // A heap that never had any memory.
    let mut empty = Bench::plain();
    empty.free(NonNull::from(&local).cast(), layout(8, 8));
    assert_eq!(the_report().kind, MisuseKind::NeverAllocated);
    // A hole is somebody else's.
    let mut bench = Bench::plain();
    let block = bench.allocate(Bench::WALL);
    bench.heap.provider_mut().foreign_up(4096);
    let above = bench.allocate(layout(100_000, 8));
    assert_eq!(bench.heap.stats().holes, 1);
    let hole = bench.heap.cells().find(|cell| cell.state == CellState::Hole).unwrap();
    bench.free(
        at(block, ((hole.address + 5 * WORD - addr(block)) / 16 * 16) as isize),
        layout(8, 8),
    );
    assert_eq!(the_report().kind, MisuseKind::NeverAllocated);
    bench.free(above, layout(100_000, 8));
    bench.free(block, Bench::WALL);
    bench.heap.provider().assert_foreign_untouched();
    bench.assert_serves();
}

fn a_wrong_layout_is_reported() {
    for kind in KINDS {
        let mut bench = Bench::new();
        let (block, right) = bench.block(kind);
        let sizes = [
            right.size() + 1,
            right.size() + 100_000,
            right.size() / 2 + 7,
            right.size().saturating_sub(1),
        ];
        for size in sizes.into_iter().filter(|&size| size != right.size()) {
            bench.free(block, layout(size, right.align()));
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WrongSize, block, addr(block), size, right.size()),
                "{kind:?}"
            );
        }
        for align in [right.align() * 2, 1 << 16] {
            bench.free(block, layout(right.size(), align));
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WrongAlignment, block, addr(block), align, right.align()),
                "{kind:?}"
            );
        }
        bench.free(block, right);
        assert_eq!(reported(), [], "with the right one it goes");
        bench.assert_serves();
    }
}

fn a_block_may_be_used_as_far_as_was_asked_for() {
    for make in [Bench::new as fn() -> Bench, Bench::plain] {
        let mut bench = make();
        for size in [0, 1, 7, 40, 1000, 1024, 1025, 5000, 150_000] {
            let block = bench.allocate(layout(size, 8));
            // SAFETY: a live block.
            assert_eq!(unsafe { bench.heap.usable_size(block) }, size);
            // SAFETY: a live block.
            let block =
                unsafe { bench.heap.reallocate(block, layout(size, 8), size + 77) }.unwrap();
            // SAFETY: a live block.
            assert_eq!(unsafe { bench.heap.usable_size(block) }, size + 77);
            bench.free(block, layout(size + 77, 8));
        }
        let most = layout(isize::MAX as usize, 1);
        // SAFETY: the heap outlives the case.
        assert_eq!(unsafe { bench.heap.allocate(most) }, None);
        bench.heap.reserve(100_000).unwrap();
        // SAFETY: the heap outlives the case.
        assert!(
            // SAFETY: the heap outlives the case.
            unsafe { bench.heap.try_allocate(layout(100_000, 1)) }.is_some(),
            "what was reserved is there"
        );
        assert_eq!(reported(), []);
    }
}

fn a_misused_block_is_not_resized() {
    for kind in KINDS {
        let mut bench = Bench::new();
        let (block, right) = bench.block(kind);
        let wrong = layout(right.size() + 3, right.align());
        // SAFETY: the profile sees to it that nothing happens.
        assert_eq!(unsafe { bench.heap.reallocate(block, wrong, 5) }, None);
        assert_eq!(
            the_report(),
            misuse(MisuseKind::WrongSize, block, addr(block), wrong.size(), right.size())
        );
        // SAFETY: a live block with its layout. What no address space holds changes nothing.
        assert_eq!(
            // SAFETY: a live block with its layout. What no address space holds changes nothing.
            unsafe { bench.heap.reallocate(block, right, isize::MAX as usize - right.align()) },
            None
        );
        assert_eq!(reported(), []);
        bench.free(block, right);
        bench.assert_serves();
    }
}

fn a_locked_heap_in_a_static_asks_its_hook() {
    static mut ARENA: [u8; 1 << 16] = [0; 1 << 16];
    // SAFETY: nobody else names ARENA.
    static HEAP: LockedHeap<FixedBreak> =
        LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 16) });
    HEAP.set_misuse_hook(note_and_ignore);
    reported();
    let right = layout(40, 8);
    // SAFETY: the heap lives for ever.
    let block = unsafe { HEAP.allocate(right) }.unwrap();
    // SAFETY: the profile sees to it that nothing happens.
    unsafe { HEAP.deallocate(block, layout(41, 8)) };
    assert_eq!(the_report(), misuse(MisuseKind::WrongSize, block, addr(block), 41, 40));
    // SAFETY: live, with its layout.
    unsafe { HEAP.deallocate(block, right) };
    assert_eq!(reported(), []);
    HEAP.check().unwrap();
}

fn a_report_says_what_was_done() {
    let text =
        |kind, at, found, expected| Misuse { kind, block: 0x1000, at, found, expected }.to_string();
    for (kind, expected) in [
        (
            MisuseKind::DoubleFree,
            "double free of the block at 0x1000: it is free already (at 0x1040: expected 0x7, found 0x6)",
        ),
        (
            MisuseKind::NeverAllocated,
            "free of 0x1000, which was never allocated: it lies inside the block at 0x7",
        ),
        (
            MisuseKind::WrongSize,
            "wrong layout: the block at 0x1000 was allocated with 7 bytes, and is freed with 6",
        ),
        (
            MisuseKind::WrongAlignment,
            "wrong layout: the block at 0x1000 was allocated with alignment 7, and is freed with 6",
        ),
        (
            MisuseKind::Overflow,
            "overflow: something was written behind the end of the block at 0x1000 (at 0x1040: expected 0x7, found 0x6)",
        ),
        (
            MisuseKind::Header,
            "overflow: the header in front of the block at 0x1000 was overwritten (at 0x1040: expected 0x7, found 0x6)",
        ),
        (
            MisuseKind::WriteAfterFree,
            "write after free: the free block at 0x1000 was written to (at 0x1040: expected 0x7, found 0x6)",
        ),
    ] {
        assert_eq!(text(kind, 0x1040, 6, 7), expected);
    }
    let nowhere = text(MisuseKind::NeverAllocated, 0x1000, 0x1000, 0);
    assert_eq!(
        nowhere,
        "free of 0x1000, which was never allocated: it lies in no block of this heap"
    );
}
