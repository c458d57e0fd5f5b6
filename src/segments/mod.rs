//! Segments: the memory of heaps that share a parent, and the map from an address in it to its
//! owner and its slab.
//!
//! ```text
//!   address ─► window ─► leaf ─► entry of the unit ┬► owner, number of the unit in its segment
//!                                                  └► words of the segment
//! ```
//!
//! Owners and classes may be read by any thread. Words lead to descriptors, which only the owner of
//! the segment reads.
//!
//! | part | contract |
//! |---|---|
//! | `segment.rs` | one segment: cells, words, classes |
//! | `words.rs` | the map as the slabs of one owner see it, and these slabs |
//! | `near.rs` | the leaf that was used last |
//! | `look.rs` | the map word for word, for checks |
//!
//! # Ordering
//!
//! Entries, classes and leaves are read by threads that free a block. A thread that has the block
//! got it, directly or not, from its allocation, which came after the segment was entered and the
//! slab began: what hands a pointer from thread to thread orders that too, so relaxed accesses do.
//! When a slab is dissolved, its live blocks get headers; the classes change by releasing stores
//! after that, and are read by acquiring loads, so a thread that finds no class finds the header. A
//! window or leaf is found by an acquiring load, because an address in no segment may lead to one
//! that another thread is just adding.

mod look;
mod near;
mod segment;
mod words;

use core::alloc::Layout;
use core::ops::Range;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU16, AtomicUsize, Ordering};

use crate::cell::WORD;
use crate::size_class::Class;
use crate::slab_tuning::{ArenaSlabs, SlabTuning};
use crate::slabs::Slab;

pub(crate) use near::Near;
use segment::Segment;
pub(crate) use segment::{capacity, layout_of, units_for};
pub use words::{ArenaLayer, SegmentSlabs, SegmentWords};

/// Unit of addresses and lengths of segments, in bytes.
pub(crate) const UNIT: usize = 64 << 10;

/// Unit of addresses that a word describes, in bytes.
pub(crate) const GRANULE: usize = ArenaSlabs::GRANULE;

/// Number of granules of a unit.
const GRANULES: usize = UNIT / GRANULE;

/// Number of units that a leaf describes: 64 MiB.
const ENTRIES: usize = 1024;

/// Number of leaves of a window: it describes 32 GiB on 64-bit; on 32-bit, all there is.
const LEAVES: usize = if usize::BITS == 64 { 512 } else { 64 };

/// Maximum number of units of one segment.
const MOST_UNITS: usize = 1 << 15;

const _: () = assert!(MOST_UNITS <= u16::MAX as usize);

/// Word of a granule.
pub(crate) type Word = AtomicPtr<Slab>;

/// Owner of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner(u16);

impl Owner {
    /// No owner: the memory is the parent's, or unknown.
    pub(crate) const NONE: Self = Self(0);

    /// Returns the owner with this number, if it is in range.
    pub(crate) fn from_index(index: usize) -> Option<Self> {
        u16::try_from(index + 1).ok().map(Self)
    }

    /// Returns a number that distinguishes owners; it is not the [`index`](Owner::index).
    pub(crate) const fn number(self) -> usize {
        self.0 as usize
    }

    /// Returns the number of the owner.
    pub(crate) const fn index(self) -> Option<usize> {
        (self.0 as usize).checked_sub(1)
    }
}

/// Entries of the map for 64 MiB of addresses, one for each unit.
#[derive(Debug)]
#[repr(C)]
struct Leaf {
    /// Words of the segment, as if the first one were that of address 0.
    words: [AtomicPtr<Word>; ENTRIES],
    /// Owner of the segment; 0: there is none.
    owners: [AtomicU16; ENTRIES],
    /// Number of the unit in its segment.
    numbers: [AtomicU16; ENTRIES],
    /// Number of units of the segment.
    lengths: [AtomicU16; ENTRIES],
}

/// Entry of the map for a unit.
#[derive(Clone, Copy, Debug)]
struct Entry<'map> {
    leaf: &'map Leaf,
    /// Number of the unit in the leaf, below `ENTRIES`.
    index: usize,
}

impl<'map> Entry<'map> {
    /// Returns the owner of the unit.
    #[inline(always)]
    fn owner(self) -> Owner {
        // SAFETY: the index is below `ENTRIES`.
        Owner(unsafe { self.leaf.owners.get_unchecked(self.index) }.load(Ordering::Relaxed))
    }

    /// Returns the number of the unit in its segment.
    fn number(self) -> usize {
        usize::from(self.leaf.numbers[self.index].load(Ordering::Relaxed))
    }

    /// Returns the number of units of the segment.
    fn units(self) -> usize {
        usize::from(self.leaf.lengths[self.index].load(Ordering::Relaxed))
    }

    /// Returns the words of the segment, as if the first one were that of address 0.
    #[inline(always)]
    fn words(self) -> *mut Word {
        // SAFETY: the index is below `ENTRIES`.
        unsafe { self.leaf.words.get_unchecked(self.index) }.load(Ordering::Relaxed)
    }

    /// Returns the word of an address.
    ///
    /// # Safety
    ///
    /// The address lies in this unit, which lies in a segment that stays.
    #[inline(always)]
    unsafe fn word(self, address: usize) -> &'map Word {
        // SAFETY: `words` leads to a word for each granule of the segment: `SegmentMap::assign`.
        unsafe { &*self.words().wrapping_add(address / GRANULE) }
    }
}

/// Window of the map: the leaves of a range of addresses.
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
    /// Returns the leaf of a unit, and the unit's index in it; `None` if the window does not reach
    /// so far.
    #[inline(always)]
    fn place(&self, unit: usize) -> Option<(&AtomicPtr<Leaf>, usize)> {
        let unit = unit.wrapping_sub(self.base.load(Ordering::Relaxed));
        Some((self.leaves.get(unit / ENTRIES)?, unit % ENTRIES))
    }
}

/// Map of the segments of a parent heap. Zeroed memory is a map without segments.
pub struct SegmentMap {
    first: Window,
}

impl SegmentMap {
    /// Makes a zeroed map, which has no segments, begin at `lowest`.
    pub(crate) fn begin_at(&self, lowest: usize) {
        self.first.base.store(lowest / UNIT, Ordering::Relaxed);
    }

    /// Returns the owner of the segment in which an address lies. O(1).
    #[inline(always)]
    pub(crate) fn owner_of(&self, address: usize) -> Owner {
        self.entry_of(address).map_or(Owner::NONE, Entry::owner)
    }

    /// Returns the segment in which an address lies.
    fn segment_of(&self, address: usize) -> Option<Segment> {
        let entry = self.entry_of(address).filter(|entry| entry.owner() != Owner::NONE)?;
        let start = (address / UNIT - entry.number()) * UNIT;
        // Exposed by `assign`.
        let start = NonNull::new(ptr::with_exposed_provenance_mut(start))?;
        Some(Segment { start, units: entry.units() })
    }

    /// Returns the addresses of the memory for cells in which an address lies.
    pub(crate) fn cells_around(&self, address: usize) -> Option<Range<usize>> {
        let segment = self.segment_of(address)?;
        let cells = segment.start.addr().get()..segment.end();
        cells.contains(&address).then_some(cells)
    }

    /// Returns the class of the slab in which an address lies; `None` if it lies in none. O(1).
    pub(crate) fn class_at(&self, address: usize) -> Option<Class> {
        let segment = self.segment_of(address)?;
        // SAFETY: the address lies in the segment.
        let byte = unsafe { segment.class_byte(address) }.load(Ordering::Acquire);
        Class::from_index(usize::from(byte).wrapping_sub(1))
    }

    /// Returns the start of the block of a slab in which an address lies; `None`: it lies in no
    /// slab, or behind its last block. O(granules of the slab).
    pub(crate) fn block_around(&self, address: usize) -> Option<usize> {
        let (class, segment) = (self.class_at(address)?, self.segment_of(address)?);
        let word = |at| self.word_at(at).map(|word| word.load(Ordering::Relaxed));
        let (slab, mut start) = (word(address), address / GRANULE * GRANULE);
        while start > segment.start.addr().get() && word(start - GRANULE) == slab {
            start -= GRANULE;
        }
        let mut end = address / GRANULE * GRANULE + GRANULE;
        while end < segment.end() && word(end) == slab {
            end += GRANULE;
        }
        // The header of the next cell is in the last word of a slab.
        let (total, index) =
            ((end - start - WORD) / class.size(), (address - start) / class.size());
        (index < total).then_some(start + index * class.size())
    }

    /// Returns the word of an address in a segment.
    fn word_at(&self, address: usize) -> Option<&Word> {
        let entry = self.entry_of(address).filter(|entry| entry.owner() != Owner::NONE)?;
        // SAFETY: the address lies in this unit, which has an owner, and so in a segment.
        Some(unsafe { entry.word(address) })
    }

    /// Returns whether the first cell of a segment's region may lie at `address`.
    #[inline]
    pub(crate) fn begins_region(&self, address: usize) -> bool {
        let from_unit = address % UNIT;
        let is_first = |entry: Entry<'_>| entry.owner() != Owner::NONE && entry.number() == 0;
        from_unit < GRANULE && self.entry_of(address).is_some_and(is_first)
    }

    /// Returns the entry of an address, if there is one.
    #[inline(always)]
    fn entry_of(&self, address: usize) -> Option<Entry<'_>> {
        self.leaf_of(address / UNIT).map(|(leaf, index)| Entry { leaf, index })
    }

    /// Returns the leaf that describes a unit, and the unit's index in it.
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

    /// Returns all windows. The first one that reaches a unit describes it.
    fn windows(&self) -> impl Iterator<Item = &Window> {
        // SAFETY: a window that is there stays.
        core::iter::successors(Some(&self.first), |window| unsafe {
            window.next.load(Ordering::Acquire).as_ref()
        })
    }

    /// Makes the map reach a segment. `take` allocates zeroed memory, which the map keeps. Returns
    /// `false` if there is none.
    ///
    /// # Safety
    ///
    /// One caller at a time. Memory that `take` returns has the given layout, and belongs to the
    /// map.
    pub(crate) unsafe fn reach(
        &self,
        start: usize,
        units: usize,
        mut take: impl FnMut(Layout) -> Option<NonNull<u8>>,
    ) -> bool {
        let first = start / UNIT;
        // The last unit too, and each leaf between.
        let places = (first..first + units).step_by(ENTRIES).chain([first + units - 1]);
        places.into_iter().all(|unit| self.reach_unit(unit, &mut take).is_some())
    }

    fn reach_unit(
        &self,
        unit: usize,
        take: &mut dyn FnMut(Layout) -> Option<NonNull<u8>>,
    ) -> Option<()> {
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

    /// Enters a segment that the map [reaches](SegmentMap::reach), without a slab. Returns the
    /// memory for cells. O(units).
    ///
    /// # Safety
    ///
    /// `units` units from `start` on, except the last word, belong to the owner alone.
    pub(crate) unsafe fn assign(
        &self,
        start: NonNull<u8>,
        units: usize,
        owner: Owner,
    ) -> NonNull<[u8]> {
        start.as_ptr().expose_provenance();
        let segment = Segment { start, units };
        // SAFETY: words, descriptor and classes lie in the segment, which is the owner's.
        unsafe {
            segment.absent().write(Slab::absent(0));
            for granule in 0..units * GRANULES {
                segment.words().add(granule).write(Word::new(segment.absent().as_ptr()));
            }
            segment.classes().write_bytes(0, units * GRANULES);
        }
        let first = start.addr().get() / GRANULE;
        let words = segment.words().as_ptr().wrapping_sub(first);
        for (number, entry) in self.entries_of(segment) {
            let Entry { leaf, index } = entry;
            leaf.words[index].store(words, Ordering::Relaxed);
            leaf.numbers[index].store(number as u16, Ordering::Relaxed);
            leaf.lengths[index].store(units as u16, Ordering::Relaxed);
            leaf.owners[index].store(owner.0, Ordering::Relaxed);
        }
        NonNull::slice_from_raw_parts(start, capacity(units))
    }

    /// Forgets the segment in which an address lies. Returns its start. O(units).
    pub(crate) fn forget(&self, address: usize) -> Option<NonNull<u8>> {
        let segment = self.segment_of(address)?;
        for (_, Entry { leaf, index }) in self.entries_of(segment) {
            leaf.owners[index].store(Owner::NONE.0, Ordering::Relaxed);
            leaf.numbers[index].store(0, Ordering::Relaxed);
        }
        Some(segment.start)
    }

    /// Returns the entries of a segment's units, and the number of each in the segment.
    fn entries_of(&self, segment: Segment) -> impl Iterator<Item = (usize, Entry<'_>)> {
        let first = segment.start.addr().get();
        let entries = (0..segment.units).map(move |number| self.entry_of(first + number * UNIT));
        entries.enumerate().filter_map(|(number, entry)| Some((number, entry?)))
    }

    /// Passes all memory that `take` returned to `look`, which may free it: nothing of a part is
    /// read after that.
    pub(crate) fn parts(&self, mut look: impl FnMut(NonNull<u8>, Layout)) {
        // The next window is found before one is shown.
        for window in self.windows() {
            for leaf in &window.leaves {
                if let Some(leaf) = NonNull::new(leaf.load(Ordering::Acquire)) {
                    look(leaf.cast(), Layout::new::<Leaf>());
                }
            }
            if !ptr::eq(window, &self.first) {
                look(NonNull::from(window).cast(), Layout::new::<Window>());
            }
        }
    }
}

#[cfg(test)]
mod tests;
