//! What a caller asks for, in terms of cells. Arithmetic only.

use core::alloc::Layout;

use crate::cell::{CELL_ALIGN, MIN_CELL, WORD};

/// A request for a block, as the cell that it needs.
///
/// # Invariants
///
/// * `size ≥ MIN_CELL`, `size ≡ 0 (mod CELL_ALIGN)`: a size that a cell can have
/// * `align` is a power of two
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    size: usize,
    align: usize,
}

impl Request {
    /// The cell that holds a block of this layout: header and payload, rounded up. A block of no
    /// bytes gets a cell of its own all the same, so that its address is unique.
    pub(super) fn new(layout: Layout) -> Self {
        let Self { size, align } = Self::of_long(layout);
        Self { size: size.max(MIN_CELL), align }
    }

    /// [`new`](Request::new) for a layout that is as long as the payload of the smallest cell, or
    /// longer.
    pub(super) const fn of_long(layout: Layout) -> Self {
        // A layout is half as long as the address space at most: no sum overflows.
        Self {
            size: (layout.size() + WORD + CELL_ALIGN - 1) & !(CELL_ALIGN - 1),
            align: layout.align(),
        }
    }

    /// Size of the cell, in bytes, header included.
    pub(super) const fn size(self) -> usize {
        self.size
    }

    /// Whether the request needs more than the alignment that every payload has.
    pub(super) const fn is_over_aligned(self) -> bool {
        self.align > CELL_ALIGN
    }

    /// Size of a cell that holds the request wherever the cell lies; `None` if no address space is
    /// large enough.
    pub(super) fn size_anywhere(self) -> Option<usize> {
        if !self.is_over_aligned() {
            return Some(self.size);
        }
        // At worst the first aligned place leaves a lead that is too short to be a cell, and the
        // next one is taken.
        self.size.checked_add(self.align)?.checked_add(MIN_CELL - CELL_ALIGN)
    }

    /// Size of the cell, with what of the place before it is of little use to others, if the
    /// request is over-aligned.
    #[cfg(not(feature = "tiny"))]
    pub(super) const fn usual_size(self) -> usize {
        self.size + if self.is_over_aligned() { self.align } else { 0 }
    }

    /// How far above `cell` (the address of a header) the request's own cell must start to have its
    /// payload aligned: either nothing, or enough for the bytes below it to be a cell of their
    /// own. (That may be past the end of the address space.)
    pub(super) const fn lead(self, cell: usize) -> usize {
        let lead = cell.wrapping_add(WORD).wrapping_neg() & (self.align - 1);
        // Cells are multiples of CELL_ALIGN, so this is one too short, by CELL_ALIGN.
        if lead != 0 && lead < MIN_CELL { lead + self.align } else { lead }
    }

    /// The lead with which the request fits into a cell of `size` bytes at address `cell`, if it
    /// does.
    pub(super) fn fit(self, cell: usize, size: usize) -> Option<usize> {
        let lead = self.lead(cell);
        (lead.checked_add(self.size)? <= size).then_some(lead)
    }
}

/// The lowest multiple of `step`, a power of two, that is at least `value`; `None` if no word holds
/// it.
pub(super) fn round_up(value: usize, step: usize) -> Option<usize> {
    Some(value.checked_add(step - 1)? & !(step - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(size: usize, align: usize) -> Request {
        Request::new(Layout::from_size_align(size, align).unwrap())
    }

    #[test]
    fn small_requests_take_the_smallest_cell() {
        for size in 0..=MIN_CELL - WORD {
            assert_eq!(request(size, 1).size(), MIN_CELL);
        }
        assert_eq!(request(MIN_CELL - WORD + 1, 1).size(), MIN_CELL + CELL_ALIGN);
    }

    #[test]
    fn the_largest_layout_has_a_cell_and_the_worst_alignment_may_have_none() {
        let most = isize::MAX as usize;
        assert!(request(most, 1).size() > most);
        let half = 1 << (usize::BITS - 2);
        assert_eq!(
            request(half, half).size_anywhere(),
            Some(2 * half + CELL_ALIGN + MIN_CELL - CELL_ALIGN)
        );
    }

    #[test]
    fn what_is_longer_than_any_memory_fits_nowhere() {
        let half = 1 << (usize::BITS - 1);
        let most = Request { size: usize::MAX - CELL_ALIGN + 1, align: half };
        for cell in [
            CELL_ALIGN - WORD,
            3 * CELL_ALIGN - WORD,
            half - WORD,
            half - CELL_ALIGN - WORD,
            half + CELL_ALIGN - WORD,
        ] {
            assert!((cell + WORD).wrapping_add(most.lead(cell)).is_multiple_of(half));
            assert_eq!(most.fit(cell, usize::MAX).is_some(), cell == half - WORD, "{cell:#x}");
        }
    }

    proptest! {
        /// A lead aligns the payload, leaves room for a cell, and is the shortest that does both.
        #[test]
        fn leads_are_right(size in 0..10_000_usize, shift in 0..20_u32, place in 1..1_000_000_usize) {
            let (align, cell) = (1 << shift, place * CELL_ALIGN - WORD);
            let request = request(size, align);
            let lead = request.lead(cell);
            let good = |lead: usize| (cell + lead + WORD).is_multiple_of(align) && (lead == 0 || lead >= MIN_CELL);
            prop_assert!(good(lead));
            prop_assert!((0..lead).step_by(CELL_ALIGN).all(|shorter| !good(shorter)));
            prop_assert!(lead + request.size() <= request.size_anywhere().unwrap());
            prop_assert_eq!(request.fit(cell, lead + request.size()), Some(lead));
            prop_assert_eq!(request.fit(cell, lead + request.size() - CELL_ALIGN), None);
        }
    }
}
