//! Cells, as a walk lists them.

use std::fmt;

/// What a cell is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Somebody owns it.
    Used,
    /// Equal small blocks, some of them live.
    Slab {
        /// Bytes of a block.
        block: u64,
        /// Blocks that somebody owns.
        live: u64,
        /// All blocks.
        total: u64,
    },
    /// It waits in a bin.
    Free,
    /// The free cell that ends at the break.
    Top,
    /// The heap's own.
    Internal,
    /// Somebody else's memory.
    Hole,
}

impl State {
    /// How many kinds of states there are.
    pub const KINDS: usize = 6;

    /// The number of this kind, in the order in which kinds are told.
    #[must_use]
    pub const fn kind(self) -> usize {
        match self {
            Self::Used => 0,
            Self::Slab { .. } => 1,
            Self::Free => 2,
            Self::Top => 3,
            Self::Internal => 4,
            Self::Hole => 5,
        }
    }

    /// Bytes of live blocks, and of all blocks, if it is a slab.
    #[must_use]
    pub const fn blocks(self) -> Option<(u64, u64)> {
        match self {
            Self::Slab { block, live, total } => Some((block * live, block * total)),
            _ => None,
        }
    }
}

/// The names of the kinds, by [`State::kind`]: words of the text, and classes of the picture.
pub(crate) const NAMES: [&str; State::KINDS] = ["used", "slab", "free", "top", "internal", "hole"];

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slab { block, live, total } => write!(f, "slab of {block}: {live} of {total}"),
            state => f.write_str(NAMES[state.kind()]),
        }
    }
}

/// One line of a walk.
///
/// # Invariants
///
/// `size > 0`, and `address + size` is a number; the blocks of a slab fit into it, and no more are
/// live than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    /// Where it begins.
    pub address: u64,
    /// How many bytes it takes, its header included.
    pub size: u64,
    /// What it is.
    pub state: State,
}

impl Cell {
    /// Where it ends.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.address + self.size
    }
}

/// A number of bytes, as people say it.
pub(crate) struct Bytes(pub(crate) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1 << 10 {
            return write!(f, "{} B", self.0);
        }
        let unit = (self.0.ilog2() / 10) as usize;
        let scaled = self.0 as f64 / (1_u64 << (10 * unit)) as f64;
        let digits = if scaled.fract() == 0.0 { 0 } else { 1 };
        write!(f, "{scaled:.digits$} {}", UNITS[unit - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_the_largest_unit() {
        let said = [0, 1023, 1024, 1536, 3 << 20, u64::MAX].map(|bytes| Bytes(bytes).to_string());
        assert_eq!(said, ["0 B", "1023 B", "1 KiB", "1.5 KiB", "3 MiB", "16 EiB"]);
    }
}
