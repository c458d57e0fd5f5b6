//! `munmap`: takes out any range of pages, whoever made them, and splits what it cuts.

use super::{AddressSpace, Commit, Errno, PageTables, USER_END, round_up};
use crate::memory::layout::PAGE_SIZE;

impl AddressSpace {
    /// Unmaps whatever lies in the pages of `[start, start + len)`. It is no error when there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// `EINVAL` when `start` is not page-aligned, `len` is 0, or the range leaves user memory;
    /// `ENOMEM` when an area would be split and there is no room for the two.
    pub fn munmap(
        &mut self,
        start: u64,
        len: u64,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<(), Errno> {
        let end = user_range(start, len).ok_or(Errno::EINVAL)?;
        self.take_out(start, end, tables, commit)
    }

    /// Unmaps the range, which is page-aligned, and lets go of what was charged for it. `ENOMEM`
    /// when the list has no room for a split.
    pub(super) fn take_out(
        &mut self,
        start: u64,
        end: u64,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<(), Errno> {
        let within = self.vmas.within(start, end);
        if self.vmas.splits(&within) {
            self.vmas.reserve(1)?;
        }
        let charged = self.totals().accounted;
        self.vmas.remove(within);
        commit.uncharge(charged - self.totals().accounted);
        tables.unmap(start, end);
        Ok(())
    }
}

/// The end of the pages of `[start, start + len)`, if the start is page-aligned, the length not 0,
/// and all of it user memory.
pub(super) fn user_range(start: u64, len: u64) -> Option<u64> {
    let end = round_up(len).filter(|len| *len != 0).and_then(|len| start.checked_add(len))?;
    (start.is_multiple_of(PAGE_SIZE) && end <= USER_END).then_some(end)
}
