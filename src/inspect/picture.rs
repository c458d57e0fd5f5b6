//! Picture of a heap as one line of characters.
//!
//! ```text
//!   ###.##....##_____  ##..______      # used   . free   _ top   (space) hole
//! ```

use core::fmt::{self, Write};

use super::{CellInfo, CellState, Cells};

/// Picture of a heap, from [`Heap::picture`](crate::Heap::picture). `Display` prints one line
/// without a line break.
#[derive(Debug)]
pub struct Picture<'heap> {
    cells: Cells<'heap>,
    width: usize,
}

impl<'heap> Picture<'heap> {
    /// Returns the picture of these cells, `width` characters wide.
    pub(crate) const fn new(cells: Cells<'heap>, width: usize) -> Self {
        Self { cells, width }
    }
}

/// Character of each state, in the order of a [`Share`].
const SYMBOLS: [char; 4] = ['#', '.', '_', ' '];

/// Returns the index of a state in a [`Share`].
const fn index(state: CellState) -> usize {
    match state {
        CellState::Used | CellState::Slab { .. } | CellState::Internal => 0,
        CellState::Free => 1,
        CellState::Top => 2,
        CellState::Hole => 3,
    }
}

/// Number of bytes of each state in the part of one character.
type Share = [usize; SYMBOLS.len()];

/// Returns the character of the state with the largest share.
fn symbol(share: &Share) -> char {
    // Of equal shares the first one counts, so that used memory is visible.
    let most = (0..share.len()).rev().max_by_key(|&state| share[state]).unwrap_or(0);
    SYMBOLS[most]
}

impl fmt::Display for Picture<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total: usize = self.cells.clone().map(|cell| cell.size).sum();
        if total == 0 || self.width == 0 {
            return Ok(());
        }
        let end_of = |character: usize| {
            (total as u128 * (character as u128 + 1) / self.width as u128) as usize
        };
        let (mut at, mut character, mut share) = (0, 0, Share::default());
        for CellInfo { size, state, .. } in self.cells.clone() {
            let end = at + size;
            while at < end {
                let stop = end.min(end_of(character));
                share[index(state)] += stop - at;
                at = stop;
                if at == end_of(character) {
                    f.write_char(symbol(&share))?;
                    (character, share) = (character + 1, Share::default());
                    // If there are more characters than bytes, some parts are empty.
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
    fn largest_share_wins_and_ties_go_to_used() {
        assert_eq!(symbol(&[5, 5, 1, 0]), '#');
        assert_eq!(symbol(&[4, 5, 1, 0]), '.');
        assert_eq!(symbol(&[1, 0, 0, 2]), ' ');
    }
}
