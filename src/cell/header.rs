//! The header word: size and state of a cell in one machine word.

use bitflags::bitflags;

use super::CELL_ALIGN;

bitflags! {
    /// State bits of a header.
    ///
    /// # Invariants
    ///
    /// * `FENCEPOST ⟹ USED`: a fencepost is never coalesced with a neighbour
    /// * `PREV_USED` of a cell `⟺ USED` of the cell before it; the first cell of a region has
    ///   `PREV_USED`
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct State: usize {
        /// The cell is in use: its payload belongs to a caller, or to another part of the heap.
        const USED = 1 << 0;
        /// The cell before this one is used. The word in front of this header then belongs to that
        /// cell's payload, and does not hold its size.
        const PREV_USED = 1 << 1;
        /// The header is a fencepost: it ends a region and is no cell. Its size is the distance to
        /// the next region's first cell, in bytes; 0 in the last region. A block with a mapping of
        /// its own also has such a header; its size is then the length of the mapping.
        const FENCEPOST = 1 << 2;
    }
}

/// The first word of a cell.
///
/// ```text
///    63                                  3  2  1  0
///   ┌─────────────────────────────────────┬──┬──┬──┐
///   │ size of the cell, a multiple of 16  │ F│PU│ U│     U used · PU previous used · F fencepost
///   └─────────────────────────────────────┴──┴──┴──┘     (32-bit: a multiple of 8)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header(pub(super) usize);

// The state fits into the low bits, which are 0 in every size.
const _: () = assert!(State::all().bits() < CELL_ALIGN);

impl Header {
    /// Returns the header of a cell of `size` bytes, header included.
    pub(crate) const fn new(size: usize, state: State) -> Self {
        debug_assert!(size % CELL_ALIGN == 0);
        Self(size | state.bits())
    }

    /// Returns the header as a word.
    pub(crate) const fn bits(self) -> usize {
        self.0
    }

    /// Returns the size of the cell, in bytes, header included.
    pub(crate) const fn size(self) -> usize {
        self.0 & !(CELL_ALIGN - 1)
    }

    /// Returns the state bits.
    pub(crate) const fn state(self) -> State {
        State::from_bits_truncate(self.0)
    }

    /// Returns `true` if the cell is in use.
    pub(crate) const fn is_used(self) -> bool {
        self.state().contains(State::USED)
    }

    /// Returns `true` if the cell before this one is in use.
    pub(crate) const fn is_prev_used(self) -> bool {
        self.state().contains(State::PREV_USED)
    }

    /// Returns `true` if the header is a fencepost.
    pub(crate) const fn is_fencepost(self) -> bool {
        self.state().contains(State::FENCEPOST)
    }

    /// Returns the header with another size, in bytes.
    pub(crate) const fn with_size(self, size: usize) -> Self {
        debug_assert!(size % CELL_ALIGN == 0);
        Self((self.0 % CELL_ALIGN) | size)
    }

    /// Returns the header with `USED` cleared.
    pub(crate) const fn with_used_cleared(self) -> Self {
        Self(self.0 & !State::USED.bits())
    }

    /// Returns the header with `PREV_USED` set or cleared.
    pub(crate) const fn with_prev_used(self, prev_used: bool) -> Self {
        let cleared = self.0 & !State::PREV_USED.bits();
        Self(if prev_used { cleared | State::PREV_USED.bits() } else { cleared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_state_are_independent() {
        let header = Header::new(7 * CELL_ALIGN, State::USED);
        assert_eq!(header.size(), 7 * CELL_ALIGN);
        assert!(header.is_used() && !header.is_prev_used() && !header.is_fencepost());

        let header = header.with_prev_used(true);
        assert_eq!(header.size(), 7 * CELL_ALIGN);
        assert!(header.is_used() && header.is_prev_used());
        assert_eq!(header.with_prev_used(false).state(), State::USED);
    }
}
