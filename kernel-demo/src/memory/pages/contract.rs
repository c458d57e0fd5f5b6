//! What the address space asks of page tables.

use super::OutOfFrames;
use crate::memory::Permissions;

/// What is mapped at a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageState {
    /// Nothing.
    Missing,
    /// The zero page, read-only.
    ZeroPage,
    /// A frame with more than one owner, to be copied when somebody writes.
    Shared,
    /// A frame of its own, or of a shared object: may be written, if the page may.
    Own,
}

/// What has to happen to page tables.
pub trait PageTables {
    /// Unmaps what is mapped in `[start, end)`. Frames that nobody else owns go back.
    fn unmap(&mut self, start: u64, end: u64);

    /// Changes what may be done with the pages mapped in `[start, end)`. Zero pages and pages to be copied stay not writable.
    fn protect(&mut self, start: u64, end: u64, to: Permissions);

    /// Moves what is mapped in `[from, from + len)` to `to`, where nothing is mapped. The ranges do not overlap.
    ///
    /// # Errors
    ///
    /// There is no frame for a page table. Nothing has changed.
    fn shift(&mut self, from: u64, to: u64, len: u64) -> Result<(), OutOfFrames>;
}
