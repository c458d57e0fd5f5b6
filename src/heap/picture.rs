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
    /// The heap as a line of `width` characters, each for an equal part of the addresses from the
    /// first cell to the last. A character tells what most of its part is.
    #[must_use]
    pub const fn picture(&self, width: usize) -> Picture<'_, B, M> {
        Picture { heap: self, width }
    }
}

/// The order of states in a [`Share`].
const SYMBOLS: [char; 4] = ['#', '.', '_', ' '];

const fn index(state: CellState) -> usize {
    match state {
        CellState::Used | CellState::Run { .. } | CellState::Internal => 0,
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
        let end_of = |character: usize| {
            (total as u128 * (character as u128 + 1) / self.width as u128) as usize
        };
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
    use super::*;

    #[test]
    fn most_wins_and_of_equal_shares_the_used_one() {
        assert_eq!(symbol(&[5, 5, 1, 0]), '#');
        assert_eq!(symbol(&[4, 5, 1, 0]), '.');
        assert_eq!(symbol(&[1, 0, 0, 2]), ' ');
    }
}
