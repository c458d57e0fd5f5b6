//! A heap as a line of characters, to see at a glance how it is divided.
//!
//! ```text
//!   ###.##....##_____  ##..______      # used   . free   _ top   (space) somebody else's
//! ```

use core::fmt::{self, Write};

use super::{CellInfo, CellState, Heap};
use crate::provider::{Break, Map};

/// A heap as characters, from [`Heap::picture`]. Prints one line, without a line break.
#[derive(Debug)]
pub struct Picture<'heap, B, M> {
    heap: &'heap Heap<B, M>,
    width: usize,
}

impl<B: Break, M: Map> Heap<B, M> {
    /// The heap as a line of `width` characters, each for an equal part of the addresses from the first cell to the last. A character
    /// tells what most of its part is.
    #[must_use]
    pub const fn picture(&self, width: usize) -> Picture<'_, B, M> {
        Picture { heap: self, width }
    }
}

/// The order of states in a [`Share`].
const SYMBOLS: [char; 4] = ['#', '.', '_', ' '];

const fn index(state: CellState) -> usize {
    match state {
        CellState::Used => 0,
        CellState::Free => 1,
        CellState::Top => 2,
        CellState::Hole => 3,
    }
}

/// Bytes of each state in the part of one character.
type Share = [usize; SYMBOLS.len()];

fn symbol(share: &Share) -> char {
    // Of equal shares the first counts, so that what is used is seen.
    let most = (0..share.len()).rev().max_by_key(|&state| share[state]).unwrap_or(0);
    SYMBOLS[most]
}

impl<B: Break, M: Map> fmt::Display for Picture<'_, B, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.heap.cells().map(|cell| cell.size).sum();
        if total == 0 || self.width == 0 {
            return Ok(());
        }
        let end_of = |character: usize| (total as u128 * (character as u128 + 1) / self.width as u128) as usize;
        let (mut at, mut character, mut share) = (0, 0, Share::default());
        for CellInfo { size, state, .. } in self.heap.cells() {
            let end = at + size;
            while at < end {
                let stop = end.min(end_of(character));
                share[index(state)] += stop - at;
                at = stop;
                if at == end_of(character) {
                    f.write_char(symbol(&share))?;
                    (character, share) = (character + 1, Share::default());
                    // A part can be empty if there are more characters than bytes.
                    while character < self.width && end_of(character) == at {
                        f.write_char(SYMBOLS[index(state)])?;
                        character += 1;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::boxed::Box;
    use std::string::{String, ToString};

    use core::alloc::Layout;

    use super::*;
    use crate::cell::CELL_ALIGN;
    use crate::provider::FixedBreak;

    #[test]
    fn most_wins_and_of_equal_shares_the_used_one() {
        assert_eq!(symbol(&[5, 5, 1, 0]), '#');
        assert_eq!(symbol(&[4, 5, 1, 0]), '.');
        assert_eq!(symbol(&[1, 0, 0, 2]), ' ');
    }

    #[test]
    fn a_heap_is_drawn_to_scale() {
        let mut heap = Heap::new(FixedBreak::from_array(Box::leak(Box::new([0; 4096]))));
        assert_eq!(heap.picture(10).to_string(), "");
        let layout = Layout::from_size_align(40 * CELL_ALIGN - 1 - size_of::<usize>(), 1).unwrap();
        // SAFETY: the heap's memory is leaked, and outlives the blocks.
        let blocks: [_; 3] = core::array::from_fn(|_| unsafe { heap.allocate(layout) }.unwrap());
        // SAFETY: live until now.
        unsafe { heap.deallocate(blocks[1], layout) };
        heap.reserve(20 * CELL_ALIGN).unwrap();
        let total: usize = heap.cells().map(|cell| cell.size).sum();
        // A character for each unit: the picture is exact.
        let picture = heap.picture(total / CELL_ALIGN).to_string();
        let parts = [('#', 40), ('.', 40), ('#', 40), ('_', total / CELL_ALIGN - 120)];
        let expected: String = parts.iter().flat_map(|&(symbol, units)| core::iter::repeat_n(symbol, units)).collect();
        assert_eq!(picture, expected);
        for width in [1, 2, 7, 100, 4096, 10_000] {
            assert_eq!(heap.picture(width).to_string().chars().count(), width);
        }
    }
}
