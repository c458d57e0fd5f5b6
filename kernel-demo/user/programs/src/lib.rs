//! What several programs share.
//!
//! ```text
//!   probe    touches any address, come what may         span     memory of this process as bytes to get and set
//!   meter    faults and frames that something costs           machine  which kernel this is, how many frames it has left
//!   clock    ticks, or instructions                           heap     the cells of another process's heap
//!   look     views of other processes
//! ```

#![no_std]

extern crate alloc;

pub mod clock;
pub mod heap;
pub mod look;
pub mod machine;
mod meter;
pub mod probe;
pub mod span;

pub use meter::{Cost, Meter};
pub use span::Span;

use alloc::format;
use alloc::string::String;

/// A number of things, as `1 cell` and `2 cells`.
#[must_use]
pub fn counted(number: usize, thing: &str) -> String {
    let end = if number == 1 { "" } else { "s" };
    format!("{number} {thing}{end}")
}
