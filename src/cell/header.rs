//! The header word: size and state of a cell in one machine word.

use bitflags::bitflags;

use super::CELL_ALIGN;

bitflags! {
    /// What a header says beside the size.
    ///
    /// # Invariants
    ///
    /// * `FENCE ⟹ USED`: a fence is never merged with a neighbour
    /// * `PREV_USED` of a cell `⟺ USED` of the cell before it; the first cell of a region has `PREV_USED`
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) struct State: usize {
        /// Somebody owns the payload.
        const USED = 1 << 0;
        /// The cell before this one is used, so the word in front of this header is *its* payload and not its size.
        const PREV_USED = 1 << 1;
        /// Not a cell but the end of a region. Its size is the way to the next region's first cell, 0 if there is none. (In front of a
        /// block with a mapping of its own, which lies in no region: the length of the mapping.)
        const FENCE = 1 << 2;
    }
}

/// The first word of a cell.
///
/// ```text
///    63                                  3  2  1  0
///   ┌─────────────────────────────────────┬──┬──┬──┐
///   │ size of the cell, a multiple of 16  │ F│PU│ U│     U used · PU previous used · F fence
///   └─────────────────────────────────────┴──┴──┴──┘     (32-bit: a multiple of 8, the same three bits)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header(pub(super) usize);

// The state must fit into the bits that a size leaves free.
const _: () = assert!(State::all().bits() < CELL_ALIGN);

impl Header {
    /// A header for a cell of `size` bytes, itself included.
    pub(crate) const fn new(size: usize, state: State) -> Self {
        debug_assert!(size.is_multiple_of(CELL_ALIGN));
        Self(size | state.bits())
    }

    /// The word as it stands in memory.
    pub(crate) const fn bits(self) -> usize {
        self.0
    }

    /// Size of the cell in bytes, header included.
    pub(crate) const fn size(self) -> usize {
        self.0 & !(CELL_ALIGN - 1)
    }

    /// The state bits.
    pub(crate) const fn state(self) -> State {
        State::from_bits_truncate(self.0)
    }

    pub(crate) const fn is_used(self) -> bool {
        self.state().contains(State::USED)
    }

    pub(crate) const fn is_prev_used(self) -> bool {
        self.state().contains(State::PREV_USED)
    }

    pub(crate) const fn is_fence(self) -> bool {
        self.state().contains(State::FENCE)
    }

    /// The same header with `PREV_USED` set or cleared.
    pub(crate) const fn with_prev_used(self, prev_used: bool) -> Self {
        let cleared = self.0 & !State::PREV_USED.bits();
        Self(if prev_used { cleared | State::PREV_USED.bits() } else { cleared })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_state_do_not_disturb_each_other() {
        let header = Header::new(7 * CELL_ALIGN, State::USED);
        assert_eq!(header.size(), 7 * CELL_ALIGN);
        assert!(header.is_used() && !header.is_prev_used() && !header.is_fence());

        let header = header.with_prev_used(true);
        assert_eq!(header.size(), 7 * CELL_ALIGN);
        assert!(header.is_used() && header.is_prev_used());
        assert_eq!(header.with_prev_used(false).state(), State::USED);
    }
}
