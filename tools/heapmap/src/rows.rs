//! From addresses to places: the heap as rows of equal address ranges, and in each row its pieces.
//!
//! ```text
//!   cells    ├──used──┼─free─┼────── hole ─ ─ ─ ─ ─ ──────┼─used─┼──top──┤
//!            │               │               │            ▲  │
//!   rows     0x1000          0x2000          left out        0x9000
//! ```
//!
//! A row begins at a multiple of its length, a power of two. Rows that lie in a hole from end to
//! end are left out. Pieces that are thinner than a pixel and neighbours become one.

use crate::cell::{Cell, State};
use crate::summary::Summary;

/// Pixels in a row.
pub const PIXELS: u32 = 840;

/// The largest number of rows, whatever the heap.
pub const MAX_ROWS: usize = 48;

/// A row gets about so many cells, as long as there may be more rows.
const CELLS_A_ROW: usize = 16;

/// So many rows at most for the cells. What is left is for the ends of regions.
const ROWS_FOR_CELLS: usize = 40;

/// The shortest row, as a power of two.
const MIN_SHIFT: u32 = 6;

/// A part of a row: a cell or a part of one, or several that are thinner than a pixel.
#[derive(Clone, Debug)]
pub struct Piece {
    /// Where it begins, and where it ends.
    pub range: (u64, u64),
    /// The cell; the first one, if there are several.
    pub cell: Cell,
    /// What there is of each kind.
    pub parts: Summary,
}

impl Piece {
    /// The part of a cell from `start` to `end`.
    fn new(cell: &Cell, start: u64, end: u64) -> Self {
        let mut parts = Summary::default();
        parts.add(cell, end - start);
        Self { range: (start, end), cell: *cell, parts }
    }

    /// How many cells it shows.
    #[must_use]
    pub fn cells(&self) -> u64 {
        self.parts.cells.iter().sum()
    }

    /// How many bytes long it is.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.range.1 - self.range.0
    }
}

/// A range of addresses.
#[derive(Debug)]
pub struct Row {
    /// Its first address.
    pub start: u64,
    /// How many rows before it are left out.
    pub left_out: u64,
    /// Its pieces, in the order of addresses. Of two neighbours at least one is as wide as a
    /// pixel.
    pub pieces: Vec<Piece>,
}

/// The rows of a heap.
#[derive(Debug)]
pub struct Rows {
    /// The length of a row, as a power of two.
    shift: u32,
    rows: Vec<Row>,
}

impl Rows {
    /// Lays out the cells of a walk.
    #[must_use]
    pub fn new(cells: &[Cell]) -> Self {
        let mut rows = Self { shift: shift(cells), rows: Vec::new() };
        for cell in cells {
            let (first, last) = ends(cell, rows.shift);
            if cell.state != State::Hole {
                (first..=last).for_each(|row| rows.push(row, cell));
                continue;
            }
            rows.push_unless_inside(first, cell);
            if last != first {
                rows.push_unless_inside(last, cell);
            }
        }
        rows
    }

    /// The rows, in the order of addresses.
    #[must_use]
    pub fn rows(&self) -> &[Row] {
        &self.rows
    }

    /// Bytes of a row.
    #[must_use]
    pub const fn row_len(&self) -> u64 {
        1 << self.shift
    }

    /// How many pixels so many bytes take.
    #[must_use]
    pub fn pixels(&self, bytes: u64) -> f64 {
        f64::from(PIXELS) * bytes as f64 / self.row_len() as f64
    }

    /// Puts the part of a hole that lies in a row there, unless the whole row lies in the hole.
    fn push_unless_inside(&mut self, row: u64, hole: &Cell) {
        let piece = self.part(row, hole);
        if piece.size() < self.row_len() {
            self.push(row, hole);
        }
    }

    /// Puts the part of a cell that lies in a row there.
    fn push(&mut self, row: u64, cell: &Cell) {
        let start = row << self.shift;
        let piece = self.part(row, cell);
        let is_thin = |piece: &Piece| self.pixels(piece.size()) < 1.0;
        match self.rows.last() {
            Some(last) if last.start == start => {
                let both_thin = is_thin(&piece) && last.pieces.last().is_some_and(is_thin);
                let pieces = &mut self.rows.last_mut().expect("there is one").pieces;
                match pieces.last_mut() {
                    Some(before) if both_thin => {
                        before.range.1 = piece.range.1;
                        before.parts.merge(&piece.parts);
                    }
                    _ => pieces.push(piece),
                }
            }
            last => {
                let left_out = last.map_or(0, |last| row - (last.start >> self.shift) - 1);
                self.rows.push(Row { start, left_out, pieces: vec![piece] });
            }
        }
    }

    /// The part of a cell that lies in a row.
    fn part(&self, row: u64, cell: &Cell) -> Piece {
        let start = row << self.shift;
        let last = start | (self.row_len() - 1);
        Piece::new(cell, cell.address.max(start), (cell.end() - 1).min(last) + 1)
    }
}

/// The first and the last row that a cell lies in.
const fn ends(cell: &Cell, shift: u32) -> (u64, u64) {
    (cell.address >> shift, (cell.end() - 1) >> shift)
}

/// The length of a row that suits these cells.
fn shift(cells: &[Cell]) -> u32 {
    let wanted = (cells.len() / CELLS_A_ROW).clamp(1, ROWS_FOR_CELLS) as u64;
    let bytes = Summary::of(cells).own_bytes().div_ceil(wanted);
    let mut shift =
        (u64::BITS - bytes.saturating_sub(1).leading_zeros()).clamp(MIN_SHIFT, u64::BITS - 1);
    while shift < u64::BITS - 1 && number_of_rows(cells, shift) > MAX_ROWS as u64 {
        shift += 1;
    }
    shift
}

/// How many rows of that length there are. (A hole adds at most one where a walk begins or ends
/// with it.)
fn number_of_rows(cells: &[Cell], shift: u32) -> u64 {
    let (mut rows, mut last_row) = (0, None);
    for cell in cells.iter().filter(|cell| cell.state != State::Hole) {
        let (first, last) = ends(cell, shift);
        rows += last - first + u64::from(last_row != Some(first));
        last_row = Some(last);
    }
    rows + 2 * u64::from(cells.iter().any(|cell| cell.state == State::Hole))
}

#[cfg(test)]
#[path = "rows_tests.rs"]
mod tests;
