//! One segment: the memory for cells, and behind it what the map says of its granules.
//!
//! ```text
//!   a multiple of UNIT                                                      the parent's next cell
//!   ┌──────────────────────────────────────────┬───────┬────────┬─────────┬────────┐
//!   │ the region of cells                      │ words │ absent │ classes │ header │
//!   └──────────────────────────────────────────┴───────┴────────┴─────────┴────────┘
//! ```
//!
//! One word and one class a granule: the descriptor of its slab, or `absent`, which stands for no
//! slab; the class of the slab, plus 1.

use core::alloc::Layout;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU8;

use super::{GRANULE, GRANULES, MOST_UNITS, UNIT, Word};
use crate::cell::WORD;
use crate::slabs::Slab;

/// Segment, as the map knows it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub(super) start: NonNull<u8>,
    pub(super) units: usize,
}

impl Segment {
    /// Returns the end of the memory for cells.
    pub(super) fn end(self) -> usize {
        self.start.addr().get() + capacity(self.units)
    }

    /// Returns the words.
    pub(super) fn words(self) -> NonNull<Word> {
        // SAFETY: the words begin where the memory for cells ends, inside the segment.
        unsafe { self.start.add(capacity(self.units)) }.cast()
    }

    /// Returns the descriptor that stands for no slab.
    pub(super) fn absent(self) -> NonNull<Slab> {
        // SAFETY: it lies behind the words, inside the segment.
        unsafe { self.words().add(self.units * GRANULES) }.cast()
    }

    /// Returns the class bytes: for each granule, the class of the slab in which it lies, plus 1;
    /// 0: it lies in none.
    pub(super) fn classes(self) -> NonNull<AtomicU8> {
        // SAFETY: they lie behind the descriptor, inside the segment.
        unsafe { self.absent().add(1) }.cast()
    }

    /// Returns the class byte of an address.
    ///
    /// # Safety
    ///
    /// The address lies in the segment, which stays as long as the answer is in use.
    pub(super) unsafe fn class_byte<'map>(self, address: usize) -> &'map AtomicU8 {
        let granule = (address - self.start.addr().get()) / GRANULE;
        // SAFETY: there is a byte for each granule of the segment.
        unsafe { self.classes().add(granule).as_ref() }
    }
}

/// Returns the layout of a segment of `units` units, as a block of the parent: the parent's next
/// header is in the last word.
pub(crate) fn layout_of(units: usize) -> Option<Layout> {
    if units == 0 || units > MOST_UNITS {
        return None;
    }
    Layout::from_size_align(units * UNIT - WORD, UNIT).ok()
}

/// Bytes of a unit that are not for cells: a word and a class for each granule.
const TAKEN_OF_UNIT: usize = GRANULES * (WORD + 1);

/// Bytes of a segment that are not for cells, beside those of its units: the descriptor that stands
/// for no slab, and the parent's next header.
const TAKEN: usize = size_of::<Slab>() + WORD;

/// Returns the bytes for cells in a segment of `units` units.
pub(crate) const fn capacity(units: usize) -> usize {
    units * (UNIT - TAKEN_OF_UNIT) - TAKEN
}

/// Returns the number of units of a segment with at least `bytes` bytes for cells.
pub(crate) const fn units_for(bytes: usize) -> usize {
    bytes.saturating_add(TAKEN).div_ceil(UNIT - TAKEN_OF_UNIT)
}
