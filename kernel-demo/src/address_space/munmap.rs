//! `munmap`: takes out any range of pages, whoever made them, and splits what it cuts.

use super::{AddressSpace, Backing, Errno, Sharing, Storage, USER_END};
use crate::words::layout::{PAGE_SIZE, checked_page_ceil};

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
        backing: &mut impl Backing,
    ) -> Result<(), Errno> {
        let end = user_range(start, len).ok_or(Errno::EINVAL)?;
        self.take_out(start, end, backing)
    }
}

impl<T: Storage, const N: usize> AddressSpace<T, N> {
    /// Unmaps the range, which is page-aligned, and lets go of what was charged for it.
    ///
    /// # Errors
    ///
    /// `ENOMEM` when the list has no room for a split, `ERESTART` when there is more to do.
    pub fn take_out(
        &mut self,
        start: u64,
        end: u64,
        backing: &mut impl Backing,
    ) -> Result<(), Errno> {
        let mut areas = self.areas.within(start, end);
        if areas.is_empty() {
            return Ok(());
        }
        if self.areas.splits(&areas, start, end) {
            self.areas.reserve(1)?;
        }
        let next = self.vmas()[areas.clone()].get(MOST_AREAS);
        let mut done = next.map_or(end, |next| next.start);
        for vma in self.vmas()[areas.clone()].iter().take(MOST_AREAS) {
            let to = vma.end.min(end);
            let reached = backing.unmap(vma.start.max(start), to);
            if reached < to {
                done = reached;
                break;
            }
        }
        if done < end {
            areas = self.areas.within(start, done);
        }
        for part in self.areas.parts(&areas, start, done) {
            if let Sharing::Shared(object, _) = part.sharing {
                backing.release(object, part.pages());
            }
        }
        let parts = self.areas.parts(&areas, start, done);
        let freed = self.areas.charge_of(&areas, (start, done), parts);
        self.areas.remove(start, done);
        self.charged -= freed;
        backing.uncharge(freed);
        if done < end { Err(Errno::ERESTART) } else { Ok(()) }
    }
}

/// The end of the pages of `[start, start + len)`, if the start is page-aligned, the length not 0,
/// and all of it user memory.
pub(super) fn user_range(start: u64, len: u64) -> Option<u64> {
    let end =
        checked_page_ceil(len).filter(|len| *len != 0).and_then(|len| start.checked_add(len))?;
    (start.is_multiple_of(PAGE_SIZE) && end <= USER_END).then_some(end)
}
