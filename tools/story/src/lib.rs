//! Makes a page of a story: what a run of the demo kernel, or a Linux program, did to memory.
//!
//! ```text
//!   main                                     the command line
//!  ──────────────────────────────────────────────────────────────────────────────
//!   page ── bundle                           one file: viewer, styles, and the story as data
//!  ──────────────────────────────────────────────────────────────────────────────
//!   questions ── claims                      what is asked, and where; the text of docs/CLAIMS.md
//!  ──────────────────────────────────────────────────────────────────────────────
//!   linux                                    the record of a Linux program → events
//!   telling ── symbols                       records → events; addresses → lines of source
//! ```
//!
//! The viewer in `viewer/` is plain modules of JavaScript, which also run under node; the tests of
//! its reducer are there. `docs/STORY.md` has the format of the records and of the page's data.

pub mod bundle;
pub mod claims;
mod error;
pub mod linux;
pub mod page;
pub mod questions;
pub mod symbols;
pub mod telling;

pub use error::Error;
