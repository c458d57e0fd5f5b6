//! A word of what arenas and the map of segments say of each other is broken at a time, and must be
//! reported.

use core::alloc::Layout;
use core::cell::Cell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::arena::ArenaHeap;
use crate::provider::FixedBreak;
use crate::size_class::Class;
use crate::small::segments::UNIT;
use crate::small::{PAGE, len_of};

std::thread_local!(static SLOT: Cell<usize> = const { Cell::new(0) });

/// Three slots, of which a case says on which it is.
struct ThreeSlots;

// SAFETY: each case has one thread, and a heap of its own.
unsafe impl crate::Cpu for ThreeSlots {
    const NESTS: bool = false;

    fn slots(&self) -> usize {
        3
    }

    fn enter(&self) -> usize {
        SLOT.get()
    }
}

/// A heap with two arenas of several segments, some of which have several units, and a slot
/// without.
struct Victim {
    heap: ArenaHeap<FixedBreak, ThreeSlots>,
    /// For each arena, the start of its first segment with a unit behind the first, and a block
    /// there.
    longer: [usize; 2],
    /// For each arena, a block in a run.
    in_run: [usize; 2],
}

const SMALL: Layout = Layout::new::<[u64; 4]>();
const UNUSUAL: Layout = Layout::new::<[u64; 2_000]>();

impl Victim {
    fn new() -> Self {
        let memory: Box<[u8; 8 << 20]> =
            vec![0; 8 << 20].into_boxed_slice().try_into().expect("as long as that");
        let heap = ArenaHeap::new(FixedBreak::from_array(Box::leak(memory)), ThreeSlots);
        let mut victim = Self { heap, longer: [0; 2], in_run: [0; 2] };
        for slot in 0..2 {
            SLOT.set(slot);
            for _ in 0..100 {
                for layout in [SMALL, SMALL, UNUSUAL] {
                    // SAFETY: the heap's memory is leaked, and outlives the blocks.
                    let block = unsafe { victim.heap.allocate(layout) }.unwrap().addr().get();
                    if victim.byte(block) != 0 {
                        victim.in_run[slot] = block;
                    }
                }
            }
            let owner = Owner::from_index(2 * slot);
            let second = victim
                .shared()
                .map
                .units()
                .find(|&(_, of, number)| Some(of) == owner && number == 1);
            victim.longer[slot] = second.expect("some segments are longer").0 - UNIT;
        }
        assert!(victim.in_run.iter().all(|&block| block != 0));
        assert_eq!(victim.check(), Ok(()));
        victim
    }

    fn shared(&self) -> &Shared<Arena<FixedBreak, crate::NoMap, crate::Usual, crate::lock::Spin>> {
        self.heap.shared().expect("there are arenas")
    }

    fn check(&self) -> Result<(), Corruption> {
        // SAFETY: each case has one thread.
        unsafe { self.heap.exclusive() }.check()
    }

    /// What the map says of a page.
    fn byte(&self, address: usize) -> usize {
        self.shared().map.byte_at(address)
    }

    /// Overwrites what the map says of a page. Returns what it was.
    fn set_byte(&self, page: usize, byte: u8) -> u8 {
        self.shared()
            .map
            .page_at(page)
            .expect("the map reaches as far")
            .swap(byte, Ordering::Relaxed)
    }

    /// Overwrites the entry of a unit. Returns what it was.
    fn set_entry(&self, unit: usize, entry: u32) -> u32 {
        let mut entries = self.shared().map.entries();
        let (_, place) =
            entries.find(|&(address, _)| address == unit).expect("the map reaches as far");
        place.swap(entry, Ordering::Relaxed)
    }

    /// With another entry the check says that; with the old one all is well.
    #[track_caller]
    fn assert_entry_is_found(
        &self,
        unit: usize,
        entry: impl Fn(u32) -> u32,
        rule: Rule,
        expected: usize,
        found: usize,
    ) {
        let before = self.set_entry(unit, 0);
        self.set_entry(unit, entry(before));
        assert_eq!(self.check(), Err(Corruption { at: unit, rule, expected, found }));
        self.set_entry(unit, before);
        assert_eq!(self.check(), Ok(()));
    }
}

const fn entry(owner: u32, number: u32) -> u32 {
    owner << 16 | number
}

/// The number of the owner of the first arena, and of the second one, of a slot without a second
/// level of its own.
const OWNERS: [u32; 2] = [1, 3];

#[test]
fn a_unit_that_is_anothers_or_nobodys_in_the_map_is_found() {
    let victim = Victim::new();
    for (slot, owner) in OWNERS.into_iter().enumerate() {
        let expected = owner as usize;
        for number in 0..2 {
            let unit = victim.longer[slot] + number * UNIT;
            // Nobody; the other arena; a level without an arena; a slot without one; no slot at
            // all.
            for wrong in [0, OWNERS[1 - slot], owner + 1, 5, 0xFFFF] {
                let with_owner = |before: u32| entry(wrong, before & 0xFFFF);
                victim.assert_entry_is_found(
                    unit,
                    with_owner,
                    Rule::SegmentOwner,
                    expected,
                    wrong as usize,
                );
            }
            victim.assert_entry_is_found(unit, |_| 0, Rule::SegmentOwner, expected, 0);
        }
    }
}

#[test]
fn a_unit_with_another_number_in_its_segment_is_found() {
    let victim = Victim::new();
    for (slot, owner) in OWNERS.into_iter().enumerate() {
        for (number, wrong) in [(0, 1), (1, 0), (1, 2), (0, 0xFFFF)] {
            let unit = victim.longer[slot] + number * UNIT;
            victim.assert_entry_is_found(
                unit,
                |_| entry(owner, wrong),
                Rule::SegmentUnit,
                number,
                wrong as usize,
            );
        }
    }
}

#[test]
fn a_unit_of_the_parent_that_the_map_gives_to_somebody_is_found() {
    let victim = Victim::new();
    let map = &victim.shared().map;
    let last = map.units().map(|(at, ..)| at).max().unwrap();
    let mut others =
        map.entries().map(|(at, _)| at).filter(|&at| map.unit_at(at) == (Owner::NOBODY, 0));
    let unit = others.find(|&at| at > last).unwrap();
    for owner in [1, 2, 3, 5, 6, 7, 0xFFFF] {
        victim.assert_entry_is_found(
            unit,
            |_| entry(owner, 0),
            Rule::SegmentOwner,
            0,
            owner as usize,
        );
    }
    victim.assert_entry_is_found(unit, |_| entry(0, 3), Rule::SegmentUnit, 0, 3);
}

#[test]
fn a_page_that_is_said_to_be_of_a_run_and_is_not_is_found() {
    let victim = Victim::new();
    for slot in 0..2 {
        SLOT.set(slot);
        let number = Class::of(SMALL).unwrap().index() as u8 + 1;
        // SAFETY: the heap's memory is leaked, and outlives the block.
        let large = unsafe { victim.heap.allocate(UNUSUAL) }.unwrap().addr().get();
        // Where the bytes of pages themselves are, before a cell: no class. In a block that is a
        // cell: any.
        let inside = large.next_multiple_of(PAGE);
        for (page, wrong) in [(victim.longer[slot], 0xFF), (inside, number), (inside, 0xFF)] {
            assert_eq!(victim.set_byte(page, wrong), 0);
            let report =
                Corruption { at: page, rule: Rule::NoRun, expected: 0, found: wrong.into() };
            assert_eq!(victim.check(), Err(report));
            // One's own arena is looked at by who is on the slot, too.
            assert_eq!(victim.heap.check(), Err(report));
            victim.set_byte(page, 0);
            assert_eq!(victim.check(), Ok(()));
        }
    }
}

#[test]
fn a_page_of_a_run_that_is_said_to_be_something_else_is_found() {
    let victim = Victim::new();
    for block in victim.in_run {
        let class = Class::from_index(victim.byte(block) - 1).unwrap();
        let run = block / len_of(class) * len_of(class);
        for page in (run..run + len_of(class)).step_by(PAGE) {
            for wrong in [0, class.index() as u8 + 2, 0xFF] {
                let before = victim.set_byte(page, wrong);
                assert!(
                    victim.check().is_err(),
                    "page {page:#x} of the run at {run:#x} is {wrong}"
                );
                victim.set_byte(page, before);
                assert_eq!(victim.check(), Ok(()));
            }
        }
    }
}

#[test]
fn a_part_of_the_map_that_is_not_the_parents_is_found() {
    let victim = Victim::new();
    let map = &victim.shared().map;
    let mut parts = Vec::new();
    map.parts(|part, layout| parts.push((part.addr().get(), layout)));
    let [(leaf, layout)] = parts[..] else { panic!("8 MiB have one leaf, or two: {parts:?}") };
    let room = |parent: &crate::Heap<FixedBreak>| room_from(parent.chunks(), leaf);
    assert!(victim.heap.with_parent(room).unwrap() >= layout.size());
    // The word of the map that leads there.
    let (words, len) =
        (ptr::from_ref(map).cast::<AtomicUsize>(), size_of_val(map) / size_of::<usize>());
    // SAFETY: the map, of which each word is an atomic of that size.
    let words = unsafe { core::slice::from_raw_parts(words, len) };
    let word = words.iter().find(|word| word.load(Ordering::Relaxed) == leaf).unwrap();
    let elsewhere = ptr::from_mut(Box::leak(Box::new([0_u64; 1024]))).expose_provenance();
    for (wrong, found) in [(elsewhere, 0), (leaf + 1, 0), (8, 0)] {
        word.store(wrong, Ordering::Relaxed);
        let report =
            Corruption { at: wrong, rule: Rule::SegmentMap, expected: layout.size(), found };
        assert_eq!(victim.check(), Err(report));
        word.store(leaf, Ordering::Relaxed);
        assert_eq!(victim.check(), Ok(()));
    }
}
