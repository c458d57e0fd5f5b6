//! `fork` and the end: an address space is copied, and given up.

use super::{AddressSpace, Commit, Counters, Errno, PageTables, USER_END};

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
        commit.charge(vmas.charged())?;
        Ok(Self { most_pages: vmas.totals().pages, vmas, counters: Counters::NONE, ..*self })
    }

    /// Gives up all memory and all promises. `false` if it has to be called again to finish.
    pub fn clear(&mut self, tables: &mut impl PageTables, commit: &mut impl Commit) -> bool {
        self.take_out(0, USER_END, tables, commit).is_ok()
    }
}
