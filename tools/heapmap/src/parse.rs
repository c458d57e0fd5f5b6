//! From text to walks: takes the lines that tell of a cell, wherever they stand, and leaves the
//! rest.
//!
//! ```text
//!     after malloc(1000):                            other output
//!       0xffff908000000008     1008 used             a cell, with or without something in front
//!       0xffff9080000003f8     4096 slab of 64: 17 of 63
//!       0xffff9080000013f8     3072 top
//! ```
//!
//! An address may be shortened, as the tour of the demo kernel does: `0x…000003f8` has the high
//! half of the cell before.
//!
//! A walk goes on as long as each cell begins where the one before ends. A heap can print several
//! walks into one log: another one begins where addresses go back, or where other output came
//! between. A gap between two lines that follow each other is an error.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

use crate::cell::{Cell, State};

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
pub enum Error {
    /// No line tells of a cell.
    NoCells,
    /// A line tells of a cell that cannot be.
    BadCell {
        /// The number of the line.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Two cells of one walk leave a gap, or overlap.
    DoesNotTile {
        /// The number of the second one's line.
        line: usize,
        /// Where the first one ends.
        expected: u64,
        /// Where the second one begins.
        found: u64,
    },
    /// There are several walks, and nobody said which.
    Several(Vec<Walk>),
    /// There are not so many walks.
    NoSuchWalk {
        /// Which one was asked for.
        number: usize,
        /// How many there are.
        found: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCells => {
                write!(
                    f,
                    "no line tells of a cell; they look like `0x1000       64 used`, as `heap.cells()` prints them"
                )
            }
            Self::BadCell { line, why } => write!(f, "line {line}: {why}"),
            Self::DoesNotTile { line, expected, found } => {
                write!(
                    f,
                    "line {line}: the cell begins at {found:#x}, but the one before ends at {expected:#x}"
                )
            }
            Self::Several(walks) => {
                write!(
                    f,
                    "there are {} walks; choose one by its number (or `last`):",
                    walks.len()
                )?;
                walks
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, walk)| write!(f, "\n  {:>3}  {walk}", index + 1))
            }
            Self::NoSuchWalk { number, found } => {
                write!(f, "there is no walk {number}; there are {found}")
            }
        }
    }
}

impl std::error::Error for Error {}

/// The cells of a heap.
///
/// # Invariants
///
/// There is at least one, and each begins where the one before ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Walk {
    cells: Vec<Cell>,
    /// The number of the first cell's line.
    line: usize,
}

impl Walk {
    /// The cells, in the order of addresses.
    #[must_use]
    pub fn cells(&self) -> &[Cell] {
        &self.cells
    }

    /// Where the first cell begins.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.cells[0].address
    }

    /// Where the last cell ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.cells[self.cells.len() - 1].end()
    }
}

impl fmt::Display for Walk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: {:#x} to {:#x}, cells: {}",
            self.line,
            self.start(),
            self.end(),
            self.cells.len()
        )
    }
}

/// Which of several walks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// The only one.
    Only,
    /// The one with this number, counted from 1.
    Number(NonZeroUsize),
    /// The last one.
    Last,
}

impl FromStr for Which {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "last" => Ok(Self::Last),
            number => number.parse().map(Self::Number).map_err(|_| "it is 1, 2, … or `last`"),
        }
    }
}

/// The walk that is meant.
///
/// # Errors
///
/// See [`Error`].
pub fn walk(text: &str, which: Which) -> Result<Walk, Error> {
    let mut walks = walks(text)?;
    let index = match which {
        Which::Only if walks.len() > 1 => return Err(Error::Several(walks)),
        Which::Only => 0,
        Which::Number(number) if number.get() > walks.len() => {
            return Err(Error::NoSuchWalk { number: number.get(), found: walks.len() });
        }
        Which::Number(number) => number.get() - 1,
        Which::Last => walks.len() - 1,
    };
    Ok(walks.swap_remove(index))
}

/// All walks, at least one.
fn walks(text: &str) -> Result<Vec<Walk>, Error> {
    let mut walks: Vec<Walk> = Vec::new();
    let (mut last_line, mut last_address) = (0, 0);
    for (line, text) in (1..).zip(text.lines()) {
        let Some(words) = Words::of(text) else { continue };
        let cell = cell(&words, last_address).map_err(|why| Error::BadCell { line, why })?;
        last_address = cell.address;
        match walks.last_mut() {
            Some(walk) if walk.end() == cell.address => walk.cells.push(cell),
            Some(walk)
                if last_line + 1 == line
                    && cell.address > walk.cells[walk.cells.len() - 1].address =>
            {
                return Err(Error::DoesNotTile { line, expected: walk.end(), found: cell.address });
            }
            _ => walks.push(Walk { cells: vec![cell], line }),
        }
        last_line = line;
    }
    if walks.is_empty() { Err(Error::NoCells) } else { Ok(walks) }
}

/// The words of a line that tells of a cell.
struct Words<'line> {
    address: &'line str,
    /// Whether the address is only the low half of one.
    is_short: bool,
    size: &'line str,
    state: &'line str,
    /// Block size, live blocks, all blocks; zeros if it is no slab.
    slab: [&'line str; 3],
}

impl<'line> Words<'line> {
    /// The words, if the line ends with an address, a size and a state.
    fn of(line: &'line str) -> Option<Self> {
        let (before, address) = line.trim_end().rsplit_once("0x")?;
        if before.ends_with(|before: char| before.is_alphanumeric() || before == '_') {
            return None;
        }
        let (address, size) = address.split_once(' ')?;
        let (is_short, address) = match address.strip_prefix('…') {
            Some(low) => (true, low),
            None => (false, address),
        };
        let (size, state) = size.trim_start_matches(' ').split_once(' ')?;
        let state = state.trim_start_matches(' ');
        let slab = match state.strip_prefix("slab of ") {
            Some(slab) => {
                let (block, live) = slab.split_once(": ")?;
                let (live, total) = live.split_once(" of ")?;
                [block, live, total]
            }
            None if matches!(state, "used" | "free" | "top" | "hole" | "internal") => ["0"; 3],
            None => return None,
        };
        let is_number =
            |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        let is_hex = !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_hex && is_number(&size) && slab.iter().all(is_number)).then_some(Self {
            address,
            is_short,
            size,
            state,
            slab,
        })
    }
}

/// The cell that a line tells of, behind one at `last`.
fn cell(words: &Words<'_>, last: u64) -> Result<Cell, &'static str> {
    const LOW_HALF: u64 = u32::MAX as u64;
    let number = |word: &str| word.parse::<u64>().map_err(|_| "a number is too large");
    let address = u64::from_str_radix(words.address, 16).map_err(|_| "the address is too large")?;
    let address = match words.is_short {
        true if address > LOW_HALF => return Err("the address is too large"),
        true => last & !LOW_HALF | address,
        false => address,
    };
    let size = number(words.size)?;
    if size == 0 {
        return Err("a cell has at least one byte");
    }
    address.checked_add(size).ok_or("the cell goes beyond the last address")?;
    let state = match words.state {
        "used" => State::Used,
        "free" => State::Free,
        "top" => State::Top,
        "hole" => State::Hole,
        "internal" => State::Internal,
        _ => slab(size, words.slab.map(number))?,
    };
    Ok(Cell { address, size, state })
}

/// The state of a slab of `size` bytes.
fn slab(size: u64, numbers: [Result<u64, &'static str>; 3]) -> Result<State, &'static str> {
    let [block, live, total] = numbers;
    let (block, live, total) = (block?, live?, total?);
    if live > total {
        return Err("more blocks are live than there are");
    }
    if block == 0 || total == 0 {
        return Err("a slab has blocks");
    }
    if block.checked_mul(total).is_none_or(|bytes| bytes > size) {
        return Err("the blocks do not fit into the slab");
    }
    Ok(State::Slab { block, live, total })
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
