//! One word of what slabs need is broken at a time, and must be reported.

use std::boxed::Box;
use std::vec;
use std::vec::Vec;

use core::alloc::Layout;
use core::ptr::NonNull;

use super::*;
use crate::cell::CELL_ALIGN;
use crate::heap::Heap;
use crate::profile::Usual;
use crate::provider::FixedBreak;
use crate::size_class::{CLASSES, SLAB_MAX};
use crate::slab_tuning::UsualSlabs;
use crate::slabs::Descriptors;

/// A heap with cells of 40 bytes, then three slabs of such blocks.
///
/// The third is the first of its list: it has blocks at hand, some that are not carved yet, and one
/// that was freed. The first is listed behind it: three of its blocks were freed. The second counts
/// as full, although one of its blocks was freed.
struct Victim {
    heap: Heap<FixedBreak>,
    class: Class,
    slabs: Vec<NonNull<Slab>>,
    /// Live blocks of each slab.
    live: [Vec<NonNull<u8>>; 3],
    /// A block that is a cell in use.
    cell: NonNull<u8>,
}

const GRANULE: usize = UsualSlabs::GRANULE;

const LAYOUT: Layout = Layout::new::<[u64; 5]>();

impl Victim {
    fn new() -> Self {
        let memory: Box<[u8; 1 << 20]> =
            vec![0; 1 << 20].into_boxed_slice().try_into().expect("as long as that");
        let mut heap = Heap::new(FixedBreak::from_array(Box::leak(memory)));
        let (mut slabs, mut live, mut cells) = (Vec::new(), [const { Vec::new() }; 3], Vec::new());
        while live[2].len() < 2 {
            // SAFETY: the heap's memory is leaked, and outlives the blocks.
            let block = unsafe { heap.allocate(LAYOUT) }.unwrap();
            let Some(slab) = heap.layer().map.slab_at(addr(block)) else {
                cells.push(block);
                continue;
            };
            if slabs.last() != Some(&slab) {
                slabs.push(slab);
            }
            live[slabs.len() - 1].push(block);
        }
        for (slab, freed) in [(0, 8), (1, 1), (2, 1)] {
            for block in live[slab].drain(..freed) {
                // SAFETY: live until now, with this layout.
                unsafe { heap.deallocate(block, LAYOUT) };
            }
        }
        let class = Class::of::<CLASSES>(LAYOUT).unwrap();
        let victim = Self { heap, class, slabs, live, cell: cells[0] };
        victim.heap.check().unwrap();
        let states = [0, 1, 2].map(|n| victim.slab(n).state());
        assert_eq!(states, [State::Listed, State::Full, State::Listed]);
        assert_eq!(victim.layer().heads[class.index()], Some(victim.slabs[2]));
        assert_eq!(victim.slab(2).next, Some(victim.slabs[0]));
        victim
    }

    fn layer(&self) -> &Slabs<Usual> {
        self.heap.layer_ref()
    }

    fn slab(&self, n: usize) -> &Slab {
        // SAFETY: the descriptor lies in the heap's memory, which is leaked.
        unsafe { self.slabs[n].as_ref() }
    }

    /// Changes a descriptor.
    fn change(&mut self, n: usize, change: impl FnOnce(&mut Slab)) {
        // SAFETY: the descriptor lies in the heap's memory, which is leaked.
        change(unsafe { self.slabs[n].as_mut() });
    }

    /// Address of a slab.
    fn at(&self, n: usize) -> usize {
        addr(self.slab(n).start)
    }

    /// Address of the descriptor of a slab.
    fn descriptor(&self, n: usize) -> usize {
        addr(self.slabs[n])
    }

    /// Address of the lowest cell.
    fn first(&self) -> usize {
        self.heap.chunks().space().lowest().unwrap().addr()
    }

    /// A block that is a cell, and long enough for a table or leaf that lies in it.
    fn long_cell(&mut self) -> NonNull<u8> {
        // SAFETY: the heap's memory is leaked.
        unsafe { self.heap.allocate(Layout::new::<[u64; SLAB_MAX]>()) }.unwrap()
    }

    /// Makes the words of a slab's granule lead elsewhere.
    fn set(&mut self, at: usize, slab: Option<NonNull<Slab>>) {
        // SAFETY: the map reaches so far: callers name granules of slabs, or below one.
        unsafe { self.heap.layer().map.set(at, GRANULE, slab) };
    }

    #[track_caller]
    fn assert_reported(&self, at: usize, rule: Rule, expected: usize, found: usize) {
        assert_eq!(self.heap.check(), Err(Corruption { at, rule, expected, found }));
    }
}

/// Memory that is not the heap's.
fn outside() -> NonNull<u8> {
    NonNull::from(Box::leak(Box::new([0_usize; 1024]))).cast()
}

/// A list of free blocks that begins at an address near a block.
fn list_at(block: NonNull<u8>, address: usize) -> FreeList {
    FreeList(NonNull::new(block.as_ptr().with_addr(address)).map(NonNull::cast))
}

#[test]
fn a_leaf_in_the_wrong_place_is_found() {
    let (mut victim, outside) = (Victim::new(), outside());
    let at = addr(victim.cell);
    // SAFETY: no address of the leaf is looked up.
    unsafe { victim.heap.layer().map.provide_leaf(at, outside) };
    let (_, len) = victim.layer().map.parts().last().unwrap();
    victim.assert_reported(addr(outside), Rule::Leaf, len, 0);

    // Inside the payload of a cell, but not the payload itself.
    let mut victim = Victim::new();
    let at = addr(victim.cell);
    let internal = victim.layer().internal(victim.heap.chunks()).count();
    // SAFETY: inside the block.
    let inside = unsafe { victim.long_cell().add(CELL_ALIGN) };
    // SAFETY: no address of the leaf is looked up.
    unsafe { victim.heap.layer().map.provide_leaf(at, inside) };
    victim.assert_reported(victim.first(), Rule::Leaves, internal + 1, internal);
}

#[test]
fn a_leaf_in_a_cell_that_is_too_short_is_found() {
    let mut victim = Victim::new();
    let cell = victim.cell;
    // SAFETY: no address of the leaf is looked up.
    unsafe { victim.heap.layer().map.provide_leaf(addr(cell), cell) };
    let (_, len) = victim.layer().map.parts().last().unwrap();
    // SAFETY: the payload of a used cell.
    let found = unsafe { Cell::<Usual>::of_payload(cell).header() }.size() - WORD;
    victim.assert_reported(addr(cell), Rule::Leaf, len, found);
}

#[test]
fn a_table_in_the_wrong_place_is_found() {
    let (mut victim, outside) = (Victim::new(), outside());
    let len = Descriptors::next_len::<UsualSlabs>(0);
    // SAFETY: the memory is that long.
    unsafe { victim.heap.layer().descriptors.provide(outside, len) };
    victim.assert_reported(addr(outside), Rule::Leaf, usize::MAX, 0);

    let mut victim = Victim::new();
    let internal = victim.layer().internal(victim.heap.chunks()).count();
    // SAFETY: inside the block.
    let inside = unsafe { victim.long_cell().add(CELL_ALIGN) };
    // SAFETY: the memory is that long.
    unsafe { victim.heap.layer().descriptors.provide(inside, len) };
    victim.assert_reported(victim.first(), Rule::Leaves, internal + 1, internal);
}

#[test]
fn a_page_map_that_says_too_much_or_too_little_is_found() {
    // A word that leads to no descriptor.
    let (mut victim, outside) = (Victim::new(), outside());
    let at = victim.at(1);
    victim.set(at, Some(outside.cast()));
    victim.assert_reported(at, Rule::PageMap, 0, addr(outside));
    let between = victim.slabs[0].as_ptr().wrapping_byte_add(WORD);
    victim.set(at, NonNull::new(between));
    victim.assert_reported(at, Rule::PageMap, 0, between.addr());

    // A granule of a free cell.
    let mut victim = Victim::new();
    let slab = victim.slabs[0];
    let last = victim.layer().map.granules().last().unwrap();
    let top = victim.heap.chunks().top().unwrap().addr();
    assert!(last > top, "the map reaches as far as the top");
    victim.set(last, Some(slab));
    victim.assert_reported(victim.first(), Rule::PageMap, 3, 4);

    // A slab that the map has forgotten.
    let mut victim = Victim::new();
    victim.set(victim.at(0), None);
    victim.assert_reported(victim.first(), Rule::Slabs, 3, 2);

    // A granule of a longer slab.
    let mut victim = Victim::new();
    let layout = Layout::from_size_align(1000, 8).unwrap();
    let long = loop {
        // SAFETY: the heap's memory is leaked.
        let block = unsafe { victim.heap.allocate(layout) }.unwrap();
        if let Some(slab) = victim.layer().map.slab_at(addr(block)) {
            break slab;
        }
    };
    // SAFETY: a descriptor of the heap.
    let second = addr(unsafe { long.as_ref() }.start) + GRANULE;
    let absent = victim.layer().map.absent().unwrap();
    victim.set(second, None);
    victim.assert_reported(second, Rule::PageMap, addr(long), addr(absent));
}

#[test]
fn a_descriptor_of_no_slab_that_counts_is_found() {
    let victim = Victim::new();
    let mut absent = victim.layer().map.absent().unwrap();
    // SAFETY: the descriptor lies in the heap's memory.
    unsafe { absent.as_mut() }.left = 2;
    victim.assert_reported(addr(absent), Rule::PageMap, 1, 0);
    // SAFETY: as before.
    unsafe { absent.as_mut() }.left = 1;
    victim.heap.check().unwrap();
    // SAFETY: as before.
    unsafe { absent.as_mut() }.free = list_at(victim.cell, addr(victim.cell));
    victim.assert_reported(addr(absent), Rule::PageMap, 1, 0);
}

#[test]
fn a_descriptor_that_is_taken_and_not_used_is_found() {
    let mut victim = Victim::new();
    // SAFETY: every table lies in the heap's memory.
    let table = unsafe { victim.layer().descriptors.tables(|_| true) }.next().unwrap();
    let used = victim.slabs.len() + 1;
    assert_eq!(table.used, used, "with the one that stands for no slab");
    victim.heap.layer().descriptors.take().unwrap();
    victim.assert_reported(addr(table.memory), Rule::Descriptors, used, used + 1);
}

#[test]
fn a_cell_where_a_slab_should_be_is_found() {
    // The map says that a slab lies where cells are.
    let mut victim = Victim::new();
    let (cell, slab, start) = (victim.cell, victim.slabs[0], victim.at(0));
    victim.set(addr(cell), Some(slab));
    let Err(Corruption { at, rule: Rule::SlabCell, expected, found }) = victim.heap.check() else {
        panic!("{:?}", victim.heap.check())
    };
    assert_eq!((expected, found, at / GRANULE), (start, at, addr(cell) / GRANULE));

    // A slab that begins elsewhere.
    let mut victim = Victim::new();
    let (right, wrong) = (victim.at(0), victim.slab(1).start);
    victim.change(0, |slab| slab.start = wrong);
    victim.assert_reported(right, Rule::SlabCell, addr(wrong), right);

    // A slab that is less aligned than its blocks must be.
    let mut victim = Victim::new();
    let odd = (0..3).find(|&n| victim.at(n) % SLAB_MAX != 0).unwrap();
    let at = victim.at(odd);
    victim.change(odd, |slab| slab.class = Class::of_usual::<CLASSES>(SLAB_MAX, 1).unwrap());
    victim.assert_reported(at, Rule::SlabCell, at - GRANULE, at);

    // A slab whose cell is too short: what was cut off is another used cell.
    let victim = Victim::new();
    let (start, cut) = (victim.slab(0).start, 1024);
    // SAFETY: the payload of the slab's cell, which is split into two used ones.
    let (len, size) = unsafe {
        let cell = Cell::<Usual>::of_payload(start);
        let header = cell.header();
        cell.write_used(header.size() - cut, header.is_prev_used());
        cell.offset(header.size() - cut).write_used(cut, true);
        (victim.slab(0).len::<UsualSlabs>(), header.size())
    };
    victim.assert_reported(addr(start), Rule::SlabCell, len, size - cut);
}

#[test]
fn a_broken_list_of_free_blocks_is_found() {
    for n in 0..3 {
        let mut victim = Victim::new();
        let (at, start, free) =
            (victim.at(n), victim.slab(n).start, victim.slab(n).free.0.unwrap());
        let behind = at + usize::from(victim.slab(n).carved) * 40;
        for wild in [at + 1, behind, at - 40, 0xBAD0, usize::MAX - 7] {
            victim.change(n, |slab| slab.free = list_at(start, wild));
            victim.assert_reported(at, Rule::SlabList, 0, wild);
        }
        victim.change(n, |slab| slab.free = FreeList(Some(free)));
        victim.heap.check().unwrap();

        // The list leads on from the free block; a ring is no list.
        let link = free.cast::<usize>();
        // SAFETY: a free block of the heap.
        unsafe { link.write(7) };
        victim.assert_reported(at, Rule::SlabList, 0, 7);
        // SAFETY: as before.
        unsafe { link.write(addr(free)) };
        victim.assert_reported(at, Rule::SlabList, 0, addr(free));
    }
}

#[test]
fn a_broken_list_of_blocks_at_hand_is_found() {
    let mut victim = Victim::new();
    let (at, class) = (victim.at(2), victim.class.index());
    for wild in [at + 1, victim.at(0), 0xBAD0] {
        let list = list_at(victim.slab(2).start, wild);
        victim.heap.layer().lists[class] = list;
        victim.assert_reported(at, Rule::SlabList, 0, wild);
    }
    // Of a class that has no slab.
    let mut victim = Victim::new();
    let block = victim.live[0][0];
    victim.heap.layer().lists[class + 1] = list_at(block, addr(block));
    victim.assert_reported(addr(block), Rule::SlabList, 0, addr(block));
}

#[test]
fn a_slab_whose_blocks_are_miscounted_is_found() {
    let mut victim = Victim::new();
    let (at, carved, total) = (victim.at(0), victim.slab(0).carved, victim.slab(0).total);
    victim.change(0, |slab| slab.left += 1);
    victim.assert_reported(at, Rule::SlabBlocks, carved.into(), usize::from(carved) + 1);
    victim.change(0, |slab| slab.left -= 1);
    victim.change(0, |slab| slab.carved = total + 1);
    victim.assert_reported(at, Rule::SlabBlocks, total.into(), usize::from(total) + 1);
    victim.change(0, |slab| slab.carved = total);
    victim.heap.check().unwrap();
    victim.change(0, |slab| slab.set_state(State::Absent));
    victim.assert_reported(at, Rule::SlabBlocks, 1, 0);

    // One that counts as full.
    let mut victim = Victim::new();
    let (at, until) = (victim.at(1), usize::from(victim.slab(1).relisted_after::<UsualSlabs>()));
    victim.change(1, |slab| slab.left += 1);
    victim.assert_reported(at, Rule::SlabBlocks, until, until + 1);
    victim.change(1, |slab| slab.left -= 1);
    victim.change(1, |slab| slab.carved -= 1);
    victim.assert_reported(at, Rule::SlabBlocks, total.into(), usize::from(total) - 1);
    victim.change(1, |slab| slab.carved += 1);
    let freed: Vec<_> = victim.live[1].drain(..until - 1).collect();
    victim.change(1, |slab| {
        slab.left = 0;
        // SAFETY: live blocks of the slab. That the heap is not told is the point.
        freed.into_iter().for_each(|block| unsafe { slab.free.push::<Usual>(block) });
    });
    victim.assert_reported(at, Rule::SlabBlocks, 1, 0);
}

#[test]
fn blocks_at_hand_that_are_free_in_their_slab_are_found() {
    let mut victim = Victim::new();
    let (at, class) = (victim.at(2), victim.class.index());
    let first = victim.layer().lists[class].0;
    let is_block = |address| victim.slab(2).index_of(address).is_some();
    // SAFETY: `is_block` accepts only blocks of the slab.
    let at_hand = unsafe { victim.layer().lists[class].addresses(is_block) }.count();
    assert!(at_hand > usize::from(victim.slab(2).carved) / 2);
    victim.change(2, |slab| {
        slab.free = FreeList(first);
        slab.left = slab.carved - at_hand as u16;
    });
    let left = usize::from(victim.slab(2).left);
    victim.assert_reported(at, Rule::SlabBlocks, at_hand, left);
}

#[test]
fn a_broken_list_of_slabs_is_found() {
    let wild = outside().cast::<Slab>();
    let mut victim = Victim::new();
    let (at, [first, full, head]) = (victim.at(0), [0, 1, 2].map(|n| victim.descriptor(n)));
    let [first_slab, full_slab, head_slab] = [0, 1, 2].map(|n| victim.slabs[n]);

    victim.change(0, |slab| slab.prev = Some(wild));
    victim.assert_reported(at, Rule::SlabLinks, first, addr(wild));
    victim.change(0, |slab| slab.prev = None);
    victim.assert_reported(at, Rule::SlabLinks, first, head);
    victim.change(0, |slab| slab.prev = Some(head_slab));
    victim.heap.check().unwrap();
    victim.change(2, |slab| slab.next = None);
    victim.assert_reported(at, Rule::SlabLinks, first, 0);
    victim.change(2, |slab| slab.next = Some(first_slab));

    for (next, found) in [(wild, addr(wild)), (full_slab, full), (head_slab, head)] {
        victim.change(0, |slab| slab.next = Some(next));
        victim.assert_reported(first, Rule::SlabLinks, 0, found);
    }
    victim.change(0, |slab| slab.next = None);
    victim.heap.check().unwrap();

    // The head of a list is a slab of another class.
    let mut victim = Victim::new();
    let (slab, other) = (victim.slabs[2], victim.class.index() + 1);
    victim.heap.layer().heads[other] = Some(slab);
    victim.assert_reported(0, Rule::SlabLinks, 0, addr(slab));

    // Every slab is led to, by one that is in no list.
    let mut victim = Victim::new();
    let (class, first, head) = (victim.class.index(), victim.slabs[0], victim.slabs[2]);
    victim.change(0, |slab| slab.next = Some(head));
    victim.change(2, |slab| slab.prev = Some(first));
    victim.heap.layer().heads[class] = None;
    victim.heap.layer().lists[class] = FreeList::EMPTY;
    victim.assert_reported(victim.first(), Rule::Listed, 2, 0);
}

#[test]
fn an_empty_slab_beside_others_is_found() {
    let mut victim = Victim::new();
    let at = victim.at(0);
    let live = core::mem::take(&mut victim.live[0]);
    victim.change(0, |slab| {
        slab.left = 0;
        // SAFETY: live blocks of the slab. That the heap is not told is the point.
        live.into_iter().for_each(|block| unsafe { slab.free.push::<Usual>(block) });
    });
    victim.assert_reported(at, Rule::EmptySlab, 1, 0);
}

#[test]
fn wrong_counters_of_slabs_are_found() {
    let mut victim = Victim::new();
    let (first, class) = (victim.first(), victim.class.index());
    victim.heap.layer().empty += 1;
    victim.assert_reported(first, Rule::EmptySlab, 1, 0);
    victim.heap.layer().empty -= 1;
    victim.heap.layer().slabs += 1;
    victim.assert_reported(first, Rule::Slabs, 4, 3);
    victim.heap.layer().slabs -= 1;
    victim.heap.layer().granules[class] += 1;
    victim.assert_reported(first, Rule::Slabs, 4, 3);
    victim.heap.layer().granules[class] -= 1;
    let loan = victim.layer().loan;
    victim.heap.layer().loan += 1;
    victim.assert_reported(first, Rule::Loan, loan + 1, loan);
    victim.heap.layer().loan -= 1;
    let is_on_loan = &mut victim.heap.layer().on_loan[class];
    *is_on_loan = !*is_on_loan;
    victim.assert_reported(first, Rule::Loan, loan, if loan == 0 { 3 } else { 0 });
}
