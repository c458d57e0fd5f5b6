//! `mremap`: makes a mapping shorter or longer, where it is or elsewhere. Mappings move, bytes do
//! not.

use bitflags::bitflags;

use super::munmap::user_range;
use super::{AddressSpace, Commit, Errno, Kind, MIN_ADDRESS, PageTables, USER_END, Vma, round_up};
use crate::memory::layout::PAGE_SIZE;

bitflags! {
    /// What `mremap` may do; Linux's numbers.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct RemapFlags: u32 {
        /// Move if there is no room.
        const MAYMOVE = 1;
        /// Move to exactly there, in place of whatever is there.
        const FIXED = 2;
    }
}

/// What `mremap` is asked for. Lengths are rounded up to pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemapRequest {
    /// Where the memory starts.
    pub old: u64,
    /// Bytes it has.
    pub old_len: u64,
    /// Bytes it shall have.
    pub new_len: u64,
    /// How.
    pub flags: RemapFlags,
    /// Where to, with `FIXED`.
    pub new: u64,
}

impl AddressSpace {
    /// Changes the length of the memory at `old`, or its place, and returns where it is now.
    ///
    /// What comes is like the area it extends. What moves is a [`Kind::Mapping`] afterwards, even
    /// if it was heap or stack. A shared mapping cannot become longer, because the object
    /// cannot (Linux lets it, and kills whoever touches what is too much).
    ///
    /// # Errors
    ///
    /// When there is no frame for a page table at a fixed place, what lay there is gone, as in
    /// Linux; otherwise nothing has changed.
    ///
    /// * `EINVAL`: an address is not page-aligned; a length of 0 (Linux takes an old length of 0
    ///   for a second mapping of shared memory); `FIXED` without `MAYMOVE`; a range that leaves
    ///   user memory; a fixed place that overlaps the old one; a shared mapping that would become
    ///   longer.
    /// * `EFAULT`: nothing is mapped at `old`; or not all of it is one area, and it would have to
    ///   grow or move.
    /// * `EPERM`: a fixed place below [`MIN_ADDRESS`].
    /// * `ENOMEM`: no room where it is and it may not move, or nowhere; the list is full; the data
    ///   limit or the account refuses, or there is no frame for a page table.
    pub fn mremap(
        &mut self,
        request: RemapRequest,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<u64, Errno> {
        let RemapRequest { old, flags, new, .. } = request;
        if flags.contains(RemapFlags::FIXED) && !flags.contains(RemapFlags::MAYMOVE)
            || !old.is_multiple_of(PAGE_SIZE)
        {
            return Err(Errno::EINVAL);
        }
        let old_end = user_range(old, request.old_len).ok_or(Errno::EINVAL)?;
        let new_len = round_up(request.new_len)
            .filter(|len| (1..=USER_END).contains(len))
            .ok_or(Errno::EINVAL)?;
        let vma = *self.vmas.find(old).ok_or(Errno::EFAULT)?;
        let old_len = old_end - old;
        let fixed = match flags.contains(RemapFlags::FIXED) {
            true => Some(fixed(new, new_len, old, old_end)?),
            false => None,
        };
        if fixed.is_none() && new_len <= old_len {
            if new_len < old_len {
                self.take_out(old + new_len, old_end, tables, commit)?;
            }
            return Ok(old);
        }
        if old_end > vma.end {
            return Err(Errno::EFAULT);
        }
        if new_len > old_len && vma.is_shared() {
            return Err(Errno::EINVAL);
        }
        if fixed.is_none() && self.extends_to(old_end, old + new_len) {
            let more = Vma { end: old + new_len, ..vma }.part(old_end, old + new_len);
            self.replace(more, tables, commit)?;
            return Ok(old);
        }
        let to = match fixed {
            Some(to) => to,
            None if flags.contains(RemapFlags::MAYMOVE) => {
                self.place(0, new_len).ok_or(Errno::ENOMEM)?
            }
            None => return Err(Errno::ENOMEM),
        };
        self.relocate(vma.part(old, old_end), to, new_len, tables, commit)?;
        Ok(to)
    }

    fn extends_to(&self, end: u64, new_end: u64) -> bool {
        new_end <= USER_END && self.is_free(end, new_end)
    }

    /// Moves the part of an area to `to`, where it gets the new length, in place of whatever is
    /// there. What is there is gone as well when there is no frame for a page table.
    fn relocate(
        &mut self,
        part: Vma,
        to: u64,
        new_len: u64,
        tables: &mut impl PageTables,
        commit: &mut impl Commit,
    ) -> Result<(), Errno> {
        let moved = Vma { start: to, end: to + new_len, kind: Kind::Mapping, ..part };
        let (there, there_data) = self.sums(moved.start, moved.end);
        let (here, here_data) = self.sums(part.start, part.end);
        if !self.data_may_change(
            there_data + here_data,
            if moved.is_data() { moved.pages() } else { 0 },
        ) {
            return Err(Errno::ENOMEM);
        }
        let split = |start, end| usize::from(self.vmas.splits(&self.vmas.within(start, end)));
        self.vmas.reserve(1 + split(part.start, part.end) + split(moved.start, moved.end))?;
        let new = if moved.accounted { moved.pages() } else { 0 };
        let more = new.saturating_sub(there + here);
        commit.charge(more)?;
        self.vmas.remove(self.vmas.within(moved.start, moved.end));
        tables.unmap(moved.start, moved.end);
        if tables.shift(part.start, to, new_len.min(part.len())).is_err() {
            commit.uncharge(there + more);
            return Err(Errno::ENOMEM);
        }
        commit.uncharge(there + here + more - new);
        self.vmas.remove(self.vmas.within(part.start, part.end));
        tables.unmap(part.start, part.end);
        self.add(moved);
        Ok(())
    }
}

/// The address, if memory from `[old, old_end)` may move to exactly there.
fn fixed(new: u64, new_len: u64, old: u64, old_end: u64) -> Result<u64, Errno> {
    let new_end = user_range(new, new_len).ok_or(Errno::EINVAL)?;
    if new < old_end && old < new_end {
        return Err(Errno::EINVAL);
    }
    if new < MIN_ADDRESS { Err(Errno::EPERM) } else { Ok(new) }
}
