//! `fork` and the end: an address space is copied, and given up.

use super::{AddressSpace, Commit, Counters, Errno, PageTables};

impl AddressSpace {
    /// The address space of a child: the same areas, the same break, counters at zero. All that is
    /// charged here is charged once more, because each of the two may come to write to all of
    /// it.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the account refuses or the heap has no room for the list. Nothing has changed.
    pub fn fork(&self, commit: &mut impl Commit) -> Result<Self, Errno> {
        let vmas = self.vmas.try_clone()?;
        let totals = vmas.totals();
        commit.charge(totals.accounted)?;
        Ok(Self { vmas, counters: Counters::NONE, most_pages: totals.pages, ..*self })
    }

    /// Gives up all memory and all promises.
    pub fn destroy(self, tables: &mut impl PageTables, commit: &mut impl Commit) {
        for vma in self.vmas() {
            tables.unmap(vma.start, vma.end);
        }
        commit.uncharge(self.totals().accounted);
    }
}
