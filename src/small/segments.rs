//! Segments: the memory of heaps that share a parent, and what is found from an address in it by anybody, at any time.
//!
//! ```text
//!   address ─► window ─► leaf ┬► entry of the unit: whose it is, and how many units of the segment lie before this one
//!                             └► byte of the page: class of the run, plus one
//!              ┌─────────────────────────────────────────────────────────────────────┐
//!              │ the region of cells                                                 │
//!              └─────────────────────────────────────────────────────────────────────┘
//!              a multiple of UNIT                                   the parent's next header in the last word
//! ```
//!
//! Twenty bytes of the map describe 64 KiB of addresses. The bytes of pages do not lie in the segments: these all begin at the same place of
//! every cache that is addressed by less than 16 bits, which has room for a few such lines only, and so has the TLB.
//!
//! # Ordering
//!
//! Entries and leaves are read by threads that free a block. Whoever has the block got it, directly or not, from its allocation, which
//! came after the segment was entered: what hands a pointer from thread to thread orders that too, so relaxed accesses do. A window
//! or leaf is found by an acquiring load, because an address that is in no segment may lead to one that somebody is just adding.

mod look;
mod near;

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use super::class::Class;
use super::run::PAGE;
use crate::cell::WORD;

pub(crate) use near::Near;

/// Segments begin at multiples of this, and are so long, or a multiple, in bytes.
pub(crate) const UNIT: usize = 64 << 10;

const PAGES_PER_UNIT: usize = UNIT / PAGE;

/// Units that a leaf describes: 64 MiB.
const ENTRIES: usize = 1024;

/// Leaves of a window: it describes 32 GiB on 64-bit; on 32-bit, all there is.
const LEAVES: usize = if usize::BITS == 64 { 512 } else { 64 };

/// The most units of one segment.
const MOST_UNITS: usize = 1 << 15;

/// Who a segment belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Owner(u16);

impl Owner {
    /// Nobody: the memory is the parent's, or not known.
    pub(crate) const NOBODY: Self = Self(0);

    /// The owner with this number, if there may be so many.
    pub(crate) fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index + 1).ok().map(Self)
    }

    /// A number that tells owners apart, and is not the [`index`](Owner::index).
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }

    /// The number of the owner.
    pub(crate) const fn index(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

/// What is known of 64 MiB of addresses.
#[repr(C)]
struct Leaf {
    /// For each unit: owner in the upper half, number of the unit in its segment in the lower one.
    entries: [AtomicU32; ENTRIES],
    /// For each page: class of the run in which it lies, plus one; or 0.
    pages: [AtomicU8; ENTRIES * PAGES_PER_UNIT],
}

impl Leaf {
    /// Whose unit `index` of the leaf is.
    #[inline(always)]
    fn owner(&self, index: usize) -> Owner {
        Owner((self.entries[index % ENTRIES].load(Ordering::Relaxed) >> 16) as u16)
    }

    /// What is known of page `index` of the leaf.
    #[inline(always)]
    fn page(&self, index: usize) -> &AtomicU8 {
        &self.pages[index % (ENTRIES * PAGES_PER_UNIT)]
    }

    /// What is known of the page at `address`, which lies in unit `unit` of the leaf.
    fn page_at(&self, unit: usize, address: usize) -> &AtomicU8 {
        self.page(unit * PAGES_PER_UNIT + address / PAGE % PAGES_PER_UNIT)
    }
}

/// A range of addresses, and what is known of it.
///
/// # Invariants
///
/// A leaf that is there stays. `base` is the number of the first unit, and does not change.
#[repr(C)]
struct Window {
    base: AtomicUsize,
    next: AtomicPtr<Window>,
    leaves: [AtomicPtr<Leaf>; LEAVES],
}

impl Window {
    /// The leaf of a unit, and where in it; `None` if the window does not reach so far.
    #[inline(always)]
    fn place(&self, unit: usize) -> Option<(&AtomicPtr<Leaf>, usize)> {
        let unit = unit.wrapping_sub(self.base.load(Ordering::Relaxed));
        Some((self.leaves.get(unit / ENTRIES)?, unit % ENTRIES))
    }
}

/// The segments of a parent heap. Zeroed memory is a map without segments.
pub(crate) struct SegmentMap {
    first: Window,
}

impl SegmentMap {
    /// Lets a map that is zeroed, and so has no segments, reach from `lowest` on upwards.
    pub(crate) fn begin_at(&self, lowest: usize) {
        self.first.base.store(lowest / UNIT, Ordering::Relaxed);
    }

    /// Whose segment an address lies in. O(1).
    #[inline(always)]
    pub(crate) fn owner_of(&self, address: usize) -> Owner {
        Owner((self.entry(address) >> 16) as u16)
    }

    /// Start of the segment in which an address lies.
    pub(crate) fn start_of(&self, address: usize) -> Option<NonNull<u8>> {
        let entry = self.entry(address);
        if entry == 0 {
            return None;
        }
        let start = (address / UNIT - usize::from(entry as u16)) * UNIT;
        // Exposed by `assign`.
        NonNull::new(ptr::with_exposed_provenance_mut(start))
    }

    /// The class of the run in which an address lies; `None` if it lies in none. O(1).
    pub(crate) fn class_at(&self, address: usize) -> Option<Class> {
        let (leaf, index) = self.leaf_of(address / UNIT)?;
        class_of_byte(leaf.page_at(index, address))
    }

    /// Notes that the pages from `address` on, `len` bytes in one segment, belong to a run; `None`: to none.
    pub(crate) fn set_class(&self, address: usize, len: usize, class: Option<Class>) {
        let byte = class.map_or(0, |class| class.index() as u8 + 1);
        for page in (address..address + len).step_by(PAGE) {
            let Some((leaf, index)) = self.leaf_of(page / UNIT) else { return };
            leaf.page_at(index, page).store(byte, Ordering::Relaxed);
        }
    }

    /// Whether the first cell of a segment's region may lie at `address`.
    #[inline]
    pub(crate) fn begins_region(&self, address: usize) -> bool {
        let from_unit = address % UNIT;
        from_unit < PAGE && self.start_of(address).is_some_and(|start| start.addr().get() == address - from_unit)
    }

    /// The entry of an address; 0 if there is none.
    #[inline(always)]
    fn entry(&self, address: usize) -> u32 {
        self.leaf_of(address / UNIT).map_or(0, |(leaf, index)| leaf.entries[index].load(Ordering::Relaxed))
    }

    /// The leaf that describes a unit, and where in it.
    #[inline(always)]
    fn leaf_of(&self, unit: usize) -> Option<(&Leaf, usize)> {
        let Some((leaf, index)) = self.first.place(unit) else { return self.leaf_further_on(unit) };
        // SAFETY: a leaf that is there stays.
        Some((unsafe { leaf.load(Ordering::Acquire).as_ref() }?, index))
    }

    #[cold]
    #[inline(never)]
    fn leaf_further_on(&self, unit: usize) -> Option<(&Leaf, usize)> {
        let (leaf, index) = self.windows().find_map(|window| window.place(unit))?;
        // SAFETY: a leaf that is there stays.
        Some((unsafe { leaf.load(Ordering::Acquire).as_ref() }?, index))
    }

    /// All windows. The first that reaches a unit describes it.
    fn windows(&self) -> impl Iterator<Item = &Window> {
        // SAFETY: a window that is there stays.
        core::iter::successors(Some(&self.first), |window| unsafe { window.next.load(Ordering::Acquire).as_ref() })
    }

    /// Sees to it that the map reaches a segment. `take` gives zeroed memory, which the map keeps. False: there is none.
    ///
    /// # Safety
    ///
    /// One caller at a time; what `take` gives is as long and aligned as the layout says, and the map's.
    pub(crate) unsafe fn reach(&self, start: usize, units: usize, mut take: impl FnMut(Layout) -> Option<NonNull<u8>>) -> bool {
        let first = start / UNIT;
        // The last unit too, and each leaf between.
        let places = (first..first + units).step_by(ENTRIES).chain([first + units - 1]);
        places.into_iter().all(|unit| self.reach_unit(unit, &mut take).is_some())
    }

    fn reach_unit(&self, unit: usize, take: &mut dyn FnMut(Layout) -> Option<NonNull<u8>>) -> Option<()> {
        if !self.windows().any(|window| window.place(unit).is_some()) {
            let window = take(Layout::new::<Window>())?.cast::<Window>();
            // SAFETY: zero is a valid value of each field.
            unsafe { window.as_ref() }.base.store(unit - unit % ENTRIES, Ordering::Relaxed);
            let last = self.windows().last()?;
            last.next.store(window.as_ptr(), Ordering::Release);
        }
        let (leaf, _) = self.windows().find_map(|window| window.place(unit))?;
        if leaf.load(Ordering::Relaxed).is_null() {
            leaf.store(take(Layout::new::<Leaf>())?.cast().as_ptr(), Ordering::Release);
        }
        Some(())
    }

    /// Enters a segment that the map [reaches](SegmentMap::reach), and clears what it says of pages. Returns the memory for cells.
    ///
    /// # Safety
    ///
    /// `units` units from `start` on, but for the last word, are the owner's alone.
    pub(crate) unsafe fn assign(&self, start: NonNull<u8>, units: usize, owner: Owner) -> NonNull<[u8]> {
        start.as_ptr().expose_provenance();
        self.write_entries(start.addr().get(), units, |unit| u32::from(owner.0) << 16 | unit as u32);
        self.set_class(start.addr().get(), units * UNIT, None);
        NonNull::slice_from_raw_parts(start, capacity(units))
    }

    /// Forgets the segment in which an address lies. Returns its start and number of units.
    pub(crate) fn forget(&self, address: usize, units: usize) -> Option<NonNull<u8>> {
        let start = self.start_of(address)?;
        self.write_entries(start.addr().get(), units, |_| 0);
        Some(start)
    }

    fn write_entries(&self, start: usize, units: usize, entry: impl Fn(usize) -> u32) {
        for unit in 0..units {
            let Some((leaf, index)) = self.leaf_of(start / UNIT + unit) else { return };
            leaf.entries[index].store(entry(unit), Ordering::Relaxed);
        }
    }

    /// Shows everything that `take` gave to `look`, which may take it away: nothing of a part is read after it was shown.
    pub(crate) fn parts(&self, mut look: impl FnMut(NonNull<u8>, Layout)) {
        let mut window: *const Window = &raw const self.first;
        // SAFETY: a window that is there stays, until it is shown here.
        while let Some(at) = unsafe { window.as_ref() } {
            for leaf in &at.leaves {
                if let Some(leaf) = NonNull::new(leaf.load(Ordering::Acquire)) {
                    look(leaf.cast(), Layout::new::<Leaf>());
                }
            }
            let next = at.next.load(Ordering::Acquire);
            if !ptr::eq(at, &self.first) {
                look(NonNull::from(at).cast(), Layout::new::<Window>());
            }
            window = next;
        }
    }
}

/// The layout of a segment of so many units, as a block of the parent: the next header is in its last word.
pub(crate) fn layout_of(units: usize) -> Option<Layout> {
    if units == 0 || units > MOST_UNITS {
        return None;
    }
    Layout::from_size_align(units * UNIT - WORD, UNIT).ok()
}

/// Bytes for cells in a segment of so many units.
pub(crate) const fn capacity(units: usize) -> usize {
    units * UNIT - WORD
}

/// How many units a segment has, of which `bytes` are for cells.
pub(crate) const fn units_for(bytes: usize) -> usize {
    (bytes + WORD).div_ceil(UNIT)
}

/// What a page's byte says.
#[inline(always)]
fn class_of_byte(byte: &AtomicU8) -> Option<Class> {
    Class::from_index(usize::from(byte.load(Ordering::Relaxed)).wrapping_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::alloc::{alloc_zeroed, dealloc};
    use std::boxed::Box;
    use std::vec::Vec;

    /// A map that reaches from `lowest` on, and what it took.
    struct Mapped {
        map: Box<SegmentMap>,
        taken: Vec<(NonNull<u8>, Layout)>,
    }

    impl Mapped {
        fn new(lowest: usize) -> Self {
            // SAFETY: a layout of some bytes.
            let memory = unsafe { alloc_zeroed(Layout::new::<SegmentMap>()) };
            // SAFETY: zero is a valid value, and the box takes what the same allocator gave.
            let map = unsafe { Box::from_raw(memory.cast::<SegmentMap>()) };
            map.begin_at(lowest);
            Self { map, taken: Vec::new() }
        }

        fn reach(&mut self, start: usize, units: usize) -> bool {
            let taken = &mut self.taken;
            let take = |layout| {
                // SAFETY: a layout of some bytes.
                let memory = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
                taken.push((memory, layout));
                Some(memory)
            };
            // SAFETY: one thread; new memory each time.
            unsafe { self.map.reach(start, units, take) }
        }
    }

    impl Drop for Mapped {
        fn drop(&mut self) {
            let mut given = Vec::new();
            self.map.parts(|memory, layout| given.push((memory, layout)));
            assert!(given.iter().all(|piece| self.taken.contains(piece)) && given.len() == self.taken.len());
            // SAFETY: each came from the same allocator.
            given.into_iter().for_each(|(memory, layout)| unsafe { dealloc(memory.as_ptr(), layout) });
        }
    }

    #[test]
    fn each_unit_of_a_segment_leads_to_its_owner_and_its_start() {
        let layout = layout_of(3).unwrap();
        // SAFETY: a layout of some bytes.
        let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
        let at = start.addr().get();
        let mut mapped = Mapped::new(at - 5 * UNIT);
        assert!(mapped.reach(at, 3));
        let owner = Owner::from_index(7).unwrap();
        // SAFETY: the segment is this test's.
        let region = unsafe { mapped.map.assign(start, 3, owner) };
        assert_eq!((region.addr().get(), region.len()), (at, 3 * UNIT - WORD), "nothing of the map's lies in the segment");
        for address in (at..at + 3 * UNIT).step_by(PAGE) {
            assert_eq!((mapped.map.owner_of(address), mapped.map.start_of(address)), (owner, Some(start)));
            assert_eq!(mapped.map.class_at(address), None);
        }
        let class = Class::from_index(9);
        mapped.map.set_class(at + UNIT + PAGE, 4 * PAGE, class);
        let of_class = (at..at + 3 * UNIT).step_by(PAGE).filter(|&page| mapped.map.class_at(page) == class);
        assert!(of_class.eq((at + UNIT + PAGE..at + UNIT + 5 * PAGE).step_by(PAGE)));
        assert!(mapped.map.begins_region(region.addr().get()) && !mapped.map.begins_region(region.addr().get() + UNIT));
        for outside in [at - 1, at + 3 * UNIT, 0, usize::MAX] {
            assert_eq!((mapped.map.owner_of(outside), mapped.map.start_of(outside)), (Owner::NOBODY, None));
        }
        // SAFETY: the map stays until the end of the test.
        let near = unsafe { mapped.map.near(at) }.unwrap();
        for address in (at..at + 3 * UNIT).step_by(PAGE) {
            assert_eq!(near.class_if_owned(address, owner), Some(mapped.map.class_at(address)));
            assert!(!near.is_owned(address, Owner::from_index(8).unwrap()) && !Near::NOTHING.is_owned(address, owner));
        }
        assert!([at - 1, at + 3 * UNIT, 0, usize::MAX].iter().all(|&outside| !near.is_owned(outside, owner)));
        assert_eq!(mapped.map.forget(at + 2 * UNIT, 3), Some(start));
        assert!(!near.is_owned(at + UNIT, owner), "it looks into the map");
        assert_eq!(mapped.map.owner_of(at + UNIT), Owner::NOBODY);
        // SAFETY: taken from the same allocator.
        unsafe { dealloc(start.as_ptr(), layout) };
    }

    #[test]
    fn addresses_far_apart_are_reached_in_any_order() {
        let mut mapped = Mapped::new(100 * UNIT);
        let far = 3 * LEAVES * ENTRIES;
        // As far as the address space goes.
        let start_of = |unit: usize| unit % (usize::MAX / UNIT) * UNIT;
        for unit in [ENTRIES - 1, 2 * far, 1, far] {
            assert!(mapped.reach(start_of(unit), 2));
        }
        assert_eq!(mapped.map.owner_of(start_of(far)), Owner::NOBODY);
    }

    #[test]
    fn a_part_outside_and_a_window_that_leads_back_are_found() {
        if usize::BITS < 64 {
            return; // The first window describes all there is.
        }
        let mut mapped = Mapped::new(0);
        let far = LEAVES * ENTRIES * UNIT;
        for start in [UNIT, far, 2 * far] {
            assert!(mapped.reach(start, 1));
        }
        let parts: Vec<_> = mapped.taken.iter().map(|(at, layout)| (at.addr().get(), layout.size())).collect();
        let room = |at: usize| Some(parts.iter().find(|(part, _)| *part == at).map_or(0, |&(_, len)| len));
        assert_eq!((parts.len(), mapped.map.part_outside(room)), (5, None));
        for &(part, len) in &parts {
            let one_is_short = |at: usize| if at == part { Some(len - 1) } else { room(at) };
            assert_eq!(mapped.map.part_outside(one_is_short), Some((part, len, len - 1)));
        }
        let windows: Vec<_> = mapped.map.windows().collect();
        for (last, back) in [(2, 2), (2, 1), (2, 0), (1, 1), (1, 0)] {
            let to: *const Window = windows[back];
            let before = windows[last].next.swap(to.cast_mut(), Ordering::Relaxed);
            assert_eq!(mapped.map.part_outside(|_| None), Some((to.addr(), size_of::<Window>(), 0)));
            windows[last].next.store(before, Ordering::Relaxed);
        }
        assert_eq!(mapped.map.units().count(), 0);
    }

    #[test]
    fn as_many_units_as_bytes_need() {
        for units in 1..100 {
            assert_eq!((units_for(capacity(units)), units_for(capacity(units) + 1)), (units, units + 1));
        }
        assert_eq!((layout_of(0), layout_of(MOST_UNITS + 1)), (None, None));
    }
}
