//! `munmap`: takes out any range of pages, whoever made them, and splits what it cuts.

use super::{AddressSpace, Commit, Errno, PageTables, Sharing, USER_END, round_up};
use crate::memory::layout::PAGE_SIZE;

/// Areas that one call takes out at most.
const MOST_AREAS: usize = 48;

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
        if within.is_empty() {
            return Ok(());
        }
        if self.vmas.splits(&within) {
            self.vmas.reserve(1)?;
        }
        let areas = &self.vmas()[within.areas.clone()];
        let mut done = areas.get(MOST_AREAS).map_or(end, |next| next.start);
        for vma in areas.iter().take(MOST_AREAS) {
            let to = vma.end.min(end);
            let reached = tables.unmap(vma.start.max(start), to);
            if reached < to {
                done = reached;
                break;
            }
        }
        let within = if done < end { self.vmas.within(start, done) } else { within };
        for part in self.vmas.parts(&within) {
            if let Sharing::Shared(object, _) = part.sharing {
                tables.release(object, part.pages());
            }
        }
        let charged = self.charged();
        self.vmas.remove(within);
        commit.uncharge(charged - self.charged());
        if done < end { Err(Errno::ERESTART) } else { Ok(()) }
    }
}

/// The end of the pages of `[start, start + len)`, if the start is page-aligned, the length not 0,
/// and all of it user memory.
pub(super) fn user_range(start: u64, len: u64) -> Option<u64> {
    let end = round_up(len).filter(|len| *len != 0).and_then(|len| start.checked_add(len))?;
    (start.is_multiple_of(PAGE_SIZE) && end <= USER_END).then_some(end)
}
