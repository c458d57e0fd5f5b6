//! A word of what small blocks need is broken at a time, and must be reported.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use core::alloc::Layout;

use super::*;
use crate::cell::CELL_ALIGN;
use crate::heap::Heap;
use crate::profile::Usual;
use crate::provider::FixedBreak;
use crate::small::SMALL_MAX;

/// A heap with cells of 40 bytes, then three runs of such blocks: the first and the second with
/// free blocks, the third with some that were never used. Three blocks are in the front cache: one
/// of each of the first two runs, and a cell.
struct Victim {
    heap: Heap<FixedBreak>,
    class: Class,
    runs: Vec<Run>,
    /// Blocks of the first run that are in use.
    live: Vec<NonNull<u8>>,
    /// What the front cache keeps, in the order of its list.
    cached: Vec<NonNull<u8>>,
    /// A block that is a cell in use.
    cell: NonNull<u8>,
}

/// Places of the words and half words in the header of a run of one page.
const HEADER: usize = PAGE - WORD - (2 * WORD + 6).next_multiple_of(WORD);
const NEXT: usize = HEADER;
const PREV: usize = HEADER + WORD;
const FREE: usize = HEADER + 2 * WORD;
const FRESH: usize = FREE + 2;
const LIVE: usize = FREE + 4;

impl Victim {
    fn new() -> Self {
        let class = Class::of(Layout::from_size_align(40, 8).unwrap()).unwrap();
        let layout = Layout::from_size_align(40, 8).unwrap();
        let memory: Box<[u8; 1 << 20]> =
            vec![0; 1 << 20].into_boxed_slice().try_into().expect("as long as that");
        let mut heap = Heap::new(FixedBreak::from_array(Box::leak(memory)));
        heap.set_cache_limit(0);
        let (mut cells, mut blocks, mut runs) = (Vec::new(), Vec::new(), Vec::new());
        while runs.len() < 3 {
            // SAFETY: the heap's memory is leaked, and outlives the blocks.
            let block = unsafe { heap.allocate(layout) }.unwrap();
            match heap.layer().pages.class_at(block.addr().get()) {
                Some(class) => {
                    let run = Run::of_block(block, class);
                    if !runs.contains(&run) {
                        runs.push(run);
                    }
                    blocks.push((run, block));
                }
                None => cells.push(block),
            }
        }
        let mut of_first_run: Vec<_> =
            blocks.iter().filter(|(run, _)| *run == runs[0]).map(|(_, block)| *block).collect();
        let of_second_run = blocks.iter().find(|(run, _)| *run == runs[1]).unwrap().1;
        let free = |heap: &mut Heap<FixedBreak>, block| {
            // SAFETY: live until now.
            unsafe { heap.deallocate(block, layout) };
        };
        for block in of_first_run.drain(..3) {
            free(&mut heap, block);
        }
        let another = blocks.iter().rfind(|(run, _)| *run == runs[1]).unwrap().1;
        free(&mut heap, another);
        heap.set_cache_limit(64 << 10);
        let cached = Vec::from([of_first_run.remove(0), of_second_run, cells[0]]);
        cached.iter().rev().for_each(|block| free(&mut heap, *block));
        heap.check().unwrap();
        assert!(heap.layer().cache.blocks(class).eq(cached.iter().copied()));
        Self { heap, class, runs, live: of_first_run, cached, cell: cells[1] }
    }

    fn write<T>(&self, at: NonNull<u8>, offset: usize, value: T) {
        // SAFETY: callers name words of the heap's memory.
        let place = unsafe { at.add(offset) };
        // SAFETY: the same; aligned for what lies there.
        unsafe { place.cast::<T>().write(value) };
    }

    fn read<T: Copy>(&self, at: NonNull<u8>, offset: usize) -> T {
        // SAFETY: as for `write`.
        let place = unsafe { at.add(offset) };
        // SAFETY: as for `write`; any bits are a number.
        unsafe { place.cast::<T>().read() }
    }

    fn first(&self) -> usize {
        self.heap.chunks().space().lowest().unwrap().addr()
    }

    fn leaf(&self) -> NonNull<u8> {
        self.heap.layer_ref().pages.leaves().next().unwrap().1.memory
    }

    /// The byte of a page in the leaf, as a distance from its start.
    fn byte_of(&self, address: usize) -> usize {
        let base = self.first() / (4 * PAGE) * (4 * PAGE);
        WORD + (address - base) / PAGE
    }

    #[track_caller]
    fn assert_reported(&self, at: usize, rule: Rule, expected: usize, found: usize) {
        assert_eq!(self.heap.check(), Err(Corruption { at, rule, expected, found }));
    }
}

fn run_at(run: Run) -> usize {
    run_addr(Some(run))
}

#[test]
fn a_part_of_the_page_map_in_the_wrong_place_is_found() {
    let mut victim = Victim::new();
    let (leaf, run) = (victim.leaf(), run_at(victim.runs[0]));
    let len = victim.heap.layer().pages.leaves().next().unwrap().1.len();
    let mut elsewhere = |memory: NonNull<u8>| {
        // SAFETY: memory of that length, which nobody uses.
        unsafe { victim.heap.layer().pages.provide(run, memory) };
        // SAFETY: the same, beside the leaf.
        unsafe { memory.copy_from_nonoverlapping(leaf, len) };
        victim.heap.check().unwrap_err()
    };
    let outside = NonNull::from(Box::leak(Box::new([0_usize; 256]))).cast::<u8>();
    let report = Corruption { at: addr(Some(outside)), rule: Rule::Leaf, expected: len, found: 0 };
    assert_eq!(elsewhere(outside), report);

    // Inside the payload of a cell, but not the payload itself.
    let mut victim = Victim::new();
    let leaf = victim.leaf();
    // SAFETY: the heap's memory is leaked.
    let large = unsafe { victim.heap.allocate(Layout::from_size_align(2 * SMALL_MAX, 8).unwrap()) }
        .unwrap();
    // SAFETY: inside the block.
    let inside = unsafe { large.add(CELL_ALIGN) };
    // SAFETY: memory of that length, which nobody uses.
    unsafe { victim.heap.layer().pages.provide(run_at(victim.runs[0]), inside) };
    // SAFETY: the same, beside the leaf.
    unsafe { inside.copy_from_nonoverlapping(leaf, len) };
    victim.assert_reported(victim.first(), Rule::Leaves, 1, 0);
}

#[test]
fn a_page_map_that_says_too_much_or_too_little_is_found() {
    let victim = Victim::new();
    let byte = victim.class.index() as u8 + 1;
    victim.write(victim.leaf(), victim.byte_of(victim.first()) + 200, byte);
    victim.assert_reported(victim.leaf().addr().get(), Rule::PageMap, 3, 4);

    // A run that the map has forgotten: the others lead to it, but it is only a cell.
    let victim = Victim::new();
    victim.write(victim.leaf(), victim.byte_of(run_at(victim.runs[1])), 0_u8);
    assert!(matches!(victim.heap.check(), Err(Corruption { rule: Rule::RunLinks, .. })));

    // A page of a longer run.
    let mut victim = Victim::new();
    let layout = Layout::from_size_align(264, 8).unwrap();
    let (class, last) =
        (Class::of(Layout::from_size_align(264, 8).unwrap()).unwrap(), victim.runs[2]);
    // SAFETY: the run was begun with the other class; only its pages are asked for.
    let long = loop {
        // SAFETY: the heap's memory is leaked.
        let block = unsafe { victim.heap.allocate(layout) }.unwrap();
        if victim.heap.layer().pages.class_at(block.addr().get()).is_some() {
            break Run::of_block(block, class);
        }
    };
    assert_ne!(long, last);
    let page = run_at(long) + 2 * PAGE;
    victim.write(victim.leaf(), victim.byte_of(page), 0_u8);
    victim.assert_reported(page, Rule::PageMap, class.index(), CLASSES);
}

#[test]
fn a_wrong_count_of_runs_is_found() {
    let victim = Victim::new();
    victim.write(victim.leaf(), 0, 4_usize);
    victim.assert_reported(victim.leaf().addr().get(), Rule::LeafCount, 3, 4);

    let mut victim = Victim::new();
    victim.heap.layer().note_run(victim.class);
    victim.assert_reported(victim.first(), Rule::Runs, 4, 3);
}

#[test]
fn a_cell_where_a_run_should_be_is_found() {
    let victim = Victim::new();
    let cell = victim.cell.addr().get();
    victim.write(victim.leaf(), victim.byte_of(cell), victim.class.index() as u8 + 1);
    let Err(Corruption { at, rule: Rule::RunCell, expected, found }) = victim.heap.check() else {
        panic!("{:?}", victim.heap.check())
    };
    assert_eq!((at, found, expected), (found, at, at / PAGE * PAGE), "the first cell of that page");

    // A run whose cell is too short: what was cut off is another used cell.
    let victim = Victim::new();
    let (run, cut) = (victim.runs[0].payload(), 1024);
    // SAFETY: the payload of the run's cell.
    let cell = unsafe { Cell::<Usual>::of_payload(run) };
    // SAFETY: its header.
    let prev_used = unsafe { cell.header() }.is_prev_used();
    // SAFETY: the lower part of the cell.
    unsafe { cell.write_used(PAGE - cut, prev_used) };
    // SAFETY: inside the cell.
    let rest = unsafe { cell.offset(PAGE - cut) };
    // SAFETY: the upper part of the cell.
    unsafe { rest.write_used(cut, true) };
    victim.assert_reported(run.addr().get(), Rule::RunCell, PAGE, PAGE - cut);
}

#[test]
fn a_broken_list_of_free_blocks_is_found() {
    for run in 0..2 {
        let victim = Victim::new();
        let (run, at) = (victim.runs[run].payload(), run_at(victim.runs[run]));
        let free: u16 = victim.read(run, FREE);
        for wild in [1, free + 1, u16::MAX - 1, PAGE as u16 - 8] {
            victim.write(run, FREE, wild);
            victim.assert_reported(at, Rule::RunList, 0, wild.into());
        }
        victim.write(run, FREE, free);
        victim.heap.check().unwrap();

        // The list leads on from the free block; a ring is no list.
        victim.write(run, free.into(), 7_u16);
        victim.assert_reported(at, Rule::RunList, 0, 7);
        victim.write(run, free.into(), free);
        victim.assert_reported(at, Rule::RunList, 0, free.into());
    }
    // A block that was never used is in no list.
    let victim = Victim::new();
    let run = victim.runs[2].payload();
    let fresh: u16 = victim.read(run, FRESH);
    victim.write(run, FREE, fresh);
    victim.assert_reported(run.addr().get(), Rule::RunList, 0, fresh.into());
}

#[test]
fn a_run_whose_blocks_are_miscounted_is_found() {
    let victim = Victim::new();
    let (run, total) = (victim.runs[0].payload(), blocks_of(victim.class));
    let live: u16 = victim.read(run, LIVE);
    victim.write(run, LIVE, live + 1);
    victim.assert_reported(run.addr().get(), Rule::RunBlocks, total, total + 1);
    victim.write(run, LIVE, live);
    victim.write(run, FREE, NOWHERE);
    victim.assert_reported(run.addr().get(), Rule::RunBlocks, total, usize::from(live));
    victim.write(run, FRESH, 9_u16);
    victim.assert_reported(run.addr().get(), Rule::RunBlocks, total, 9);
}

#[test]
fn a_broken_list_of_runs_is_found() {
    let victim = Victim::new();
    let list: Vec<_> =
        core::iter::successors(victim.heap.layer_ref().partial[victim.class.index()].head, |run| {
            // SAFETY: runs in lists are runs.
            unsafe { run.next(victim.class) }
        })
        .collect();
    assert_eq!(list.len(), 3);
    let [first, second, third] = [0, 1, 2].map(|index| list[index].payload());
    let (at, none) = (second.addr().get(), 0_usize);

    victim.write(second, PREV, 0xBAD0_usize);
    victim.assert_reported(at, Rule::RunLinks, at, 0xBAD0);
    victim.write(second, PREV, first);
    victim.write(third, NEXT, 0xBAD0_usize);
    victim.assert_reported(third.addr().get(), Rule::RunLinks, 0, 0xBAD0);
    victim.write(third, NEXT, first);
    victim.assert_reported(third.addr().get(), Rule::RunLinks, 0, first.addr().get());
    victim.write(third, NEXT, none);
    victim.write(first, NEXT, none);
    victim.assert_reported(at, Rule::RunLinks, at, 0);

    // Every run is led to, by one that is in no list.
    let mut victim = victim;
    victim.write(first, NEXT, second);
    victim.write(first, PREV, third);
    victim.write(third, NEXT, first);
    victim.heap.layer().partial[victim.class.index()].head = None;
    victim.assert_reported(victim.first(), Rule::Partial, 3, 0);
}

#[test]
fn an_empty_run_beside_others_is_found() {
    let mut victim = Victim::new();
    let class = victim.class;
    while victim.heap.layer().cache.take_back(class).is_some_and(|block| block != victim.cached[2])
    {
    }
    for block in victim.live.iter().chain([&victim.cached[0]]) {
        // SAFETY: taken from this run, and nobody uses it. That the heap is not told is the point.
        unsafe { victim.runs[0].put::<Usual>(class, *block) };
    }
    victim.assert_reported(run_at(victim.runs[0]), Rule::EmptyRun, 0, 1);
}

#[test]
fn a_front_cache_with_too_many_or_too_few_blocks_is_found() {
    let mut victim = Victim::new();
    let (first, last) = (victim.cached[0], victim.cached[2]);
    victim.heap.layer().cache.set_limit(0);
    victim.assert_reported(first.addr().get(), Rule::CacheRoom, 0, 3);
    victim.heap.layer().cache.set_limit(64 << 10);
    victim.heap.check().unwrap();
    victim.write(victim.cached[1], 0, 0_usize);
    victim.assert_reported(first.addr().get(), Rule::CacheLinks, 3, 2);
    victim.write(victim.cached[1], 0, last);
    victim.write(last, 0, first);
    victim.assert_reported(last.addr().get(), Rule::CacheLinks, 0, first.addr().get());
}

#[test]
fn a_block_in_the_front_cache_that_is_none_is_found() {
    let victim = Victim::new();
    let (last, size) = (victim.cached[2], victim.class.size());
    let run = |index: usize| victim.runs[index].payload();
    let (free, fresh): (u16, u16) = (victim.read(run(0), FREE), victim.read(run(2), FRESH));
    let top = victim.heap.chunks().top().unwrap().payload().addr().get();
    let places = [
        ("outside", 0xBAD0),
        ("at the end of the addresses", usize::MAX - 7),
        ("not aligned", victim.cell.addr().get() + 1),
        ("in a cell", victim.cell.addr().get() + CELL_ALIGN),
        ("a free cell", top),
        ("the header of a run", run(0).addr().get() + HEADER),
        ("in a block of a run", victim.live[0].addr().get() + 8),
        ("a free block of a run", run(0).addr().get() + usize::from(free)),
        ("a block that was never used", run(2).addr().get() + usize::from(fresh)),
        ("behind the last block of a run", run(1).addr().get() + blocks_of(victim.class) * size),
    ];
    for (what, place) in places {
        // One more than there should be would be another error, so the second of three leads
        // astray.
        victim.write(victim.cached[1], 0, place);
        let report = Corruption {
            at: victim.cached[1].addr().get(),
            rule: Rule::CacheBlock,
            expected: size,
            found: place,
        };
        assert_eq!(victim.heap.check(), Err(report), "{what}");
    }
    victim.write(victim.cached[1], 0, last);
    victim.heap.check().unwrap();
}

#[test]
fn a_block_in_the_front_cache_that_is_too_small_is_found() {
    let mut victim = Victim::new();
    let larger = Class::from_index(victim.class.index() + 1).unwrap();
    // SAFETY: a block that nobody will use; that it does not suit the class is the point.
    assert!(unsafe { victim.heap.layer().cache.push(larger, victim.live[0]) });
    victim.assert_reported(0, Rule::CacheBlock, larger.size(), victim.live[0].addr().get());
}

#[test]
fn a_block_in_two_lists_of_the_front_cache_is_found() {
    let mut victim = Victim::new();
    let smaller = Class::from_index(victim.class.index() - 2).unwrap();
    let last = victim.cached[2];
    // SAFETY: a block that nobody uses; that it is listed already is the point.
    assert!(unsafe { victim.heap.layer().cache.push(smaller, last) });
    victim.assert_reported(
        last.addr().get(),
        Rule::CacheTwice,
        victim.class.index(),
        smaller.index(),
    );
}
