//! The `checked` profile: each misuse of each kind of block is reported with address, found and expected; and a heap whose hook lets it
//! pass is whole afterwards, and serves on.

#[cfg(test)]
mod common;

use core::alloc::Layout;
use core::cell::RefCell;
use core::ptr::{NonNull, without_provenance_mut};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use brkalloc::{CellState, Decision, FixedBreak, Heap, LockedHeap, Misuse, MisuseKind, RegionError, Rule};
use proptest::prelude::*;

use crate::common::cases;
use crate::common::oracle::Oracle;
use crate::common::platform::properties;
use crate::common::test_break::TestBreak;
use crate::common::test_map::TestMap;

cases!(
    a_second_free_is_reported,
    a_second_free_is_reported_when_the_place_has_become_something_else,
    a_pointer_that_was_never_allocated_is_reported,
    a_wild_pointer_is_not_read,
    a_wrong_layout_is_reported,
    an_overflow_by_one_byte_is_reported,
    an_overflow_over_record_and_header_is_reported_at_its_first_byte,
    an_overwritten_header_is_reported,
    an_overwritten_header_behind_is_reported,
    check_finds_overflows_and_headers,
    links_of_a_bin_are_not_followed_once_overwritten,
    the_size_at_the_end_of_a_free_cell_is_compared,
    misuse_is_found_in_every_region,
    ends_of_regions_are_not_joined_once_overwritten,
    links_of_the_front_cache_are_not_followed_once_overwritten,
    links_of_kept_cells_are_not_followed_once_overwritten,
    links_of_a_run_are_not_followed_once_overwritten,
    a_block_may_be_used_as_far_as_was_asked_for,
    a_misused_block_is_not_resized,
    unless_told_otherwise_a_misuse_panics,
    a_locked_heap_in_a_static_asks_its_hook,
    a_report_says_what_was_done,
    programs_without_misuse_are_not_reported,
    every_injected_misuse_is_reported,
);

const WORD: usize = size_of::<usize>();

thread_local! {
    static REPORTED: RefCell<Vec<Misuse>> = const { RefCell::new(Vec::new()) };
}

fn note_and_ignore(misuse: &Misuse) -> Decision {
    REPORTED.with_borrow_mut(|reported| reported.push(*misuse));
    Decision::Ignore
}

/// What was reported since this was asked.
fn reported() -> Vec<Misuse> {
    REPORTED.take()
}

/// The one thing that was reported.
fn the_report() -> Misuse {
    let reported = reported();
    assert_eq!(reported.len(), 1, "{reported:x?}");
    reported[0]
}

/// Kinds of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of a run, and back to it at once.
    Run,
    /// Of a run, and to the front cache.
    Cached,
    /// A small block that is a cell; to the front cache.
    SmallCell,
    /// Of no bytes.
    Empty,
    /// A cell between used ones.
    Cell,
    /// A cell behind a free one, into which it is merged.
    Merged,
    /// A cell before the top.
    Last,
    OverAligned,
    Mapped,
}

const KINDS: [Kind; 9] = [
    Kind::Run,
    Kind::Cached,
    Kind::SmallCell,
    Kind::Empty,
    Kind::Cell,
    Kind::Merged,
    Kind::Last,
    Kind::OverAligned,
    Kind::Mapped,
];

struct Bench {
    heap: Heap<TestBreak, TestMap>,
}

impl Bench {
    fn new() -> Self {
        Self::over(Heap::with_map(TestBreak::new(1 << 20, 0), TestMap::default()))
    }

    fn plain() -> Self {
        Self::over(Heap::plain_with_map(TestBreak::new(1 << 20, 0), TestMap::default()))
    }

    fn over(mut heap: Heap<TestBreak, TestMap>) -> Self {
        heap.set_misuse_hook(note_and_ignore);
        reported();
        Self { heap }
    }

    fn allocate(&mut self, layout: Layout) -> NonNull<u8> {
        // SAFETY: the heap outlives the case.
        unsafe { self.heap.allocate(layout) }.expect("there is memory")
    }

    /// Frees what may be no block at all: that is what the profile is for.
    fn free(&mut self, block: NonNull<u8>, layout: Layout) {
        // SAFETY: the profile sees to it that nothing happens if it is none.
        unsafe { self.heap.deallocate(block, layout) };
    }

    /// A block of this kind, with its layout.
    fn block(&mut self, kind: Kind) -> (NonNull<u8>, Layout) {
        let layout = match kind {
            Kind::Run | Kind::Cached => layout(41, 8),
            Kind::SmallCell => layout(50, 1),
            Kind::Empty => layout(0, 1),
            Kind::Cell | Kind::Last | Kind::Merged => layout(3003, 4),
            Kind::OverAligned => layout(101, 512),
            Kind::Mapped => layout(200_000, 16),
        };
        if kind == Kind::Run {
            self.heap.set_cache_limit(0);
        }
        let block = match kind {
            Kind::Run | Kind::Cached => {
                let blocks: Vec<_> = (0..600).map(|_| self.allocate(layout)).collect();
                let block = blocks[550];
                assert!(self.run_around(block).is_some(), "not in a run");
                block
            }
            Kind::Merged => {
                let before = self.allocate(layout);
                let block = self.allocate(layout);
                self.free(before, layout);
                block
            }
            _ => self.allocate(layout),
        };
        if kind != Kind::Last {
            self.allocate(Self::WALL);
        }
        assert_eq!(reported(), []);
        (block, layout)
    }

    const WALL: Layout = Layout::new::<[usize; 400]>();

    /// Address and size of the run in which a block lies.
    fn run_around(&self, block: NonNull<u8>) -> Option<(usize, usize)> {
        let around = self.heap.cells().find(|cell| (cell.address..cell.address + cell.size).contains(&addr(block)))?;
        matches!(around.state, CellState::Run { .. }).then_some((around.payload(), around.size))
    }

    /// The heap is whole, and serves.
    fn assert_serves(&mut self) {
        self.heap.check().unwrap();
        for layout in [layout(0, 1), layout(41, 8), layout(50, 1), layout(3003, 4), layout(100, 512), layout(200_000, 16)] {
            let block = self.allocate(layout);
            // SAFETY: a new block of that size.
            unsafe { block.write_bytes(0x5A, layout.size()) };
            self.free(block, layout);
        }
        self.heap.flush();
        assert_eq!(reported(), [], "a heap that should be whole");
        self.heap.check().unwrap();
    }
}

fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).unwrap()
}

fn addr(block: NonNull<u8>) -> usize {
    block.addr().get()
}

fn at(block: NonNull<u8>, offset: isize) -> NonNull<u8> {
    NonNull::new(block.as_ptr().wrapping_offset(offset)).unwrap()
}

fn word(block: NonNull<u8>, address: usize) -> *mut usize {
    block.as_ptr().with_addr(address).cast()
}

fn read(block: NonNull<u8>, address: usize) -> usize {
    // SAFETY: an address in the heap's memory.
    unsafe { word(block, address).read() }
}

/// Writes where nobody should.
fn overwrite(block: NonNull<u8>, address: usize, value: usize) {
    // SAFETY: an address in the heap's memory.
    unsafe { word(block, address).write(value) };
}

/// The words from a block's header to behind its end.
fn words_around(block: NonNull<u8>, layout: Layout) -> BTreeMap<usize, usize> {
    let words = (addr(block) - WORD..addr(block) + layout.size() + 6 * WORD).step_by(WORD);
    words.map(|address| (address, read(block, address))).collect()
}

fn misuse(kind: MisuseKind, block: NonNull<u8>, at: usize, found: usize, expected: usize) -> Misuse {
    Misuse { kind, block: addr(block), at, found, expected }
}

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
                assert_eq!(report, misuse(MisuseKind::DoubleFree, block, addr(block), addr(block), 0));
                continue;
            }
            assert_eq!((report.kind, report.block), (MisuseKind::DoubleFree, addr(block)), "{kind:?}");
            assert_eq!(report.found, read(block, report.at), "{kind:?}: what is found is what is there");
            let is_alone = !matches!(kind, Kind::Merged | Kind::Last);
            if is_alone {
                assert_eq!(report.expected, before[&report.at], "{kind:?}: what is expected is what was there");
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
            assert_eq!(report, misuse(MisuseKind::NeverAllocated, wild, addr(wild), addr(wild), around), "{kind:?} {offset}");
        }
        bench.free(block, layout);
        bench.assert_serves();
    }

    // The heap's own: a run's start, a block that a run never gave out, the map of runs, the top.
    let mut bench = Bench::new();
    let (block, layout) = bench.block(Kind::Run);
    let (run, _) = bench.run_around(block).unwrap();
    let last = bench.heap.cells().filter(|cell| matches!(cell.state, CellState::Run { live, total, .. } if live < total)).last();
    let last = last.map(|run| run.payload() + 4096 - 2 * 64);
    let internal = bench.heap.cells().find(|cell| cell.state == CellState::Internal).unwrap().payload();
    let top = bench.heap.cells().last().unwrap().payload();
    for address in [run, internal, internal + 2 * WORD, top + 10 * WORD].into_iter().chain(last) {
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
    let wild = [1, 8, 16, 4096, usize::MAX & !15, (usize::MAX / 2) & !15, usize::MAX, &raw const local as usize];
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
    bench.free(at(block, ((hole.address + 5 * WORD - addr(block)) / 16 * 16) as isize), layout(8, 8));
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
        let sizes = [right.size() + 1, right.size() + 100_000, right.size() / 2 + 7, right.size().saturating_sub(1)];
        for size in sizes.into_iter().filter(|&size| size != right.size()) {
            bench.free(block, layout(size, right.align()));
            assert_eq!(the_report(), misuse(MisuseKind::WrongSize, block, addr(block), size, right.size()), "{kind:?}");
        }
        for align in [right.align() * 2, 1 << 16] {
            bench.free(block, layout(right.size(), align));
            assert_eq!(the_report(), misuse(MisuseKind::WrongAlignment, block, addr(block), align, right.align()), "{kind:?}");
        }
        bench.free(block, right);
        assert_eq!(reported(), [], "with the right one it goes");
        bench.assert_serves();
    }
}

fn an_overflow_by_one_byte_is_reported() {
    for kind in KINDS {
        let mut bench = Bench::new();
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

fn an_overflow_over_record_and_header_is_reported_at_its_first_byte() {
    for kind in [Kind::SmallCell, Kind::Cell, Kind::Last, Kind::OverAligned, Kind::Cached, Kind::Run] {
        let mut bench = Bench::new();
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

fn an_overwritten_header_is_reported() {
    for (kind, make) in [(Kind::Cell, Bench::new as fn() -> Bench), (Kind::Cell, Bench::plain), (Kind::OverAligned, Bench::new)] {
        let mut bench = make();
        let (block, layout) = bench.block(kind);
        let header = addr(block) - WORD;
        let was = read(block, header);
        // The third is the smallest cell, which is too short for a block and its record.
        let mut wrong = vec![(0, None), (usize::MAX, None), (4 * WORD + 3, None), (64 * WORD + 3, None)];
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
            assert_eq!((report.kind, report.block, report.at), (MisuseKind::Header, addr(block), header), "{value:#x}");
            assert!(expected.is_none_or(|expected| report == misuse(MisuseKind::Header, block, header, value, expected)));
        }
        overwrite(block, header, was);
        bench.free(block, layout);
        bench.assert_serves();
    }
}

fn an_overwritten_header_behind_is_reported() {
    let mut bench = Bench::plain();
    let layout = layout(1000, 8);
    let (first, second, _wall) = (bench.allocate(layout), bench.allocate(layout), bench.allocate(layout));
    let header = addr(second) - WORD;
    let was = read(first, header);
    for value in [0, usize::MAX, was & !2] {
        overwrite(first, header, value);
        bench.free(first, layout);
        let report = the_report();
        assert_eq!((report.kind, report.block, report.at), (MisuseKind::Header, addr(second), header), "{value:#x}");
    }
    overwrite(first, header, was);
    bench.free(second, layout);
    bench.free(first, layout);
    bench.assert_serves();
}

fn check_finds_overflows_and_headers() {
    let mut bench = Bench::plain();
    let (block, layout) = bench.block(Kind::Cell);
    let behind = at(block, layout.size() as isize);
    // SAFETY: behind the block's end, but in the memory that the heap gave to it.
    unsafe { behind.write(7) };
    let found = bench.heap.check().unwrap_err();
    assert_eq!((found.rule, found.at, found.expected, found.found), (Rule::Record, addr(behind), 0xFD, 7));
    // SAFETY: as above.
    unsafe { behind.write(0xFD) };
    bench.heap.check().unwrap();
    if usize::BITS == 64 {
        let header = addr(block) - WORD;
        let was = read(block, header);
        overwrite(block, header, was ^ (1 << 60));
        let found = bench.heap.check().unwrap_err();
        assert_eq!((found.rule, found.at, found.expected, found.found), (Rule::CheckBits, header, was, was ^ (1 << 60)));
    }
}

/// A heap with three free cells of one bin, the last freed first.
fn three_in_a_bin() -> (Bench, [NonNull<u8>; 3], Layout) {
    let mut bench = Bench::plain();
    let layout = layout(1000, 8);
    let blocks = [(); 3].map(|()| {
        let block = bench.allocate(layout);
        bench.allocate(Bench::WALL);
        block
    });
    blocks.iter().rev().for_each(|&block| bench.free(block, layout));
    bench.heap.check().unwrap();
    (bench, blocks, layout)
}

fn links_of_a_bin_are_not_followed_once_overwritten() {
    let cell = |block: NonNull<u8>| addr(block) - WORD;
    for value in [0, 0xBAD0, usize::MAX, 0x4141_4141] {
        for victim in 0..3 {
            for link in [0, 1] {
                let (mut bench, blocks, layout) = three_in_a_bin();
                let place = addr(blocks[victim]) + link * WORD;
                let was = read(blocks[0], place);
                let neighbour = if link == 0 { victim.checked_add(1) } else { victim.checked_sub(1) };
                let neighbour = neighbour.and_then(|index| blocks.get(index)).map_or(0, |&block| cell(block));
                assert_eq!(was, neighbour);
                if was == value {
                    continue;
                }
                overwrite(blocks[0], place, value);
                let taken = bench.allocate(layout);
                assert!(blocks.contains(&taken));
                assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, blocks[victim], place, value, was));
                bench.free(taken, layout);
                bench.assert_serves();
            }
        }
    }

    // A cell that is merged: its neighbour is taken out of the middle of the list.
    let (mut bench, blocks, _) = three_in_a_bin();
    let wall = NonNull::new(blocks[1].as_ptr().with_addr(bench.heap.cells().nth(3).unwrap().payload())).unwrap();
    assert!(addr(wall) > addr(blocks[1]));
    let place = addr(blocks[1]);
    let was = read(blocks[1], place);
    overwrite(blocks[1], place, 0x1234);
    bench.free(wall, Bench::WALL);
    assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, blocks[1], place, 0x1234, was));
    bench.assert_serves();
}

fn the_size_at_the_end_of_a_free_cell_is_compared() {
    let (mut bench, blocks, layout) = three_in_a_bin();
    let cell = bench.heap.cells().nth(2).unwrap();
    assert_eq!(cell.payload(), addr(blocks[1]));
    let (end, wall) = (cell.address + cell.size - WORD, bench.heap.cells().nth(3).unwrap());
    overwrite(blocks[1], end, 99);
    bench.free(NonNull::new(blocks[1].as_ptr().with_addr(wall.payload())).unwrap(), Bench::WALL);
    assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, blocks[1], end, 99, cell.size));
    let again = bench.allocate(layout);
    bench.free(again, layout);
    bench.assert_serves();
}

const PAGE: usize = 4096;

/// A heap of two regions of a page each, a page apart, and the lowest byte of them.
fn two_regions() -> (Heap<FixedBreak>, NonNull<u8>) {
    let memory = NonNull::from(Box::leak(Box::new([0_u128; 3 * PAGE / size_of::<u128>()]))).cast::<u8>();
    let mut heap = Heap::plain(FixedBreak::from_array(Box::leak(Box::new([]))));
    heap.set_misuse_hook(note_and_ignore);
    reported();
    for index in [0, 2] {
        add_page(&mut heap, memory, index).unwrap();
    }
    (heap, memory)
}

fn add_page(heap: &mut Heap<FixedBreak>, memory: NonNull<u8>, index: usize) -> Result<usize, RegionError> {
    // SAFETY: one of the three pages, which are leaked, and which nobody else uses.
    unsafe { heap.add_region(memory.as_ptr().add(index * PAGE), PAGE) }
}

fn misuse_is_found_in_every_region() {
    let (mut heap, memory) = two_regions();
    let layout = layout(3000, 8);
    for _ in 0..2 {
        // SAFETY: the heap's memory is leaked.
        let block = unsafe { heap.allocate(layout) }.expect("a region each");
        // SAFETY: the block is followed by its record, which is the heap's.
        let behind = unsafe { block.add(3000) };
        // SAFETY: as above.
        let was = unsafe { behind.replace(7) };
        assert_eq!(heap.check().unwrap_err().rule, Rule::Record);
        // SAFETY: as above.
        unsafe { behind.write(was) };
        heap.check().unwrap();
        for _ in 0..2 {
            // SAFETY: the second time the profile sees to it that nothing happens.
            unsafe { heap.deallocate(block, layout) };
        }
        assert_eq!(the_report().kind, MisuseKind::DoubleFree);
        // SAFETY: the heap's memory is leaked. It stays in use, so that the next block is in the other region.
        let again = unsafe { heap.allocate(layout) };
        assert_eq!(again, Some(block));
    }
    for place in [PAGE, PAGE + 64, 2 * PAGE - 16] {
        // SAFETY: inside of what is leaked.
        let between = unsafe { memory.add(place) };
        // SAFETY: the profile sees to it that nothing happens.
        unsafe { heap.deallocate(between, layout) };
        assert_eq!(the_report(), misuse(MisuseKind::NeverAllocated, between, addr(between), addr(between), 0));
    }
    heap.check().unwrap();
}

fn ends_of_regions_are_not_joined_once_overwritten() {
    for value in [0xBAD0, usize::MAX, 0x4141_4141] {
        // A link of the free cell below, and of the one above.
        for cell in [0, 2] {
            let (mut heap, memory) = two_regions();
            let block = NonNull::new(memory.as_ptr().with_addr(heap.cells().nth(cell).unwrap().payload())).unwrap();
            overwrite(block, addr(block), value);
            assert!(add_page(&mut heap, memory, 1).is_ok());
            assert_eq!(the_report().kind, MisuseKind::WriteAfterFree);
            heap.check().unwrap();
            assert_eq!(heap.stats().free_cells, 1);
        }
        // The fence between them, and the head of the one above.
        for distance in [0, PAGE + WORD] {
            let (mut heap, memory) = two_regions();
            let fence = heap.cells().nth(1).unwrap();
            assert_eq!(fence.state, CellState::Hole);
            let place = fence.address + distance;
            let was = read(memory, place);
            overwrite(memory, place, value);
            assert_eq!(add_page(&mut heap, memory, 1), Err(RegionError::Overwritten));
            let report = the_report();
            assert_eq!((report.kind, report.at), (MisuseKind::Header, place));
            overwrite(memory, place, was);
            assert!(add_page(&mut heap, memory, 1).is_ok());
            heap.check().unwrap();
            assert_eq!(heap.stats().free_cells, 1);
        }
    }
}

fn links_of_the_front_cache_are_not_followed_once_overwritten() {
    for kind in [Kind::Cached, Kind::SmallCell, Kind::Empty] {
        for value in [0, 0xBAD0, usize::MAX, 0x4141_4141] {
            let mut bench = Bench::new();
            let (first, layout) = bench.block(kind);
            let second = bench.allocate(layout);
            bench.free(first, layout);
            bench.free(second, layout);
            assert_eq!(read(second, addr(second)), addr(first));
            overwrite(second, addr(second), value);
            let _ = bench.heap.stats();
            let taken = bench.allocate(layout);
            assert_eq!(taken, second);
            assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, second, addr(second), value, addr(first)), "{kind:?}");
            assert_ne!(bench.allocate(layout), first, "what was behind is lost");
            bench.free(first, layout);
            assert_eq!(the_report().kind, MisuseKind::DoubleFree);
            bench.free(taken, layout);
            bench.assert_serves();

            // The same when the cache is emptied.
            let (mut bench, mut blocks) = (Bench::new(), Vec::new());
            let (_, layout) = bench.block(kind);
            blocks.extend((0..4).map(|_| bench.allocate(layout)));
            blocks.iter().for_each(|&block| bench.free(block, layout));
            overwrite(blocks[2], addr(blocks[2]), value);
            bench.heap.flush();
            let expected = misuse(MisuseKind::WriteAfterFree, blocks[2], addr(blocks[2]), value, addr(blocks[1]));
            assert_eq!(the_report(), expected, "{kind:?}");
            bench.assert_serves();
        }
    }
}

fn links_of_kept_cells_are_not_followed_once_overwritten() {
    for value in [0, 0xBAD0, usize::MAX, 0x4141_4141] {
        for flush in [false, true] {
            let mut bench = Bench::new();
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
            assert_eq!(the_report(), misuse(MisuseKind::WriteAfterFree, second, addr(second), value, was));
            bench.free(first, layout);
            assert_eq!(the_report().kind, MisuseKind::DoubleFree);
            bench.assert_serves();
        }
    }
}

fn links_of_a_run_are_not_followed_once_overwritten() {
    for value in [0_u16, 1, 64, 0xBAD0, u16::MAX] {
        let mut bench = Bench::new();
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
        assert_eq!(report, misuse(MisuseKind::WriteAfterFree, victim, addr(victim), usize::from(value), expected));
        assert_ne!(bench.allocate(layout), behind, "what was behind is lost");
        bench.free(victim, layout);
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
            let block = unsafe { bench.heap.reallocate(block, layout(size, 8), size + 77) }.unwrap();
            // SAFETY: a live block.
            assert_eq!(unsafe { bench.heap.usable_size(block) }, size + 77);
            bench.free(block, layout(size + 77, 8));
        }
        let most = layout(isize::MAX as usize, 1);
        // SAFETY: the heap outlives the case.
        assert_eq!(unsafe { bench.heap.allocate(most) }, None);
        bench.heap.reserve(100_000).unwrap();
        // SAFETY: the heap outlives the case.
        assert!(unsafe { bench.heap.try_allocate(layout(100_000, 1)) }.is_some(), "what was reserved is there");
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
        assert_eq!(the_report(), misuse(MisuseKind::WrongSize, block, addr(block), wrong.size(), right.size()));
        // SAFETY: a live block with its layout. What no address space holds changes nothing.
        assert_eq!(unsafe { bench.heap.reallocate(block, right, isize::MAX as usize - right.align()) }, None);
        assert_eq!(reported(), []);
        bench.free(block, right);
        bench.assert_serves();
    }
}

fn unless_told_otherwise_a_misuse_panics() {
    let mut heap = Heap::new(TestBreak::new(1 << 16, 0));
    let layout = layout(40, 8);
    // SAFETY: the heap outlives the case.
    let block = unsafe { heap.allocate(layout) }.unwrap();
    let free = |heap: &mut Heap<TestBreak>| {
        // SAFETY: live the first time; then the profile sees to it that nothing happens.
        unsafe { heap.deallocate(block, layout) };
    };
    free(&mut heap);
    for _ in 0..2 {
        let panic = catch_unwind(AssertUnwindSafe(|| free(&mut heap))).unwrap_err();
        let text = panic.downcast_ref::<String>().unwrap();
        assert!(text.starts_with(&format!("double free of the block at {block:p}: it is free already (at 0x")), "{text}");
    }
    heap.check().unwrap();
    // SAFETY: the heap outlives the case.
    assert_eq!(unsafe { heap.allocate(layout) }, Some(block), "the heap serves on");
}

fn a_locked_heap_in_a_static_asks_its_hook() {
    static mut ARENA: [u8; 1 << 16] = [0; 1 << 16];
    // SAFETY: nobody else names ARENA.
    static HEAP: LockedHeap<FixedBreak> = LockedHeap::new(unsafe { FixedBreak::from_raw((&raw mut ARENA).cast(), 1 << 16) });
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
    let text = |kind, at, found, expected| Misuse { kind, block: 0x1000, at, found, expected }.to_string();
    for (kind, expected) in [
        (MisuseKind::DoubleFree, "double free of the block at 0x1000: it is free already (at 0x1040: expected 0x7, found 0x6)"),
        (MisuseKind::NeverAllocated, "free of 0x1000, which was never allocated: it lies inside the block at 0x7"),
        (MisuseKind::WrongSize, "wrong layout: the block at 0x1000 was allocated with 7 bytes, and is freed with 6"),
        (MisuseKind::WrongAlignment, "wrong layout: the block at 0x1000 was allocated with alignment 7, and is freed with 6"),
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
    assert_eq!(nowhere, "free of 0x1000, which was never allocated: it lies in no block of this heap");
}

/// What a program does: mostly what it may.
#[derive(Clone, Copy, Debug)]
enum Op {
    Allocate { size: usize, align: u32, zeroed: bool },
    Free(usize),
    Resize { block: usize, size: usize },
    Flush,
    Trim,
    FreeTwice(usize),
    FreeInside { block: usize, offset: usize },
    FreeWithSize { block: usize, size: usize },
    Overflow { block: usize, by: usize },
    WriteAfterFree { block: usize, value: usize },
}

fn size() -> impl Strategy<Value = usize> {
    prop_oneof![6 => 0..300_usize, 2 => 300..3000_usize, 1 => 3000..20_000_usize, 1 => 130_000..200_000_usize]
}

fn right() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => (size(), 0..8_u32, any::<bool>()).prop_map(|(size, align, zeroed)| Op::Allocate { size, align, zeroed }),
        8 => any::<usize>().prop_map(Op::Free),
        6 => (any::<usize>(), size()).prop_map(|(block, size)| Op::Resize { block, size }),
        1 => Just(Op::Flush),
        1 => Just(Op::Trim),
    ]
}

fn wrong() -> impl Strategy<Value = Op> {
    prop_oneof![
        any::<usize>().prop_map(Op::FreeTwice),
        (any::<usize>(), 1..500_usize).prop_map(|(block, offset)| Op::FreeInside { block, offset }),
        (any::<usize>(), size()).prop_map(|(block, size)| Op::FreeWithSize { block, size }),
        (any::<usize>(), 0..WORD).prop_map(|(block, by)| Op::Overflow { block, by }),
        (any::<usize>(), any::<usize>()).prop_map(|(block, value)| Op::WriteAfterFree { block, value }),
    ]
}

/// A bench, and an oracle that knows what may be freed.
struct Program {
    bench: Bench,
    oracle: Oracle,
}

impl Program {
    fn new(plain: bool) -> Self {
        Self { bench: if plain { Bench::plain() } else { Bench::new() }, oracle: Oracle::default() }
    }

    fn step(&mut self, op: Op) {
        let heap = &mut self.bench.heap;
        match op {
            Op::Allocate { size, align, zeroed } => {
                let layout = layout(size, 1 << align);
                // SAFETY: the heap outlives the case.
                let block = if zeroed { unsafe { heap.allocate_zeroed(layout) } } else { unsafe { heap.allocate(layout) } };
                let Some(at) = block else { return };
                // SAFETY: a live block.
                assert_eq!(unsafe { heap.usable_size(at) }, size);
                if zeroed {
                    self.oracle.add_zeroed(at, layout)
                } else {
                    self.oracle.add(at, layout)
                };
            }
            Op::Resize { block, size } => {
                let Some(block) = self.oracle.pick(block) else { return };
                // SAFETY: the oracle knows it as live, with this layout.
                if let Some(at) = unsafe { heap.reallocate(block.at, block.layout, size) } {
                    self.oracle.moved(&block, at, layout(size, block.layout.align()));
                }
            }
            Op::Flush => heap.flush(),
            Op::Trim => drop(heap.trim(0)),
            Op::Free(block) => drop(self.free(block)),
            Op::FreeTwice(block) => {
                let granted = self.bench.heap.provider().granted();
                let Some((at, layout)) = self.free(block) else { return };
                self.bench.free(at, layout);
                // Memory that has gone back is nobody's, and not looked at.
                let went_back = self.bench.heap.provider().granted() < granted && !self.bench.heap.owns(at.as_ptr());
                self.assert_reported(if went_back { MisuseKind::NeverAllocated } else { MisuseKind::DoubleFree }, at);
            }
            Op::FreeInside { block, offset } => {
                let Some(block) = self.oracle.pick(block).filter(|block| offset < block.layout.size()) else { return };
                let inside = at(block.at, offset as isize);
                self.bench.free(inside, layout(8, 1));
                // Unless something was freed just there before.
                let report = the_report();
                assert!(matches!(report.kind, MisuseKind::NeverAllocated | MisuseKind::DoubleFree), "{report}");
                assert_eq!(report.block, addr(inside));
            }
            Op::FreeWithSize { block, size } => {
                let Some(block) = self.oracle.pick(block).filter(|block| block.layout.size() != size) else { return };
                self.bench.free(block.at, layout(size, block.layout.align()));
                self.assert_reported(MisuseKind::WrongSize, block.at);
            }
            Op::Overflow { block, by } => {
                let Some(block) = self.oracle.pick(block) else { return };
                let behind = at(block.at, (block.layout.size() + by) as isize);
                // SAFETY: behind the block's end, but in the memory that the heap gave to it: there are two words at least.
                unsafe { behind.write(!behind.read()) };
                self.oracle.remove(&block);
                self.bench.free(block.at, block.layout);
                self.assert_reported(MisuseKind::Overflow, block.at);
            }
            Op::WriteAfterFree { block, value } => {
                let mapped = |block: &common::oracle::Block| block.layout.size() > 120_000;
                let Some(known) = self.oracle.pick(block).filter(|block| !mapped(block)) else { return };
                let others = self.bench.heap.stats().cached_blocks;
                self.oracle.remove(&known);
                self.bench.free(known.at, known.layout);
                // Only where it surely went to the cache: there its first word is a link.
                if self.bench.heap.stats().cached_blocks == others + 1 && read(known.at, addr(known.at)) != value {
                    overwrite(known.at, addr(known.at), value);
                    self.bench.heap.flush();
                    self.assert_reported(MisuseKind::WriteAfterFree, known.at);
                }
            }
        }
    }

    fn free(&mut self, block: usize) -> Option<(NonNull<u8>, Layout)> {
        let block = self.oracle.pick(block)?;
        self.oracle.remove(&block);
        self.bench.free(block.at, block.layout);
        assert_eq!(reported(), []);
        Some((block.at, block.layout))
    }

    fn assert_reported(&self, kind: MisuseKind, block: NonNull<u8>) {
        let report = the_report();
        assert_eq!((report.kind, report.block), (kind, addr(block)), "{report}");
    }

    fn run(mut self, ops: &[Op]) {
        for &op in ops {
            self.step(op);
            assert_eq!(reported(), [], "after {op:?}");
            self.bench.heap.check().unwrap();
        }
        self.oracle.assert_all_filled();
        while self.free(0).is_some() {}
        self.bench.heap.flush();
        assert_eq!(reported(), []);
        self.bench.heap.check().unwrap();
        assert_eq!(self.bench.heap.map_provider().count() > 0, self.bench.heap.stats().mapped_blocks > 0);
    }
}

fn programs_without_misuse_are_not_reported() {
    proptest!(properties(), |(plain in any::<bool>(), ops in prop::collection::vec(right(), 1..300))| {
        Program::new(plain).run(&ops);
    });
}

fn every_injected_misuse_is_reported() {
    let op = prop_oneof![3 => right(), 1 => wrong()];
    proptest!(properties(), |(plain in any::<bool>(), ops in prop::collection::vec(op, 1..300))| {
        Program::new(plain).run(&ops);
    });
}
