//! Checked heaps: what is written behind a block, over its record or over a header is
//! reported at its first byte.

use brkalloc::{MisuseKind, Rule};

use crate::common::case;
use crate::common::misuse::{
    Bench, CheckedVariant, Kind, TwoRegions, addr, at, layout, misuse, overwrite, read, the_report,
};
use crate::common::prelude::*;
use crate::common::profile::WORD;
use crate::common::regions::PAGE;

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn an_overflow_by_one_byte_is_reported<P: CheckedVariant>() {
    for kind in Bench::<P>::kinds() {
        let mut bench = Bench::<P>::new();
        let (block, layout) = bench.block(kind);
        let behind = at(block, layout.size() as isize);
        // SAFETY: behind the block's end, but in the memory that the heap gave to it.
        let was = unsafe { behind.replace(0x00) };
        let live = bench.heap.stats().live_cells;
        bench.free(block, layout);
        let report = the_report();
        assert_eq!((report.kind, report.block), (MisuseKind::Overflow, addr(block)), "{kind:?}");
        // Where the record begins at once, the report is about its first word.
        let is_byte = report.expected == 0xFD;
        assert_eq!(report.at, addr(behind), "{kind:?}");
        assert_eq!(report.found, if is_byte { 0 } else { read(block, addr(behind)) });
        assert_eq!(report.expected & 0xFF, usize::from(was));
        assert_eq!(bench.heap.stats().live_cells, live, "the block is left alone");
        bench.free(block, layout);
        assert_eq!(the_report().kind, MisuseKind::DoubleFree, "and counts as freed");
        bench.assert_serves();
    }
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn an_overflow_over_record_and_header_is_reported_at_its_first_byte<P: CheckedVariant>() {
    let has_header = |kind: &Kind| !matches!(kind, Kind::Empty | Kind::Merged | Kind::Mapped);
    for kind in Bench::<P>::kinds().filter(has_header) {
        let mut bench = Bench::<P>::new();
        let (block, layout) = bench.block(kind);
        // SAFETY: the heap's memory, though not the block's.
        unsafe { block.write_bytes(0x41, layout.size() + 8 * WORD) };
        bench.free(block, layout);
        let report = the_report();
        assert_eq!((report.kind, report.block), (MisuseKind::Overflow, addr(block)), "{kind:?}");
        let first = addr(block) + layout.size();
        assert_eq!((report.at, report.found, report.expected), (first, 0x41, 0xFD), "{kind:?}");
    }
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn an_overwritten_header_is_reported<P: CheckedVariant>() {
    for kind in [Kind::Cell, Kind::OverAligned] {
        let mut bench = Bench::<P>::new();
        let (block, layout) = bench.block(kind);
        let header = addr(block) - WORD;
        let was = read(block, header);
        // The third is the smallest cell, which is too short for a block and its record.
        let mut wrong =
            vec![(0, None), (usize::MAX, None), (4 * WORD + 3, None), (64 * WORD + 3, None)];
        if usize::BITS == 64 {
            wrong.push((was ^ (1 << 60), Some(was)));
            wrong.push((was ^ (1 << 49), Some(was)));
        }
        for (value, expected) in wrong {
            overwrite(block, header, value);
            bench.free(block, layout);
            let report = the_report();
            if usize::BITS == 32 && value == 64 * WORD + 3 {
                // A possible size: what gives it away is that there is no record at that end.
                assert!(matches!(report.kind, MisuseKind::Overflow | MisuseKind::Header));
                continue;
            }
            assert_eq!(
                (report.kind, report.block, report.at),
                (MisuseKind::Header, addr(block), header),
                "{value:#x}"
            );
            assert!(expected.is_none_or(
                |expected| report == misuse(MisuseKind::Header, block, header, value, expected)
            ));
        }
        overwrite(block, header, was);
        bench.free(block, layout);
        bench.assert_serves();
    }
}

#[case(Checked<Plain>, Checked<Small>)]
fn an_overwritten_header_behind_is_reported<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let layout = layout(1000, 8);
    let (first, second, _wall) =
        (bench.allocate(layout), bench.allocate(layout), bench.allocate(layout));
    let header = addr(second) - WORD;
    let was = read(first, header);
    for value in [0, usize::MAX, was & !2] {
        overwrite(first, header, value);
        bench.free(first, layout);
        let report = the_report();
        assert_eq!(
            (report.kind, report.block, report.at),
            (MisuseKind::Header, addr(second), header),
            "{value:#x}"
        );
    }
    overwrite(first, header, was);
    bench.free(second, layout);
    bench.free(first, layout);
    bench.assert_serves();
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn an_overwritten_word_in_front_of_a_mapped_block_is_reported<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let (older, layout) = bench.block(Kind::Mapped);
    let (block, _) = bench.block(Kind::Mapped);
    for (word, shown) in [(1, 1), (2, 2), (3, 2), (4, 1)] {
        let at = addr(block) - word * WORD;
        let was = read(block, at);
        overwrite(block, at, was ^ 0x41 << 8);
        assert!(bench.heap.check().is_err(), "{word}");
        // A look-up of the older block leads past this one.
        for freed in [block, older] {
            bench.free(freed, layout);
            let report = the_report();
            assert_eq!((report.kind, report.block), (MisuseKind::Header, addr(block)), "{word}");
            assert_eq!(report.at, addr(block) - shown * WORD, "{word}");
        }
        overwrite(block, at, was);
        bench.heap.check().unwrap();
    }
    assert!(P::verify(&mut bench.heap, older, layout) && P::verify(&mut bench.heap, block, layout));
    assert!(!P::verify(&mut bench.heap, at(block, 16), layout));
    assert_eq!(the_report().kind, MisuseKind::NeverAllocated);
    bench.free(older, layout);
    bench.free(block, layout);
    bench.assert_serves();
}

#[case(Checked<Usual>, Checked<Plain>, Checked<Small>)]
fn an_overwritten_header_of_the_top_is_reported_before_it_is_used<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let layout = layout(3000, 8);
    let last = bench.allocate(layout);
    let top = bench.heap.cells().last().expect("the top follows the last block").payload() - WORD;
    let was = read(last, top);
    for value in [0, 0x4343, was ^ 1, usize::MAX] {
        overwrite(last, top, value);
        // SAFETY: the heap outlives the block, of which there is none.
        assert_eq!(unsafe { bench.heap.allocate(layout) }, None);
        let report = the_report();
        assert_eq!((report.kind, report.at, report.found), (MisuseKind::Header, top, value));
    }
    overwrite(last, top, was);
    bench.free(last, layout);
    bench.assert_serves();
}

#[case(Checked<Plain>, Checked<Small>)]
fn check_finds_overflows_and_headers<P: CheckedVariant>() {
    let mut bench = Bench::<P>::new();
    let (block, layout) = bench.block(Kind::Cell);
    let behind = at(block, layout.size() as isize);
    // SAFETY: behind the block's end, but in the memory that the heap gave to it.
    unsafe { behind.write(7) };
    let found = bench.heap.check().unwrap_err();
    assert_eq!(
        (found.rule, found.at, found.expected, found.found),
        (Rule::Record, addr(behind), 0xFD, 7)
    );
    // SAFETY: the byte is part of the block's record.
    unsafe { behind.write(0xFD) };
    bench.heap.check().unwrap();
    if usize::BITS == 64 {
        let header = addr(block) - WORD;
        let was = read(block, header);
        overwrite(block, header, was ^ (1 << 60));
        let found = bench.heap.check().unwrap_err();
        assert_eq!(
            (found.rule, found.at, found.expected, found.found),
            (Rule::CheckBits, header, was, was ^ (1 << 60))
        );
    }
}

#[case(Checked<Plain>, Checked<Small>)]
fn misuse_is_found_in_every_region<P: CheckedVariant>() {
    let mut regions = TwoRegions::<P>::new();
    let memory = regions.memory();
    let heap = &mut regions.heap;
    let layout = layout(3000, 8);
    for _ in 0..2 {
        // SAFETY: the heap outlives the case.
        let block = unsafe { heap.allocate(layout) }.expect("a region each");
        // SAFETY: the block is followed by its record, which is the heap's.
        let behind = unsafe { block.add(3000) };
        // SAFETY: the byte is part of the block's record.
        let was = unsafe { behind.replace(7) };
        assert_eq!(heap.check().unwrap_err().rule, Rule::Record);
        // SAFETY: the byte is part of the block's record.
        unsafe { behind.write(was) };
        heap.check().unwrap();
        for _ in 0..2 {
            // SAFETY: the second time a checked heap does nothing then.
            unsafe { heap.deallocate(block, layout) };
        }
        assert_eq!(the_report().kind, MisuseKind::DoubleFree);
        // SAFETY: the heap outlives the case. It stays in use, so that the next block is in the
        // other region.
        let again = unsafe { heap.allocate(layout) };
        assert_eq!(again, Some(block));
    }
    for place in [PAGE, PAGE + 64, 2 * PAGE - 16] {
        // SAFETY: inside the three pages.
        let between = unsafe { memory.add(place) };
        // SAFETY: a checked heap does nothing then.
        unsafe { heap.deallocate(between, layout) };
        assert_eq!(
            the_report(),
            misuse(MisuseKind::NeverAllocated, between, addr(between), addr(between), 0)
        );
    }
    heap.check().unwrap();
}
