//! A heap whose memory is overwritten says where, what it expected and what it found. (The rules
//! that only a bug of the heap itself can break are tested beside `check()`.)

use core::alloc::Layout;

use brkalloc::{Break, CellState, Corruption, Heap, NoMap, Rule};

use crate::common::case;
use crate::common::prelude::*;
use crate::common::profile::{Variant, WORD};
use crate::common::regions::PAGE;
use crate::common::test_break::TestBreak;

const USED: usize = 1;
const PREV_USED: usize = 2;
const FENCEPOST: usize = 4;

/// A heap `used · free · used · free · used · top`, as the words of its memory.
struct Victim<P: Variant> {
    heap: Heap<TestBreak, NoMap, P>,
    memory: *mut usize,
    cells: Vec<usize>,
    sizes: Vec<usize>,
}

impl<P: Variant> Victim<P> {
    fn new() -> Self {
        let brk = TestBreak::new(1024 * WORD, 0);
        let memory = brk.end().cast();
        let mut heap = Heap::with_profile(brk, NoMap);
        // SAFETY: the heap outlives the case.
        let blocks: Vec<_> = (0..5).map(|_| unsafe { heap.allocate(layout()) }.unwrap()).collect();
        for index in [3, 1] {
            // SAFETY: live until now.
            unsafe { heap.deallocate(blocks[index], layout()) };
        }
        heap.check().unwrap();
        let (free, top) = (CellState::Free, CellState::Top);
        let states: Vec<_> = heap.cells().map(|cell| cell.state).collect();
        assert_eq!(states, [CellState::Used, free, CellState::Used, free, CellState::Used, top]);
        let (cells, sizes) = heap.cells().map(|cell| (cell.address, cell.size)).unzip();
        Self { heap, memory, cells, sizes }
    }

    fn word(&self, address: usize) -> *mut usize {
        self.memory.with_addr(address)
    }

    fn read(&self, address: usize) -> usize {
        // SAFETY: an address in the victim's memory.
        unsafe { self.word(address).read() }
    }

    /// Overwrites a word, as a wild pointer would, and returns what `check` says. In a checked heap
    /// that is first of all which headers have wrong check bits; they are put right here, so that
    /// the other rules have their say.
    fn overwrite(&self, address: usize, value: usize) -> Corruption {
        // SAFETY: an address in the victim's memory.
        unsafe { self.word(address).write(value) };
        match self.heap.check().expect_err("the heap is broken") {
            Corruption { rule: Rule::CheckBits, at, expected, .. } if P::GUARDED => {
                self.overwrite(at, expected)
            }
            found => found,
        }
    }

    fn size(&self, cell: usize) -> usize {
        self.sizes[cell]
    }

    fn fencepost(&self) -> usize {
        self.cells[5] + self.size(5)
    }
}

fn layout() -> Layout {
    Layout::from_size_align(12 * WORD, WORD).unwrap()
}

/// A corruption as a case expects it: one cannot be made outside the crate.
#[derive(Debug)]
struct Expected {
    at: usize,
    rule: Rule,
    expected: usize,
    found: usize,
}

impl PartialEq<Expected> for Corruption {
    fn eq(&self, other: &Expected) -> bool {
        let Expected { at, rule, expected, found } = *other;
        (self.at, self.rule, self.expected, self.found) == (at, rule, expected, found)
    }
}

fn corruption(at: usize, rule: Rule, expected: usize, found: usize) -> Expected {
    Expected { at, rule, expected, found }
}

#[case(Plain, Small, Checked<Plain>)]
fn an_overflow_into_the_next_header_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    let (at, most) = (victim.cells[2], victim.fencepost() - victim.cells[2]);
    // The largest size that a header can say.
    let wild = (usize::MAX >> if P::GUARDED { 16 } else { 0 }) & !(2 * WORD - 1) & !FENCEPOST;
    assert_eq!(victim.overwrite(at, wild), corruption(at, Rule::CellSize, most, wild));
    assert_eq!(victim.overwrite(at, 0), corruption(at, Rule::CellSize, most, 0));
    assert_eq!(
        victim.overwrite(at, (2 * WORD) | USED),
        corruption(at, Rule::CellSize, most, 2 * WORD)
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn a_wrong_previous_used_bit_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    let used = victim.read(victim.cells[2]);
    assert_eq!(
        victim.overwrite(victim.cells[2], used | PREV_USED),
        corruption(victim.cells[2], Rule::PrevUsed, 0, 1)
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn a_lost_size_at_the_end_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    let found = corruption(victim.cells[1], Rule::SizeAtEnd, victim.size(1), 99);
    assert_eq!(victim.overwrite(victim.cells[2] - WORD, 99), found);
}

#[case(Plain, Small, Checked<Plain>)]
fn free_neighbours_are_found<P: Variant>() {
    let victim = Victim::<P>::new();
    let header = victim.read(victim.cells[2]);
    assert_eq!(
        victim.overwrite(victim.cells[2], header & !USED),
        corruption(victim.cells[2], Rule::FreeNeighbours, 1, 0)
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn an_overwritten_fencepost_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    let fencepost = victim.fencepost();
    assert_eq!(
        victim.overwrite(fencepost, 64 | USED | FENCEPOST),
        corruption(fencepost, Rule::Fencepost, 0, 64)
    );
    assert_eq!(
        victim.overwrite(fencepost, 64 | USED),
        corruption(fencepost, Rule::Fencepost, 0, 64 | USED)
    );
}

/// Only the first cell of the upper region may follow: every other place is foreign, or inside that
/// region, and is not read.
#[case(Plain, Small, Checked<Plain>)]
fn an_overwritten_fencepost_is_not_followed_into_a_hole<P: Variant>() {
    let mut brk = TestBreak::new(16 * PAGE, 0);
    let memory: *mut usize = brk.end().cast();
    brk.granule = PAGE;
    let mut heap = Heap::<_, NoMap, P>::with_profile(brk, NoMap);
    // SAFETY: the heap outlives the block.
    unsafe { heap.allocate(layout()) }.expect("there is room");
    heap.provider_mut().foreign_up(2 * PAGE);
    heap.reserve(2 * PAGE).unwrap();
    heap.check().unwrap();
    let hole = heap.cells().find(|cell| cell.state == CellState::Hole).expect("two regions");
    let fencepost = memory.with_addr(hole.address);
    for size in [4 * WORD, PAGE, 2 * PAGE, hole.size - 2 * WORD, hole.size + 2 * WORD] {
        // SAFETY: the fencepost is in the heap's memory, and no other code uses the heap.
        unsafe {
            let right = fencepost.read();
            fencepost.write(right - hole.size + size);
            assert_eq!(
                heap.check().expect_err("the fencepost is wrong"),
                corruption(hole.address, Rule::CellSize, hole.size, size)
            );
            fencepost.write(right);
        }
        heap.check().unwrap();
    }
}

#[case(Plain, Small, Checked<Plain>)]
fn a_top_that_is_in_use_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    let (top, fencepost) = (victim.cells[5], victim.fencepost());
    let (header, behind) = (victim.read(top), victim.read(fencepost));
    // SAFETY: an address in the victim's memory.
    unsafe { victim.word(fencepost).write(behind | PREV_USED) };
    assert_eq!(
        victim.overwrite(top, header | USED),
        corruption(victim.cells[0], Rule::Top, 0, top)
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn a_write_after_free_to_the_links_is_found<P: Variant>() {
    let (next, prev) = (WORD, 2 * WORD);
    // Cell 1 was freed last: it is first in the list, cell 3 behind it.
    let victim = Victim::<P>::new();
    assert_eq!(
        victim.overwrite(victim.cells[3] + prev, 0xBAD0),
        corruption(victim.cells[3], Rule::Links, victim.cells[3], 0xBAD0)
    );

    let victim = Victim::<P>::new();
    assert_eq!(
        victim.overwrite(victim.cells[3] + next, 0xBAD0),
        corruption(victim.cells[3], Rule::Links, 0, 0xBAD0)
    );

    let victim = Victim::<P>::new();
    assert_eq!(
        victim.overwrite(victim.cells[1] + next, 0),
        corruption(victim.cells[3], Rule::Links, victim.cells[3], 0)
    );

    // A link that leaves the heap, or points between two cells, is not followed.
    let (victim, bug) = (Victim::<P>::new(), usize::MAX - 3 * WORD + 1);
    assert_eq!(
        victim.overwrite(victim.cells[3] + next, bug),
        corruption(victim.cells[3], Rule::Links, 0, bug)
    );
    let (victim, at) = (Victim::<P>::new(), Victim::<P>::new().cells[0]);
    assert_eq!(
        victim.overwrite(victim.cells[3] + next, at),
        corruption(victim.cells[3], Rule::Links, 0, at)
    );
    let victim = Victim::<P>::new();
    let between = victim.cells[5] + WORD;
    assert_eq!(
        victim.overwrite(victim.cells[3] + next, between),
        corruption(victim.cells[3], Rule::Links, 0, between)
    );

    // A ring is no list: `check` comes to an end.
    let victim = Victim::<P>::new();
    let ring = victim.overwrite(victim.cells[3] + next, victim.cells[1]);
    assert_eq!(ring, corruption(victim.cells[3], Rule::Links, 0, victim.cells[1]));
}

#[case(Plain, Small, Checked<Plain>)]
fn a_cell_in_the_wrong_bin_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    // Cell 3, second in its list, is cut to the smallest size; what is cut off is a used cell. All
    // bits are right.
    let (at, size) = (victim.cells[3], victim.size(3));
    // SAFETY: addresses in the victim's memory.
    unsafe {
        victim.word(at + 3 * WORD).write(4 * WORD);
        victim.word(at + 4 * WORD).write((size - 4 * WORD) | USED);
        let behind = victim.word(at + size);
        behind.write(behind.read() | PREV_USED);
    }
    // A class for each size; with coarse bins, one a doubling from the smallest size on.
    let class = |size: usize| match size / (2 * WORD) {
        units if !P::COARSE => units,
        units => (units / 2).ilog2() as usize,
    };
    assert_eq!(
        victim.overwrite(at, (4 * WORD) | PREV_USED),
        corruption(at, Rule::Class, class(size), class(4 * WORD))
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn a_cell_that_was_never_counted_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    // One used cell becomes two: all bits are right, the counter is not.
    let (at, size) = (victim.cells[2], victim.size(2));
    // SAFETY: an address in the victim's memory.
    unsafe { victim.word(at + 4 * WORD).write((size - 4 * WORD) | USED | PREV_USED) };
    let found = victim.overwrite(at, (4 * WORD) | USED);
    let used = 3 * (size - WORD);
    assert_eq!(found, corruption(victim.cells[0], Rule::UsedBytes, used, used - WORD));
}

#[case(Plain, Small, Checked<Plain>)]
fn a_used_cell_that_swallowed_its_neighbour_is_found<P: Variant>() {
    let victim = Victim::<P>::new();
    // Cell 4 now reaches to the fencepost; the top is inside it.
    let (at, both) = (victim.cells[4], victim.size(4) + victim.size(5));
    let fencepost = victim.read(victim.fencepost());
    // SAFETY: an address in the victim's memory.
    unsafe { victim.word(victim.fencepost()).write(fencepost | PREV_USED) };
    assert_eq!(
        victim.overwrite(at, both | USED),
        corruption(victim.cells[0], Rule::Top, 0, victim.cells[5])
    );
}

#[case(Plain, Small, Checked<Plain>)]
fn a_report_names_address_rule_and_both_values<P: Variant>() {
    let victim = Victim::<P>::new();
    let (at, size) = (victim.cells[1], victim.size(1));
    let report = victim.overwrite(victim.cells[2] - WORD, 0x99).to_string();
    assert_eq!(
        report,
        format!(
            "heap broken at {at:#x}: size at the end of a free cell: expected {size:#x}, found 0x99"
        )
    );
}
