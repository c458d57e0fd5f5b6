//! Draws a heap as an SVG picture, from the lines that a walk over its cells prints.
//!
//! ```text
//!   a log ──► parse ──► Walk ──► Rows ──► svg ──► a picture
//!   (text)    lines     cells    equal    (text)
//!                         └────► Summary ──┘
//!                                totals
//! ```
//!
//! Rules: `parse` alone knows how a line looks, `rows` alone how addresses become places, `svg`
//! alone how a picture looks. Whatever the heap, a picture has at most [`rows::MAX_ROWS`] rows, and
//! in each about as many pieces as there are pixels.

mod cell;
mod legend;
pub mod parse;
pub mod rows;
mod style;
pub mod summary;
pub mod svg;

pub use cell::{Cell, State};
