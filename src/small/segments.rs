//! Segments: the memory of heaps that share a parent, and what is found from an address in it by
//! anybody, at any time.
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
//! Twenty bytes of the map describe 64 KiB of addresses. The bytes of pages do not lie in the
//! segments: these all begin at the same place of every cache that is addressed by less than 16
//! bits, which has room for a few such lines only, and so has the TLB.
//!
//! # Ordering
//!
//! Entries and leaves are read by threads that free a block. Whoever has the block got it, directly
//! or not, from its allocation, which came after the segment was entered: what hands a pointer from
//! thread to thread orders that too, so relaxed accesses do. A window or leaf is found by an
//! acquiring load, because an address that is in no segment may lead to one that somebody is just
//! adding.

mod look;
mod near;

use core::alloc::Layout;
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};

use super::run::PAGE;
use crate::cell::WORD;
use crate::size_class::Class;

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
pub struct Owner(u16);

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
pub struct SegmentMap {
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

    /// Notes that the pages from `address` on, `len` bytes in one segment, belong to a run; `None`:
    /// to none.
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
        from_unit < PAGE
            && self.start_of(address).is_some_and(|start| start.addr().get() == address - from_unit)
    }

    /// The entry of an address; 0 if there is none.
    #[inline(always)]
    fn entry(&self, address: usize) -> u32 {
        self.leaf_of(address / UNIT)
            .map_or(0, |(leaf, index)| leaf.entries[index].load(Ordering::Relaxed))
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
        core::iter::successors(Some(&self.first), |window| unsafe {
            window.next.load(Ordering::Acquire).as_ref()
        })
    }

    /// Sees to it that the map reaches a segment. `take` gives zeroed memory, which the map keeps.
    /// False: there is none.
    ///
    /// # Safety
    ///
    /// One caller at a time; what `take` gives is as long and aligned as the layout says, and the
    /// map's.
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

    /// Enters a segment that the map [reaches](SegmentMap::reach), and clears what it says of
    /// pages. Returns the memory for cells.
    ///
    /// # Safety
    ///
    /// `units` units from `start` on, but for the last word, are the owner's alone.
    pub(crate) unsafe fn assign(
        &self,
        start: NonNull<u8>,
        units: usize,
        owner: Owner,
    ) -> NonNull<[u8]> {
        start.as_ptr().expose_provenance();
        self.write_entries(start.addr().get(), units, |unit| {
            u32::from(owner.0) << 16 | unit as u32
        });
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

    /// Shows everything that `take` gave to `look`, which may take it away: nothing of a part is
    /// read after it was shown.
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

/// The layout of a segment of so many units, as a block of the parent: the next header is in its
/// last word.
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
mod tests;
