//! Requests for blocks in terms of cells: size, alignment and fit. Arithmetic only.

use core::alloc::Layout;

use crate::cell::{CELL_ALIGN, MIN_CELL, WORD};

/// Size and alignment of the cell that a request for a block needs.
///
/// # Invariants
///
/// * `size ≥ MIN_CELL`, `size ≡ 0 (mod CELL_ALIGN)`: the size of a possible cell
/// * `align` is a power of two
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    size: usize,
    align: usize,
}

impl Request {
    /// Returns the request for a block of this layout: header and payload, rounded up. A block of 0
    /// bytes gets a cell of its own, so that its address is unique.
    pub(crate) fn new(layout: Layout) -> Self {
        let Self { size, align } = Self::of_long(layout);
        Self { size: size.max(MIN_CELL), align }
    }

    /// Returns the request for a block of this layout. The layout's size is at least the payload of
    /// the smallest cell.
    pub(crate) const fn of_long(layout: Layout) -> Self {
        // A layout has at most `isize::MAX` bytes, so no sum overflows.
        Self {
            size: (layout.size() + WORD + CELL_ALIGN - 1) & !(CELL_ALIGN - 1),
            align: layout.align(),
        }
    }

    /// Returns the size of the cell, in bytes, header included.
    pub(crate) const fn size(self) -> usize {
        self.size
    }

    /// Returns `true` if the alignment is stricter than that of every payload.
    pub(crate) const fn is_over_aligned(self) -> bool {
        self.align > CELL_ALIGN
    }

    /// Returns the size of a cell that is large enough for the request at any address, in bytes;
    /// `None` if the sum overflows.
    pub(crate) fn size_anywhere(self) -> Option<usize> {
        if !self.is_over_aligned() {
            return Some(self.size);
        }
        // In the worst case, the lead to the first aligned place is too short for a cell, and the
        // request takes the next aligned place.
        self.size.checked_add(self.align)?.checked_add(MIN_CELL - CELL_ALIGN)
    }

    /// Returns the size of the cell, in bytes, plus the alignment if the request is over-aligned:
    /// an estimate of the memory that serves the request.
    pub(crate) const fn usual_size(self) -> usize {
        self.size + if self.is_over_aligned() { self.align } else { 0 }
    }

    /// Returns the distance from `cell`, the address of a header, up to the request's own cell, in
    /// bytes. It aligns the payload, and is either 0 or long enough for a cell of its own. The sum
    /// with `cell` may wrap.
    pub(crate) const fn lead(self, cell: usize) -> usize {
        let lead = cell.wrapping_add(WORD).wrapping_neg() & (self.align - 1);
        // The lead is a multiple of `CELL_ALIGN`, and below `MIN_CELL` too short for a cell.
        if lead != 0 && lead < MIN_CELL { lead + self.align } else { lead }
    }

    /// Returns the lead with which the request fits into a cell of `size` bytes at address `cell`;
    /// `None` if the cell is too small.
    pub(crate) fn fit(self, cell: usize, size: usize) -> Option<usize> {
        let lead = self.lead(cell);
        (lead.checked_add(self.size)? <= size).then_some(lead)
    }
}

/// Returns the lowest multiple of `step`, a power of two, that is at least `value`; `None` if it
/// overflows.
pub(crate) fn round_up(value: usize, step: usize) -> Option<usize> {
    Some(value.checked_add(step - 1)? & !(step - 1))
}

/// Returns `this` if the condition holds, else `other`, without a branch: for an unpredictable
/// condition.
#[inline(always)]
pub(crate) const fn select(condition: bool, this: usize, other: usize) -> usize {
    other ^ ((this ^ other) & (condition as usize).wrapping_neg())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn request(size: usize, align: usize) -> Request {
        Request::new(Layout::from_size_align(size, align).unwrap())
    }

    #[test]
    fn small_requests_need_the_smallest_cell() {
        for size in 0..=MIN_CELL - WORD {
            assert_eq!(request(size, 1).size(), MIN_CELL);
        }
        assert_eq!(request(MIN_CELL - WORD + 1, 1).size(), MIN_CELL + CELL_ALIGN);
    }

    #[test]
    fn the_largest_layouts_do_not_overflow() {
        let most = isize::MAX as usize;
        assert!(request(most, 1).size() > most);
        let half = 1 << (usize::BITS - 2);
        assert_eq!(
            request(half, half).size_anywhere(),
            Some(2 * half + CELL_ALIGN + MIN_CELL - CELL_ALIGN)
        );
    }

    #[test]
    fn a_request_as_large_as_the_address_space_fits_only_without_a_lead() {
        let half = 1 << (usize::BITS - 1);
        let most = Request { size: usize::MAX - CELL_ALIGN + 1, align: half };
        for cell in [
            CELL_ALIGN - WORD,
            3 * CELL_ALIGN - WORD,
            half - WORD,
            half - CELL_ALIGN - WORD,
            half + CELL_ALIGN - WORD,
        ] {
            assert!((cell + WORD).wrapping_add(most.lead(cell)) % half == 0);
            assert_eq!(most.fit(cell, usize::MAX).is_some(), cell == half - WORD, "{cell:#x}");
        }
    }

    proptest! {
        /// A lead aligns the payload, is 0 or long enough for a cell, and is the shortest such
        /// distance.
        #[test]
        fn leads_are_aligned_and_shortest(
            size in 0..10_000_usize,
            shift in 0..20_u32,
            place in 1..1_000_000_usize,
        ) {
            let (align, cell) = (1 << shift, place * CELL_ALIGN - WORD);
            let request = request(size, align);
            let lead = request.lead(cell);
            let good = |lead: usize| {
                (cell + lead + WORD) % align == 0 && (lead == 0 || lead >= MIN_CELL)
            };
            prop_assert!(good(lead));
            prop_assert!((0..lead).step_by(CELL_ALIGN).all(|shorter| !good(shorter)));
            prop_assert!(lead + request.size() <= request.size_anywhere().unwrap());
            prop_assert_eq!(request.fit(cell, lead + request.size()), Some(lead));
            prop_assert_eq!(request.fit(cell, lead + request.size() - CELL_ALIGN), None);
        }
    }
}
