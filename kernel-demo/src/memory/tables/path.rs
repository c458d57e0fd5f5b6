//! The entries that the processor reads on its way to an address, to be shown.

use x86_64::structures::paging::page_table::PageTableEntry;

use super::{DEPTH, Mmu, Tables, index};
use crate::words::layout::page_floor;

/// An entry on the way to an address.
#[derive(Clone, Debug)]
pub struct Step {
    /// Level of its table: 4 for the root, 1 for the last.
    pub level: usize,
    /// Its place in the table.
    pub index: usize,
    /// What it holds.
    pub entry: PageTableEntry,
}

impl<M: Mmu> Tables<M> {
    /// Returns the entries on the way to an address, as far as there are tables. Constant time.
    pub fn steps_to(&mut self, address: u64) -> impl Iterator<Item = Step> {
        let (page, whole) = (page_floor(address), self.walk(page_floor(address)));
        (1..=DEPTH - whole.missing()).map(move |depth| {
            let mut walk = whole;
            walk.depth = depth;
            let entry = self.entry(&walk, page).clone();
            Step { level: DEPTH + 1 - depth, index: index(page, depth), entry }
        })
    }
}
