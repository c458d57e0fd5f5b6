//! No pieces of memory here and there, for the feature `tiny`: this takes the place of pieces.rs.

use super::{Heap, Request};
use crate::cell::Cell;
use crate::provider::{Break, Map};

impl<B: Break, M: Map, const LISTS: usize> Heap<B, M, LISTS> {
    pub(super) const fn missing_anywhere(&self, _: Request) -> Option<usize> {
        None
    }

    /// # Safety
    ///
    /// There are no pieces.
    pub(super) const unsafe fn note_if_piece(&self, _: Cell, _: usize) -> bool {
        false
    }
}
