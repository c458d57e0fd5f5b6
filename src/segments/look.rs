//! Reads of the map, word for word, for the checks.

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering;

#[cfg(test)]
use super::Word;
use super::{ENTRIES, Entry, Leaf, Owner, Segment, SegmentMap, UNIT, Window};
use crate::slabs::Slab;

impl SegmentMap {
    /// Returns what the map says of the unit in which an address lies: its owner, its number in its
    /// segment, the length of that in units, and the address of its words, as if the first one were
    /// that of address 0.
    pub(crate) fn unit_at(&self, address: usize) -> [usize; 4] {
        self.entry_of(address).map_or([0; 4], |entry| {
            [entry.owner().number(), entry.number(), entry.units(), entry.words().addr()]
        })
    }

    /// Returns the word of an address in a segment.
    pub(crate) fn slab_word_at(&self, address: usize) -> Option<NonNull<Slab>> {
        NonNull::new(self.word_at(address)?.load(Ordering::Relaxed))
    }

    /// Returns the descriptor that stands for no slab in the segment in which an address lies.
    pub(crate) fn absent_at(&self, address: usize) -> Option<NonNull<Slab>> {
        self.segment_of(address).map(Segment::absent)
    }

    /// Returns the class byte of an address in a segment.
    pub(crate) fn byte_at(&self, address: usize) -> usize {
        self.segment_of(address).map_or(0, |segment| {
            // SAFETY: the address lies in the segment.
            usize::from(unsafe { segment.class_byte(address) }.load(Ordering::Relaxed))
        })
    }

    /// Returns each unit that has an owner or a number in the map: its address, owner and number.
    pub(crate) fn units(&self) -> impl Iterator<Item = (usize, Owner, usize)> {
        let entries = self.windows().flat_map(Window::entries);
        entries
            .map(|(address, entry)| (address, entry.owner(), entry.number()))
            .filter(|&(_, owner, number)| owner != Owner::NONE || number != 0)
    }

    /// Finds a part of the map that has too little room, before anything of it is read. `room_from`
    /// returns the number of bytes for a part from an address on; `None`: enough. Returns address,
    /// length, and room; the room is 0 for a window that the list has twice.
    pub(crate) fn part_outside(
        &self,
        room_from: impl Fn(usize) -> Option<usize>,
    ) -> Option<(usize, usize, usize)> {
        let outside = |at: usize, layout: Layout| {
            let room = if at % layout.align() == 0 { room_from(at)? } else { 0 };
            (room < layout.size()).then_some((at, layout.size(), room))
        };
        let mut window = &self.first;
        loop {
            let mut leaves = window
                .leaves
                .iter()
                .map(|leaf| leaf.load(Ordering::Acquire).addr())
                .filter(|&leaf| leaf != 0);
            let next = NonNull::new(window.next.load(Ordering::Acquire));
            let found = leaves.find_map(|leaf| outside(leaf, Layout::new::<Leaf>()));
            let (Some(next), None) = (next, found) else { return found };
            let at = next.addr().get();
            if self.leads_back(window, at) {
                return Some((at, size_of::<Window>(), 0));
            }
            if let found @ Some(_) = outside(at, Layout::new::<Window>()) {
                return found;
            }
            // SAFETY: there is room for a window.
            window = unsafe { next.as_ref() };
        }
    }

    /// Returns whether a window up to the `last` lies at an address.
    fn leads_back(&self, last: &Window, address: usize) -> bool {
        let mut up_to_last = true;
        let mut windows = self
            .windows()
            .take_while(|window| core::mem::replace(&mut up_to_last, !ptr::eq(*window, last)));
        windows.any(|window| ptr::from_ref(window).addr() == address)
    }
}

impl Window {
    fn entries(&self) -> impl Iterator<Item = (usize, Entry<'_>)> {
        let base = self.base.load(Ordering::Relaxed);
        // SAFETY: a leaf that is there stays.
        let leaves =
            self.leaves.iter().map(|leaf| unsafe { leaf.load(Ordering::Acquire).as_ref() });
        leaves.enumerate().filter_map(|(number, leaf)| Some((number, leaf?))).flat_map(
            move |(number, leaf)| {
                let first = base.wrapping_add(number * ENTRIES);
                (0..ENTRIES).map(move |index| {
                    (first.wrapping_add(index).wrapping_mul(UNIT), Entry { leaf, index })
                })
            },
        )
    }
}

/// Overwrites parts of the map, for tests. Each method returns what was there.
#[cfg(test)]
impl SegmentMap {
    fn entry(&self, unit: usize) -> Entry<'_> {
        self.entry_of(unit).expect("the map reaches so far")
    }

    /// Overwrites owner and number of a unit.
    pub(crate) fn swap_place(&self, unit: usize, (owner, number): (u16, u16)) -> (u16, u16) {
        let Entry { leaf, index } = self.entry(unit);
        let number = leaf.numbers[index].swap(number, Ordering::Relaxed);
        (leaf.owners[index].swap(owner, Ordering::Relaxed), number)
    }

    pub(crate) fn swap_units(&self, unit: usize, units: usize) -> usize {
        let Entry { leaf, index } = self.entry(unit);
        usize::from(leaf.lengths[index].swap(units as u16, Ordering::Relaxed))
    }

    pub(crate) fn swap_words(&self, unit: usize, words: *mut Word) -> *mut Word {
        let Entry { leaf, index } = self.entry(unit);
        leaf.words[index].swap(words, Ordering::Relaxed)
    }

    pub(crate) fn swap_word(&self, granule: usize, slab: *mut Slab) -> *mut Slab {
        self.word_at(granule).expect("it lies in a segment").swap(slab, Ordering::Relaxed)
    }

    pub(crate) fn swap_byte(&self, granule: usize, byte: u8) -> u8 {
        let segment = self.segment_of(granule).expect("it lies in a segment");
        // SAFETY: the granule lies in the segment.
        unsafe { segment.class_byte(granule) }.swap(byte, Ordering::Relaxed)
    }
}
