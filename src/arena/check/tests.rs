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
use crate::segments::{GRANULE, UNIT};
use crate::size_class::{CLASSES, Class};

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
    /// For each arena, a block in a slab.
    in_slab: [usize; 2],
}

const SMALL: Layout = Layout::new::<[u64; 4]>();
const UNUSUAL: Layout = Layout::new::<[u64; 5_000]>();

impl Victim {
    fn new() -> Self {
        let memory: Box<[u8; 8 << 20]> =
            vec![0; 8 << 20].into_boxed_slice().try_into().expect("as long as that");
        let heap = ArenaHeap::new(FixedBreak::from_array(Box::leak(memory)), ThreeSlots);
        let mut victim = Self { heap, longer: [0; 2], in_slab: [0; 2] };
        for slot in 0..2 {
            SLOT.set(slot);
            for _ in 0..60 {
                for layout in [SMALL, SMALL, UNUSUAL] {
                    // SAFETY: the heap's memory is leaked, and outlives the blocks.
                    let block = unsafe { victim.heap.allocate(layout) }.unwrap().addr().get();
                    if victim.byte(block) != 0 {
                        victim.in_slab[slot] = block;
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
        assert!(victim.in_slab.iter().all(|&block| block != 0));
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

    /// Returns the class byte of a granule.
    fn byte(&self, address: usize) -> usize {
        self.shared().map.byte_at(address)
    }

    /// Overwrites the class byte of a granule. Returns what it was.
    fn set_byte(&self, granule: usize, byte: u8) -> u8 {
        self.shared().map.swap_byte(granule, byte)
    }

    /// Overwrites owner and number of a unit. Returns what they were.
    fn set_entry(&self, unit: usize, entry: (u16, u16)) -> (u16, u16) {
        self.shared().map.swap_place(unit, entry)
    }

    /// With another entry the check says that; with the old one all is well.
    #[track_caller]
    fn assert_entry_is_found(
        &self,
        unit: usize,
        entry: impl Fn((u16, u16)) -> (u16, u16),
        rule: Rule,
        expected: usize,
        found: usize,
    ) {
        let before = self.set_entry(unit, (0, 0));
        self.set_entry(unit, entry(before));
        assert_eq!(self.check(), Err(Corruption { at: unit, rule, expected, found }));
        self.set_entry(unit, before);
        assert_eq!(self.check(), Ok(()));
    }
}

/// The number of the owner of the first arena, and of the second one, of a slot without a second
/// level of its own.
const OWNERS: [u16; 2] = [1, 3];

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
                let with_owner = |(_, number)| (wrong, number);
                victim.assert_entry_is_found(
                    unit,
                    with_owner,
                    Rule::SegmentOwner,
                    expected,
                    wrong as usize,
                );
            }
            victim.assert_entry_is_found(unit, |_| (0, 0), Rule::SegmentOwner, expected, 0);
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
                |_| (owner, wrong),
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
    let mut others = (last + UNIT..).step_by(UNIT);
    let unit = others.find(|&at| map.unit_at(at)[..2] == [0, 0]).unwrap();
    for owner in [1, 2, 3, 5, 6, 7, 0xFFFF] {
        victim.assert_entry_is_found(unit, |_| (owner, 0), Rule::SegmentOwner, 0, owner as usize);
    }
    victim.assert_entry_is_found(unit, |_| (0, 3), Rule::SegmentUnit, 0, 3);
}

#[test]
fn a_granule_that_has_a_class_and_is_no_slabs_is_found() {
    let victim = Victim::new();
    for slot in 0..2 {
        SLOT.set(slot);
        let number = Class::of::<CLASSES>(SMALL).unwrap().index() as u8 + 1;
        // SAFETY: the heap's memory is leaked, and outlives the block.
        let large = unsafe { victim.heap.allocate(UNUSUAL) }.unwrap().addr().get();
        let inside = large.next_multiple_of(GRANULE);
        for (granule, wrong) in [(victim.longer[slot], 0xFF), (inside, number), (inside, 0xFF)] {
            assert_eq!(victim.set_byte(granule, wrong), 0);
            let report = victim.check().unwrap_err();
            let (expected, found) = (report.expected, report.found);
            assert_eq!((report.rule, found), (Rule::PageMap, expected + 1));
            // The caller's own arena is verified by the heap's check, too.
            assert_eq!(victim.heap.check(), Err(report));
            victim.set_byte(granule, 0);
            assert_eq!(victim.check(), Ok(()));
        }
    }
}

#[test]
fn a_granule_of_a_slab_with_another_class_is_found() {
    let victim = Victim::new();
    for block in victim.in_slab {
        let (granule, class) = (block / GRANULE * GRANULE, victim.byte(block));
        for wrong in [0, class as u8 + 1, 0xFF] {
            victim.set_byte(granule, wrong);
            let (rule, found) = (Rule::SegmentClass, usize::from(wrong));
            assert_eq!(
                victim.check(),
                Err(Corruption { at: granule, rule, expected: class, found })
            );
            victim.set_byte(granule, class as u8);
            assert_eq!(victim.check(), Ok(()));
        }
    }
}

#[test]
fn a_word_that_leads_elsewhere_is_found() {
    let victim = Victim::new();
    let map = &victim.shared().map;
    for block in victim.in_slab {
        let (granule, absent) = (block / GRANULE * GRANULE, map.absent_at(block).unwrap());
        let slab = map.slab_word_at(block).unwrap();
        for wrong in [absent.as_ptr(), absent.as_ptr().wrapping_byte_add(8)] {
            map.swap_word(granule, wrong);
            assert_eq!(victim.check().unwrap_err().rule, Rule::PageMap, "{wrong:?}");
            map.swap_word(granule, slab.as_ptr());
            assert_eq!(victim.check(), Ok(()));
        }
        // A granule without a slab: at a cell's payload, or elsewhere.
        let other = (block / UNIT * UNIT..).step_by(GRANULE).find(|&at| map.byte_at(at) == 0);
        map.swap_word(other.unwrap(), slab.as_ptr());
        let rule = victim.check().unwrap_err().rule;
        assert!([Rule::PageMap, Rule::SlabCell].contains(&rule), "{rule:?}");
        map.swap_word(other.unwrap(), absent.as_ptr());
        assert_eq!(victim.check(), Ok(()));
    }
}

#[test]
fn a_segment_with_another_length_or_other_words_is_found() {
    let victim = Victim::new();
    let map = &victim.shared().map;
    for unit in victim.longer.into_iter().flat_map(|start| [start, start + UNIT]) {
        let units = map.swap_units(unit, 1);
        assert!(units > 1);
        let report = Corruption { at: unit, rule: Rule::SegmentLen, expected: units, found: 1 };
        assert_eq!(victim.check(), Err(report));
        map.swap_units(unit, units);
        let words = map.swap_words(unit, ptr::null_mut());
        let expected = words.addr();
        let report = Corruption { at: unit, rule: Rule::SegmentWords, expected, found: 0 };
        assert_eq!(victim.check(), Err(report));
        map.swap_words(unit, words);
        assert_eq!(victim.check(), Ok(()));
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
