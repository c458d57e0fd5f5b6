//! The size of a text screen.

/// Rows.
pub const ROWS: usize = 25;

/// Characters of a row.
pub const COLUMNS: usize = 80;
