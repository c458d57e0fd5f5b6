//! Checked heaps: what a caller may do wrong with a block itself is reported with address,
//! found and expected; and a heap whose hook lets it pass is whole afterwards, and serves on.

use core::ptr::{NonNull, without_provenance_mut};

use brkalloc::{
    CellInfo, CellState, Checked, FixedBreak, Heap, Locked, LockedHeap, MisuseKind, NoMap,
};

use crate::common::case;
use crate::common::misuse::{
    Bench, CheckedVariant, Kind, NOTHING, addr, at, layout, misuse, note_and_ignore, read,
    reported, the_report, words_around,
};
use crate::common::prelude::*;
use crate::common::profile::WORD;

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_second_free_is_reported<P: CheckedVariant>() {
    for kind in Bench::<P>::kinds() {
        let mut bench = Bench::<P>::new();
        let (block, layout) = bench.block(kind);
        let before = words_around(block, layout);
        bench.free(block, layout);
        assert_eq!(reported(), NOTHING, "{kind:?}");

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
        // SAFETY: a checked heap does nothing if the address is no block.
        assert_eq!(unsafe { bench.heap.reallocate(block, layout, 10) }, None);
        assert_eq!(the_report().kind, MisuseKind::DoubleFree);
        bench.assert_serves();
    }
}

#[case(Checked<Usual>)]
fn a_second_free_is_reported_when_a_slab_has_become_a_free_cell<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let small = layout(41, 8);
    let blocks: Vec<_> = (0..1000).map(|_| bench.allocate(small)).collect();
    blocks.iter().for_each(|&block| bench.free(block, small));
    bench.heap.flush();
    assert_eq!(reported(), NOTHING);
    assert!(bench.heap.cells().all(|cell| matches!(cell.state, CellState::Free | CellState::Top)));
    for &block in &blocks {
        bench.free(block, small);
        assert_eq!((the_report().kind, addr(block)), (MisuseKind::DoubleFree, addr(block)));
    }
    bench.assert_serves();
}

#[case(Checked<Plain>, Checked<Small>)]
fn a_second_free_is_reported_when_the_place_has_become_something_else<P: CheckedVariant>() {
    // A cell that lies in a larger block now.
    let mut bench = Bench::<P>::new();
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
    let mut bench = Bench::<P>::new();
    let (block, _wall) = (bench.allocate(half), bench.allocate(half));
    // SAFETY: a live block.
    let moved = unsafe { bench.heap.reallocate(block, half, 5000) }.unwrap();
    assert_ne!(moved, block);
    bench.free(block, half);
    assert_eq!(the_report().kind, MisuseKind::DoubleFree);
    bench.free(moved, layout(5000, 8));
    bench.assert_serves();
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_pointer_that_was_never_allocated_is_reported<P: CheckedVariant>() {
    for kind in Bench::<P>::kinds() {
        let mut bench = Bench::<P>::new();
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
}

/// What is left behind a slab's last block, blocks that a slab never gave out, the page map, the
/// table of descriptors, the top.
#[case(Checked<Usual>)]
fn a_pointer_to_internal_memory_is_reported<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let layout = layout(1, 1);
    let block = bench.blocks_of_slab(layout)[9];
    let slab =
        bench.heap.cells().find(|cell| cell.payload() == bench.slab_around(block).unwrap().0);
    let slab = slab.unwrap();
    let CellState::Slab { block_size, live, total } = slab.state else { unreachable!() };
    assert!(live < total - 1 && total * block_size < slab.payload_size());
    let (at_hand, last) = (addr(block) + block_size, slab.payload() + (total - 1) * block_size);
    let is_internal = |cell: &CellInfo| cell.state == CellState::Internal;
    let internal: Vec<_> =
        bench.heap.cells().filter(is_internal).map(|cell| cell.payload()).collect();
    assert_eq!(internal.len(), 2);
    let top = bench.heap.cells().last().unwrap().payload();
    for address in
        [at_hand, last, last + block_size, internal[0], internal[1] + 2 * WORD, top + 10 * WORD]
    {
        bench.free(NonNull::new(block.as_ptr().with_addr(address)).unwrap(), layout);
        let report = the_report();
        assert_eq!((report.kind, report.at), (MisuseKind::NeverAllocated, address), "{report}");
    }
    bench.assert_serves();
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_wild_pointer_is_not_read<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
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
            // SAFETY: a checked heap does nothing if the address is no block.
            assert_eq!(unsafe { bench.heap.reallocate(wild, layout, 10) }, None);
            the_report();
            // SAFETY: a checked heap does nothing if the address is no block.
            assert_eq!(unsafe { bench.heap.usable_size(wild) }, 0);
        }
    }
    // A heap that never had any memory.
    let mut empty = Bench::<P>::new();
    empty.free(NonNull::from(&local).cast(), layout(8, 8));
    assert_eq!(the_report().kind, MisuseKind::NeverAllocated);
    // A hole is foreign memory.
    let mut bench = Bench::<P>::new();
    let block = bench.allocate(Bench::<P>::WALL);
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
    bench.free(block, Bench::<P>::WALL);
    bench.heap.provider().assert_foreign_untouched();
    bench.assert_serves();
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_wrong_layout_is_reported<P: CheckedVariant>() {
    for kind in Bench::<P>::kinds() {
        let mut bench = Bench::<P>::new();
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
        let aligns = [right.align() * 2, right.align() / 2, 1 << 16];
        for align in aligns.into_iter().filter(|&align| align > 0) {
            bench.free(block, layout(right.size(), align));
            assert_eq!(
                the_report(),
                misuse(MisuseKind::WrongAlignment, block, addr(block), align, right.align()),
                "{kind:?}"
            );
        }
        bench.free(block, right);
        assert_eq!(reported(), NOTHING, "with the right one it goes");
        bench.assert_serves();
    }
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_block_holds_the_requested_bytes<P: CheckedVariant>() {
    {
        let mut bench = Bench::<P>::new();
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
        assert_eq!(reported(), NOTHING);
    }
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn a_misused_block_is_not_resized<P: CheckedVariant>() {
    for kind in Bench::<P>::kinds() {
        let mut bench = Bench::<P>::new();
        let (block, right) = bench.block(kind);
        let wrong = layout(right.size() + 3, right.align());
        // SAFETY: a checked heap does nothing if the address is no block.
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
        assert_eq!(reported(), NOTHING);
        bench.free(block, right);
        bench.assert_serves();
    }
}

#[case]
fn a_locked_heap_in_a_static_asks_its_hook() {
    static mut ARENA: [u8; 1 << 16] = [0; 1 << 16];
    // SAFETY: no other code names ARENA.
    static HEAP: LockedHeap<FixedBreak, NoMap, Checked> = Locked::from_heap(Heap::with_profile(
        unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 16) },
        NoMap,
    ));
    HEAP.set_misuse_hook(note_and_ignore);
    reported();
    let right = layout(40, 8);
    // SAFETY: the heap lives for ever.
    let block = unsafe { HEAP.allocate(right) }.unwrap();
    // SAFETY: a checked heap does nothing if the address is no block.
    unsafe { HEAP.deallocate(block, layout(41, 8)) };
    assert_eq!(the_report(), misuse(MisuseKind::WrongSize, block, addr(block), 41, 40));
    // SAFETY: live, with its layout.
    unsafe { HEAP.deallocate(block, right) };
    assert_eq!(reported(), NOTHING);
    HEAP.check().unwrap();
}
