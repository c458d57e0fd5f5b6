//! What lies in a range of addresses, found once for all that is done with it.

use core::ops::Range;

use super::vma::Vma;
use crate::memory::layout::PAGE_SIZE;

/// The areas that have an address in a range, as the list is now.
#[derive(Clone, Debug)]
pub struct Within {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Their places in the list.
    pub(super) areas: Range<usize>,
}

impl Within {
    /// The range of an area that would be entered at this place in the list, where nothing is.
    pub const fn gap(at: usize, vma: &Vma) -> Self {
        Self { start: vma.start, end: vma.end, areas: at..at }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// How many pages of an area, which is one of them, lie in the range.
    pub(super) fn pages_of(&self, vma: &Vma) -> u64 {
        (vma.end.min(self.end) - vma.start.max(self.start)) / PAGE_SIZE
    }
}
