//! What the map says, word for word: for the checks.

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use super::{ENTRIES, Leaf, Owner, SegmentMap, UNIT, Window};

impl SegmentMap {
    /// What the map says of the unit in which an address lies: whose it is, and its number in its
    /// segment.
    pub(crate) fn unit_at(&self, address: usize) -> (Owner, usize) {
        meaning_of(self.entry(address))
    }

    /// What the map says of the page in which an address lies: the class of the run there, plus
    /// one; 0: none.
    pub(crate) fn byte_at(&self, address: usize) -> usize {
        self.page_at(address).map_or(0, |byte| usize::from(byte.load(Ordering::Relaxed)))
    }

    /// Where the map says something of the page in which an address lies.
    pub(crate) fn page_at(&self, address: usize) -> Option<&AtomicU8> {
        let (leaf, index) = self.leaf_of(address / UNIT)?;
        Some(leaf.page_at(index, address))
    }

    /// Every unit of which the map says something: its address, whose it is, and its number in its
    /// segment.
    pub(crate) fn units(&self) -> impl Iterator<Item = (usize, Owner, usize)> {
        self.entries()
            .map(|(address, entry)| (address, entry.load(Ordering::Relaxed)))
            .filter(|&(_, entry)| entry != 0)
            .map(|(address, entry)| {
                let (owner, number) = meaning_of(entry);
                (address, owner, number)
            })
    }

    /// Looks for a part of the map that has too little room, before anything of it is read.
    /// `room_from` tells how many bytes there are for a part from an address on; `None`:
    /// enough. Returns address, length, and room; which is none for a window that was there before.
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

    /// Whether a window up to the `last` lies at an address.
    fn leads_back(&self, last: &Window, address: usize) -> bool {
        let mut up_to_last = true;
        let mut windows = self
            .windows()
            .take_while(|window| core::mem::replace(&mut up_to_last, !ptr::eq(*window, last)));
        windows.any(|window| ptr::from_ref(window).addr() == address)
    }

    /// Every entry that the map has, and the address of its unit.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (usize, &AtomicU32)> {
        self.windows().flat_map(Window::entries)
    }
}

impl Window {
    fn entries(&self) -> impl Iterator<Item = (usize, &AtomicU32)> {
        let base = self.base.load(Ordering::Relaxed);
        // SAFETY: a leaf that is there stays.
        let leaves =
            self.leaves.iter().map(|leaf| unsafe { leaf.load(Ordering::Acquire).as_ref() });
        leaves.enumerate().filter_map(|(number, leaf)| Some((number, leaf?))).flat_map(
            move |(number, leaf)| {
                let first = base.wrapping_add(number * ENTRIES);
                leaf.entries.iter().enumerate().map(move |(index, entry)| {
                    (first.wrapping_add(index).wrapping_mul(UNIT), entry)
                })
            },
        )
    }
}

/// Whose a unit is by its entry, and its number in its segment.
const fn meaning_of(entry: u32) -> (Owner, usize) {
    (Owner((entry >> 16) as u16), entry as u16 as usize)
}
